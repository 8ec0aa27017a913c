#pragma once
// Files that hold secrets: they are read only where nobody but us can have read them.

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace gavel {

enum class Links { refuse, follow };

// The bytes of a file that is ours and that neither its group nor others may touch. Errors:
// unavailable (cannot be read), invalid_argument (no regular file), permission_denied (its mode or
// owner), too_large. The message does not name the file.
Result<std::string> read_private_file(const std::filesystem::path& path, std::size_t bytes_max,
                                      Links links);

}  // namespace gavel
