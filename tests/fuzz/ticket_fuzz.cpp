// requestState from a client: a ticket of McpParking in every way that is wrong. The input edits a
// good ticket, or is one altogether; only the unchanged one, of its principal and request, is good,
// and that once.
#include <boost/asio/io_context.hpp>
#include <memory>

#include "base/assert.hpp"
#include "bytes.hpp"
#include "gateway/mcp_parking.hpp"

namespace {

using namespace gavel;

const Principal kOwner{"agent"};

struct Parked {
  asio::io_context context;
  McpParking parking;
  std::string ticket;
  Digest request = sha256("request");

  Parked() {
    McpParked parked;
    parked.principal = kOwner;
    parked.request = request;
    parked.call = std::make_shared<WaitingCall>(context.get_executor());
    ticket = parking.park(std::move(parked)).value();
  }
};

std::string edited(std::string ticket, fuzz::Bytes bytes) {
  for (int edits = 0; edits < 8 && !bytes.empty(); ++edits) {
    const auto at = bytes.number(1) % (ticket.size() + 1);
    switch (bytes.pick(5)) {
      case 0:
        ticket.resize(at);
        break;
      case 1:
        if (at < ticket.size()) ticket[at] = static_cast<char>(bytes.byte());
        break;
      case 2:
        ticket.insert(at, bytes.text());
        break;
      case 3:
        ticket.erase(at, bytes.pick(8));
        break;
      case 4:
        if (at < ticket.size()) ticket[at] = static_cast<char>(ticket[at] ^ 0x20);
        break;
    }
  }
  return ticket;
}

void try_ticket(Parked& world, std::string_view ticket) {
  ASSERT(!world.parking.is_own(ticket, Principal{"other"}, world.request));
  ASSERT(!world.parking.is_own(ticket, kOwner, sha256("other request")));
  ASSERT(!world.parking.take(ticket, Principal{"other"}, world.request));
  ASSERT(!world.parking.take(ticket, kOwner, sha256("other request")));
  const bool good = ticket == world.ticket;
  ASSERT(world.parking.is_own(ticket, kOwner, world.request) == good);
  const auto taken = world.parking.take(ticket, kOwner, world.request);
  ASSERT(taken.has_value() == good && world.parking.empty() == good);
  if (!good) return;
  ASSERT(!world.parking.take(ticket, kOwner, world.request));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  Parked first;
  try_ticket(first, edited(first.ticket, fuzz::Bytes(text)));
  Parked second;
  try_ticket(second, text);
  // Of another process, or of this one before it was started anew.
  ASSERT(!second.parking.take(first.ticket, kOwner, second.request));
  return 0;
}
