#include "gateway/auth.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/json.hpp"
#include "base/text.hpp"
#include "gateway/descriptor.hpp"
#include "gateway/private_file.hpp"

namespace gavel {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTokenFileMax = 64u << 10;
constexpr std::size_t kTokenFilesMax = 1024;
constexpr std::size_t kTokenMin = 32;
// After a miss, how often the directory's time is looked at, and how often it is read all the same;
// and how often it is read anyway.
constexpr std::chrono::milliseconds kLook{50};
constexpr std::chrono::milliseconds kAfterMiss{1'000};
constexpr std::chrono::milliseconds kAnyway{5'000};
// A change so soon after another may leave the directory's time as it was.
constexpr std::chrono::milliseconds kTimeGrain{100};

constexpr std::array kRoles = {Role::driver,   Role::voter,    Role::decider, Role::executor,
                               Role::observer, Role::approver, Role::admin};

// When the directory last changed, 0 where it is not there.
std::int64_t changed_ns(const fs::path& directory) {
  struct stat info{};
  if (::stat(directory.c_str(), &info) != 0) return 0;
  return std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

Result<std::string> new_token() {
  std::array<unsigned char, 32> random{};
  if (::RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    return fail(ErrorCode::unavailable, "the system gives no random bytes for a token");
  }
  return "gavel_" +
         to_hex(std::string_view(reinterpret_cast<const char*>(random.data()), random.size()));
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// Appears whole or not at all, and never replaces one that is there.
Status write_token_file(const fs::path& path, std::string_view principal,
                        std::initializer_list<std::string_view> roles) {
  ASSIGN_OR_RETURN(const auto token, new_token());
  json::array names;
  for (const auto role : roles) names.emplace_back(role);
  const auto text = pretty_json(
      json::object{{"principal", principal}, {"roles", std::move(names)}, {"token", token}});
  const auto temporary = path.string() + fmt::format(".{}.new", ::getpid());
  const auto failed = [&](std::string_view what) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return fail(ErrorCode::unavailable, fmt::format("cannot {} the token file {}: {}", what,
                                                    path.string(), std::strerror(error)));
  };
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.is_open()) return failed("create");
    if (::fchmod(file.get(), 0600) != 0 || !write_all(file.get(), text + "\n") ||
        ::fsync(file.get()) != 0) {
      return failed("write");
    }
  }
  if (::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) return failed("place");
  ::unlink(temporary.c_str());
  // Whoever was given the token keeps it, also if the power fails now.
  const Descriptor directory(
      ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open() || ::fsync(directory.get()) != 0) return failed("keep");
  return {};
}

// The host of "host", "host:port", "[v6]" or "[v6]:port"; nothing where it is none of them.
std::string_view host_of(std::string_view authority) {
  const auto end = authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':');
  const auto host = authority.substr(0, end);
  const auto port = authority.substr(host.size());
  const bool has_port =
      port.starts_with(':') && port.find_first_not_of("0123456789", 1) == std::string_view::npos;
  return port.empty() || has_port ? host : std::string_view{};
}

bool is_loopback_name(std::string_view host) {
  if (equal_ignoring_case(host, "localhost") || host == "[::1]") return true;
  // 127.0.0.0/8: digits and dots only, so never a name that somebody could rebind.
  return host.starts_with("127.") &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool is_wildcard(std::string_view host) {
  return host == "[::]" || host == "0.0.0.0";
}

bool is_named(std::string_view host, std::span<const std::string> names) {
  return std::ranges::any_of(
      names, [&](const std::string& name) { return equal_ignoring_case(name, host); });
}

bool is_known_origin(std::string_view origin, std::span<const std::string> names) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!origin.starts_with(scheme)) continue;
    const auto host = host_of(origin.substr(scheme.size()));
    // A page that came without TLS may be anybody's, whatever its name.
    return is_loopback_name(host) || (scheme == "https://" && is_named(host, names));
  }
  return false;
}

}  // namespace

Result<TokenFile> parse_token_file(std::string_view text) {
  ASSIGN_OR_RETURN(const auto value,
                   parse_json(text, {.max_bytes = kTokenFileMax, .max_depth = 8}));
  TokenFile file;
  file.principal = Principal{std::string(string_or(value, "principal"))};
  file.token = std::string(string_or(value, "token"));
  if (file.principal.empty()) {
    return fail(ErrorCode::invalid_argument, "\"principal\" must be a name");
  }
  if (file.token.size() < kTokenMin) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("\"token\" must have {} characters or more", kTokenMin));
  }
  const auto* roles = find_array(value, "roles");
  if (roles == nullptr || roles->empty()) {
    return fail(ErrorCode::invalid_argument, "\"roles\" must be a list of roles");
  }
  for (const auto& role : *roles) {
    const auto name = role.is_string() ? view(role.get_string()) : std::string_view{};
    const auto known = std::ranges::find_if(kRoles, [&](Role r) { return to_string(r) == name; });
    if (known == kRoles.end()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("\"roles\" holds \"{}\"; the roles are driver, voter, decider, "
                              "executor, observer, approver and admin",
                              for_display(name, 64)));
    }
    file.roles.push_back(*known);
  }
  return file;
}

Authenticator::Authenticator(fs::path directory, Clock clock)
    : directory_(std::move(directory)), clock_(std::move(clock)) {}

const Authenticator::Known* Authenticator::find(const Digest& token) const {
  const Known* found = nullptr;
  for (const auto& known : known_) {
    if (equal_constant_time(known.token.view(), token.view())) found = &known;
  }
  return found;
}

bool Authenticator::may_have_changed() const {
  return *read_at_ < settled_at_ || changed_ns(directory_) != changed_ns_;
}

void Authenticator::read_directory(std::chrono::steady_clock::time_point now) {
  const auto changed = changed_ns(directory_);
  if (changed != changed_ns_ || !read_at_) settled_at_ = now + kTimeGrain;
  changed_ns_ = changed;
  read_at_ = now;
  known_.clear();
  problems_.clear();
  std::vector<fs::path> paths;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(directory_, error)) {
    if (file.path().extension() == ".json" && paths.size() < kTokenFilesMax) {
      paths.push_back(file.path());
    }
  }
  std::ranges::sort(paths);
  for (const auto& path : paths) {
    const auto text = read_private_file(path, kTokenFileMax, Links::refuse);
    auto file = text ? parse_token_file(*text) : std::unexpected(text.error());
    if (!file) {
      problems_.push_back(path.filename().string() + ": " + file.error().message);
      continue;
    }
    known_.push_back({sha256(file->token), Caller{file->principal, std::move(file->roles)}});
  }
}

Result<Caller> Authenticator::authenticate(std::optional<std::string_view> authorization) {
  static constexpr std::string_view kScheme = "Bearer ";
  if (!authorization || authorization->size() <= kScheme.size() ||
      !equal_ignoring_case(authorization->substr(0, kScheme.size()), kScheme)) {
    return fail(ErrorCode::unauthenticated,
                "send \"Authorization: Bearer TOKEN\"; tokens lie under the state directory, in "
                "tokens/operator.json and tokens/agent.json");
  }
  const auto token = sha256(authorization->substr(kScheme.size()));
  const auto now = clock_();
  if (!read_at_ || now - *read_at_ >= kAnyway) {
    read_directory(now);
  }
  const Known* known = find(token);
  if (known == nullptr && now - looked_at_ >= kLook) {
    looked_at_ = now;
    if (now - *read_at_ >= kAfterMiss || may_have_changed()) {
      read_directory(now);
      known = find(token);
    }
  }
  if (known != nullptr) return known->caller;
  return fail(
      ErrorCode::unauthenticated,
      fmt::format("this token is not known; see the files under {}{}", directory_.string(),
                  problems_.empty() ? std::string{}
                                    : fmt::format(" (ignored: {})", fmt::join(problems_, "; "))));
}

Status create_default_tokens(const fs::path& state_directory) {
  const auto directory = state_directory / "tokens";
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) {
    return fail(ErrorCode::unavailable,
                fmt::format("cannot make {}: {}", directory.string(), error.message()));
  }
  fs::permissions(directory, fs::perms::owner_all, error);
  const auto operators = directory / "operator.json";
  const auto agent = directory / "agent.json";
  if (!fs::exists(fs::symlink_status(operators))) {
    TRY(write_token_file(operators, "operator", {"admin", "approver"}));
  }
  if (!fs::exists(fs::symlink_status(agent))) {
    TRY(write_token_file(agent, "agent", {"driver"}));
  }
  return {};
}

std::vector<std::string> answered_hosts(std::span<const std::string> listen,
                                        std::vector<std::string> names) {
  for (const auto& address : listen) {
    const auto host = host_of(address);
    if (!is_wildcard(host) && !is_loopback_name(host)) names.emplace_back(host);
  }
  return names;
}

Status check_host_and_origin(const HttpRequest& request, std::span<const std::string> names) {
  if (request.count_headers("Host") != 1) {
    return fail(ErrorCode::permission_denied, "send exactly one Host header");
  }
  const auto host = *request.header("Host");
  if (!is_loopback_name(host_of(host)) && !is_named(host_of(host), names)) {
    return fail(
        ErrorCode::permission_denied,
        fmt::format("the Host header names \"{}\"; Gavel answers only to localhost, 127.0.0.1, "
                    "[::1] and what `daemon.hosts` names (a web page may have rebound that name)",
                    for_display(host, 100)));
  }
  const auto origin = request.header("Origin");
  if (origin && !is_known_origin(*origin, names)) {
    return fail(ErrorCode::permission_denied,
                fmt::format("requests from the web origin \"{}\" are not accepted",
                            for_display(*origin, 100)));
  }
  return {};
}

}  // namespace gavel
