#pragma once
// Edits of JSON text that leave everything else as it was: other settings, their order, comments,
// indentation. Comments and commas at the end are read, as editors allow them. Pure.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace gavel {

// Appends `element` (JSON text) to the list at `path`, a chain of names from the root object; what
// is missing of the chain is made. Empty text counts as {}. Errors: invalid_argument where the text
// is not JSON or something on the way is neither object nor list.
Result<std::string> append_element(std::string_view text, const std::vector<std::string>& path,
                                   std::string_view element);

// Sets the member at `path` where it is not there yet.
Result<std::string> add_member(std::string_view text, const std::vector<std::string>& path,
                               std::string_view value);

// Removes the elements of the list at `path` whose text `matches`, then the list, and what is empty
// above it. Text without such a list stays as it is.
Result<std::string> remove_elements(std::string_view text, const std::vector<std::string>& path,
                                    const std::function<bool(std::string_view)>& matches);

// The texts of the list's elements; none where there is no such list.
Result<std::vector<std::string>> elements_of(std::string_view text,
                                             const std::vector<std::string>& path);

}  // namespace gavel
