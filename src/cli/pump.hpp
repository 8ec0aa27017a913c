#pragma once
// Bytes both ways between a pair of descriptors and a socket, until one side ends.

#include <string_view>

#include "base/result.hpp"
#include "cli/socket.hpp"

namespace gavel {

enum class PumpEnd {
  input,   // the input ended, and then the socket
  socket,  // the socket ended first
  output,  // nobody reads the output any more
};

// `first` goes to the output before anything else. `in_fd` and `out_fd` are borrowed and blocking.
Result<PumpEnd> pump(Socket& socket, std::string_view first, int in_fd, int out_fd);

}  // namespace gavel
