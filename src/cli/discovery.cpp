#include "cli/discovery.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/json.hpp"

namespace gavel {
namespace fs = std::filesystem;

namespace {

class Descriptor {
public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

private:
  int fd_;
};

std::unexpected<Error> file_error(std::string_view verb, const fs::path& file, int error) {
  const auto code = error == ENOENT                     ? ErrorCode::not_found
                    : error == EEXIST                   ? ErrorCode::already_exists
                    : error == EACCES || error == EPERM ? ErrorCode::permission_denied
                                                        : ErrorCode::unavailable;
  return fail(code, fmt::format("cannot {} {}: {}", verb, file.string(), std::strerror(error)));
}

Status write_everything(int fd, std::string_view text, const fs::path& file) {
  while (!text.empty()) {
    const auto n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return file_error("write", file, errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

Result<fs::path> state_directory(const std::string& option, const World& world) {
  const auto absolute = [&](const fs::path& path) {
    return (path.is_absolute() ? path : fs::path(world.directory) / path).lexically_normal();
  };
  if (!option.empty()) return absolute(option);
  if (const auto state = world.variable("GAVEL_STATE")) return absolute(*state);
  if (const auto xdg = world.variable("XDG_STATE_HOME")) return absolute(*xdg) / "gavel";
  if (const auto home = world.variable("HOME")) return absolute(*home) / ".local/state/gavel";
  return fail(ErrorCode::invalid_argument,
              "no state directory: neither GAVEL_STATE nor HOME is set; name one with --state DIR");
}

Result<std::string> read_text_file(const fs::path& file, std::size_t max_bytes) {
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (opened.get() < 0) return file_error("read", file, errno);
  std::string text;
  std::string block(64u << 10, '\0');
  for (;;) {
    const auto n = ::read(opened.get(), block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error("read", file, errno);
    if (n == 0) return text;
    text.append(block, 0, static_cast<std::size_t>(n));
    if (text.size() > max_bytes) {
      return fail(ErrorCode::too_large,
                  fmt::format("{} has more than {} bytes", file.string(), max_bytes));
    }
  }
}

Status write_text_file(const fs::path& file, std::string_view text, unsigned mode,
                       Replace replace) {
  const fs::path temporary = file.string() + fmt::format(".{}.new", ::getpid());
  const auto abandon = [&](std::unexpected<Error> error) {
    ::unlink(temporary.c_str());
    return error;
  };
  {
    const Descriptor opened(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (opened.get() < 0) return file_error("create", file, errno);
    if (::fchmod(opened.get(), mode) != 0) return abandon(file_error("write", file, errno));
    if (auto written = write_everything(opened.get(), text, file); !written) {
      return abandon(std::unexpected(written.error()));
    }
    if (::fsync(opened.get()) != 0) return abandon(file_error("write", file, errno));
  }
  if (replace == Replace::yes) {
    if (::rename(temporary.c_str(), file.c_str()) != 0) {
      return abandon(file_error("write", file, errno));
    }
    return {};
  }
  if (::link(temporary.c_str(), file.c_str()) != 0) {
    return abandon(file_error("create", file, errno));
  }
  ::unlink(temporary.c_str());
  return {};
}

Result<std::optional<DaemonRecord>> read_daemon_record(const fs::path& state) {
  const auto file = state / "daemon.json";
  auto text = read_text_file(file, 64u << 10);
  if (!text && text.error().code == ErrorCode::not_found) return std::nullopt;
  if (!text) return std::unexpected(text.error());
  const auto value = parse_json(*text);
  if (!value || string_or(*value, "url").empty()) {
    return fail(ErrorCode::corrupted,
                fmt::format("{} does not name a daemon; remove it and start gavel up again",
                            file.string()));
  }
  return DaemonRecord{std::string(string_or(*value, "url")),
                      static_cast<int>(int_or(*value, "pid", 0)),
                      std::string(string_or(*value, "certificate"))};
}

DaemonAddress address_of(const DaemonRecord& record) {
  return {record.url, TlsTrust{.certificate = record.certificate, .authorities = {}}};
}

Result<TokenRecord> read_token(const fs::path& file) {
  ASSIGN_OR_RETURN(const auto text, read_text_file(file, 64u << 10));
  const auto value = parse_json(text);
  TokenRecord record;
  if (value) record.token = string_or(*value, "token");
  // The token goes into a header: nothing that could end one.
  const bool printable = record.token.find_first_of(" \r\n\t") == std::string::npos;
  if (record.token.empty() || !printable) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} holds no token: expected {{\"principal\":...,\"roles\":[...],"
                            "\"token\":...}}; make one with gavel token new",
                            file.string()));
  }
  record.principal = string_or(*value, "principal");
  if (const auto* roles = find_array(*value, "roles")) {
    for (const auto& role : *roles) {
      if (role.is_string()) record.roles.emplace_back(view(role.get_string()));
    }
  }
  return record;
}

}  // namespace gavel
