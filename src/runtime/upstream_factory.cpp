#include "runtime/upstream_factory.hpp"

#include <fmt/format.h>

#include <fstream>
#include <vector>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "runtime/http_upstream.hpp"
#include "runtime/stdio_upstream.hpp"

namespace gavel {
namespace {

constexpr std::size_t kShownLines = 20;
constexpr std::size_t kShownLineBytes = 500;
// Requests over HTTP may carry credentials; environments without files hold none that Gavel knows
// of.
bool has_secrets(const ServerSpec& spec) {
  return !spec.environment_files.empty() || !spec.url.empty();
}

}  // namespace

std::unique_ptr<Upstream> make_upstream(asio::any_io_executor executor, const ServerSpec& spec,
                                        UpstreamOptions options) {
  ASSERT(options.clock != nullptr && options.random != nullptr);
  ASSERT(spec.command.empty() != spec.url.empty());
  const auto redactor = options.redactor;
  if (has_secrets(spec) && options.on_notification) {
    options.on_notification = [redactor, tell = std::move(options.on_notification)](
                                  std::string_view method, std::string_view params) {
      tell(method, redactor->json(std::string(params)));
    };
  }
  std::unique_ptr<Upstream> made;
  if (!spec.command.empty()) {
    made = std::make_unique<StdioUpstream>(std::move(executor), spec, std::move(options));
  } else {
    made = std::make_unique<HttpUpstream>(std::move(executor), spec, std::move(options));
  }
  return has_secrets(spec) ? redacting(std::move(made), redactor) : std::move(made);
}

Result<std::string> read_key_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(ErrorCode::unavailable,
                fmt::format("cannot read the secret file {}; check the path and its mode", path));
  }
  std::string secret(kSecretBytesMax + 1, '\0');
  file.read(secret.data(), static_cast<std::streamsize>(secret.size()));
  secret.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad() || secret.size() > kSecretBytesMax) {
    return fail(ErrorCode::unavailable,
                fmt::format("the secret file {} cannot be read or is over {} bytes", path,
                            kSecretBytesMax));
  }
  return secret;
}

Result<std::string> read_secret_file(const std::string& path) {
  ASSIGN_OR_RETURN(auto secret, read_key_file(path));
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  if (secret.empty() || secret.find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos) {
    return fail(ErrorCode::unavailable,
                fmt::format("the secret file {} must hold one line of text", path));
  }
  return secret;
}

std::string shown_stderr(std::string_view tail) {
  std::vector<std::string_view> lines;
  while (!tail.empty()) {
    const std::size_t end = tail.find('\n');
    if (end != 0) lines.push_back(tail.substr(0, end));
    tail = end == std::string_view::npos ? std::string_view{} : tail.substr(end + 1);
  }
  std::string shown;
  const std::size_t first = lines.size() > kShownLines ? lines.size() - kShownLines : 0;
  for (std::size_t i = first; i < lines.size(); ++i) {
    if (!shown.empty()) shown += '\n';
    shown += for_display(lines[i], kShownLineBytes);
  }
  return shown;
}

}  // namespace gavel
