#pragma once
// What verify and checkpoint share: where a store lies, and which blobs its entries need.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "cli/context.hpp"

namespace gavel {

// `directory` is a state directory or a store itself; empty: the state directory's.
Result<std::filesystem::path> store_directory(const Context& context, const std::string& directory);

// The digests of the payloads that an encoded entry keeps outside of itself.
std::vector<Digest> blobs_of_entry(std::string_view bytes);

}  // namespace gavel
