#pragma once
// The oracle of I9: the chain of hashes over what lies on the disk, walked anew from the bytes as
// docs/formats/log.md specifies them. It shares SHA-256 with the product, and no code that makes,
// parses or follows a chain. What the checksum of a frame tells it does not ask: whoever rewrites
// history mends that.

#include <optional>
#include <span>
#include <string>

#include "log/log.hpp"

namespace gavel::simulation {

// Where a changed, dropped or reordered entry breaks the chain; nothing where it is whole and ends,
// for each of `heads`, where the engine says. `frames` are those of sim_disk.hpp, in their order.
std::optional<std::string> broken_chain(std::span<const std::string> frames,
                                        std::span<const Head> heads);

}  // namespace gavel::simulation
