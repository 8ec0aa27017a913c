#include "runtime/upstream.hpp"

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

}  // namespace gavel
