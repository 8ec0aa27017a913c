#include "runtime/upstream.hpp"

#include <fmt/format.h>

namespace gavel {

std::string_view to_string(UpstreamHealth health) {
  switch (health) {
    case UpstreamHealth::idle:
      return "idle";
    case UpstreamHealth::starting:
      return "starting";
    case UpstreamHealth::ready:
      return "ready";
    case UpstreamHealth::backing_off:
      return "backing_off";
    case UpstreamHealth::failed:
      return "failed";
  }
  return "unknown";
}

std::string attached_name(std::string_view server, std::string_view session) {
  return fmt::format("{}@{}", server, session);
}

bool is_attached(std::string_view name) {
  return name.contains('@');
}

std::string_view public_name(std::string_view name) {
  return name.substr(0, name.find('@'));
}

}  // namespace gavel
