#pragma once
// What every append of the runtime needs: an id of its own, and large payloads moved to the blob
// store.

#include <vector>

#include "core/entry.hpp"
#include "log/log.hpp"
#include "runtime/clock.hpp"

namespace gavel {

AppendId random_append_id(Random& random);

// Moves payloads of more than kInlinePayload bytes out of the entry, into `blobs`.
void externalize(Entry& entry, std::vector<Blob>& blobs);

}  // namespace gavel
