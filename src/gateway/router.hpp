#pragma once
// Which handler answers which method and path. Patterns are paths whose segments are fixed or
// "{}"; a "{}" takes one segment, percent-decoded. Pure: the handlers belong to the caller and are
// named by an index.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace gavel {

struct RouteFound {
  std::size_t route = 0;
  std::vector<std::string> parameters;  // of each {}, in order
};
struct RouteWrongMethod {
  std::string allow;  // "GET, POST"
};
struct RouteUnknown {};
struct RouteMalformed {};  // an escape that does not decode
using RouteMatch = std::variant<RouteFound, RouteWrongMethod, RouteUnknown, RouteMalformed>;

class Router {
public:
  // Returns the route's index: 0, 1, 2, ...
  std::size_t add(std::string_view method, std::string_view pattern);
  RouteMatch match(std::string_view method, std::string_view path) const;

private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
  };
  std::vector<Route> routes_;
};

}  // namespace gavel
