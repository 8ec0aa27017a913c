#pragma once
// Symbolic links in the arguments of a hook's event, followed: policy looks at paths as they are
// written, so it is told where they lead.

#include "base/json.hpp"
#include "base/result.hpp"

namespace gavel {

// Makes `path` (a text or a list), `directory` and `project` absolute and free of links. A path
// that begins with "~" stays. Error: unavailable where a path cannot be followed.
Status resolve_links(json::object& arguments);

}  // namespace gavel
