#include "gateway/router.hpp"

#include "base/assert.hpp"
#include "gateway/http_types.hpp"

namespace gavel {
namespace {

constexpr std::string_view kAny = "{}";

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    const auto slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string_view>& path) {
  if (pattern.size() != path.size()) return false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const bool any = pattern[i] == kAny && !path[i].empty();
    if (!any && pattern[i] != path[i]) return false;
  }
  return true;
}

}  // namespace

std::size_t Router::add(std::string_view method, std::string_view pattern) {
  ASSERT(pattern.starts_with('/'));
  Route route{std::string(method), {}};
  for (const auto segment : split(pattern)) route.segments.emplace_back(segment);
  routes_.push_back(std::move(route));
  return routes_.size() - 1;
}

RouteMatch Router::match(std::string_view method, std::string_view path) const {
  if (!path.starts_with('/')) return RouteUnknown{};
  const auto segments = split(path);
  RouteWrongMethod wrong;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    const auto& route = routes_[i];
    if (!fits(route.segments, segments)) continue;
    if (route.method != method) {
      if (!wrong.allow.empty()) wrong.allow += ", ";
      wrong.allow += route.method;
      continue;
    }
    RouteFound found{i, {}};
    for (std::size_t s = 0; s < segments.size(); ++s) {
      if (route.segments[s] != kAny) continue;
      auto decoded = percent_decode(segments[s]);
      if (!decoded) return RouteMalformed{};
      found.parameters.push_back(std::move(*decoded));
    }
    return found;
  }
  if (!wrong.allow.empty()) return wrong;
  return RouteUnknown{};
}

}  // namespace gavel
