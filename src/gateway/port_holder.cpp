// Who listens on a port, from /proc: for the message of a port in use.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/text.hpp"
#include "gateway/http_server.hpp"

namespace gavel {
namespace {

namespace fs = std::filesystem;

// The inode of the socket that listens on the port, from one of /proc/net/tcp{,6}; empty if none.
std::string listening_inode(const char* table, std::uint16_t port) {
  static constexpr std::string_view kListening = "0A";
  std::ifstream in(table);
  std::string line;
  std::getline(in, line);
  const auto suffix = fmt::format(":{:04X}", port);
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
    fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
        timeout >> inode;
    if (state == kListening && local.ends_with(suffix)) return inode;
  }
  return {};
}

bool has_descriptor(const fs::path& process, const std::string& target) {
  std::error_code error;
  for (const auto& descriptor : fs::directory_iterator(process / "fd", error)) {
    if (fs::read_symlink(descriptor.path(), error) == target) return true;
  }
  return false;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string port_holder(std::uint16_t port) {
  auto inode = listening_inode("/proc/net/tcp", port);
  if (inode.empty()) inode = listening_inode("/proc/net/tcp6", port);
  if (inode.empty()) return {};
  const auto target = fmt::format("socket:[{}]", inode);
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const auto pid = process.path().filename().string();
    if (!is_number(pid) || !has_descriptor(process.path(), target)) continue;
    std::ifstream in(process.path() / "comm");
    std::string name;
    std::getline(in, name);
    return fmt::format("pid {} ({})", pid, for_display(name, 64));
  }
  return {};
}

}  // namespace gavel
