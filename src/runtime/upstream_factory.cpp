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
constexpr std::string_view kRedacted = "[secret]";
// Shorter ones would black out ordinary words.
constexpr std::size_t kRedactedBytesMin = 4;

void replace_all(std::string& text, std::string_view what) {
  if (what.size() < kRedactedBytesMin) return;
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + kRedacted.size())) {
    text.replace(at, what.size(), kRedacted);
  }
}

}  // namespace

std::unique_ptr<Upstream> make_upstream(asio::any_io_executor executor, const ServerSpec& spec,
                                        UpstreamOptions options) {
  ASSERT(options.clock != nullptr && options.random != nullptr);
  ASSERT(spec.command.empty() != spec.url.empty());
  if (!spec.command.empty()) {
    return std::make_unique<StdioUpstream>(std::move(executor), spec, std::move(options));
  }
  return std::make_unique<HttpUpstream>(std::move(executor), spec, std::move(options));
}

Result<std::string> read_secret_file(const std::string& path) {
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
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  if (secret.empty() || secret.find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos) {
    return fail(ErrorCode::unavailable,
                fmt::format("the secret file {} must hold one line of text", path));
  }
  return secret;
}

std::string redacted(std::string text, const std::vector<std::string>& secrets) {
  for (const auto& secret : secrets) {
    replace_all(text, secret);
    replace_all(text, std::string_view(secret).substr(secret.rfind(' ') + 1));
  }
  return text;
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
