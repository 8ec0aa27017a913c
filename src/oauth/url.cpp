#include "oauth/url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/url/parse.hpp>
#include <charconv>
#include <optional>

#include "base/digest.hpp"
#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::size_t kUrlBytesMax = 2048;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port > 0 && port < 65536;
}

// Nothing where a percent sign has no two digits behind it.
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text.front() != '%') {
      out += text.front() == '+' ? ' ' : text.front();
      text.remove_prefix(1);
      continue;
    }
    unsigned byte = 0;
    const auto digits = text.substr(1, 2);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || error != std::errc{} || end != digits.data() + 2) {
      return std::nullopt;
    }
    out += static_cast<char>(byte);
    text.remove_prefix(3);
  }
  return out;
}

std::string_view usual_port(std::string_view scheme) {
  return scheme == "https" ? "443" : "80";
}

}  // namespace

std::string WebUrl::origin() const {
  const std::string name = host.contains(':') ? "[" + host + "]" : host;
  if (port == usual_port(scheme)) return fmt::format("{}://{}", scheme, name);
  return fmt::format("{}://{}:{}", scheme, name, port);
}

bool WebUrl::is_loopback() const {
  return is_loopback_host(host);
}

constexpr std::string_view kHostCharacters = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
constexpr std::string_view kAddressCharacters = "0123456789abcdef.:";

Result<WebUrl> parse_web_url(std::string_view url) {
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("\"{}\" is no URL that can be used: {}", for_display(url, 200), why));
  };
  if (url.size() > kUrlBytesMax) return bad("it is too long");
  const auto parsed = boost::urls::parse_uri(boost::urls::string_view(url.data(), url.size()));
  if (!parsed) return bad("it should look like https://host/path");
  WebUrl made;
  made.scheme = lower(std::string(parsed->scheme()));
  if (made.scheme != "https" && made.scheme != "http") return bad("it is neither https nor http");
  if (parsed->has_userinfo()) return bad("it holds credentials");
  made.host = lower(std::string(parsed->host_address()));
  if (made.host.empty()) return bad("it names no host");
  // Escapes are decoded by now: what they hid must not become a part of another URL.
  const bool is_ipv6 = parsed->host_type() == boost::urls::host_type::ipv6;
  if (made.host.find_first_not_of(is_ipv6 ? kAddressCharacters : kHostCharacters) !=
      std::string::npos) {
    return bad("its host has characters that no host has");
  }
  made.port = std::string(parsed->has_port() ? std::string(parsed->port())
                                             : std::string(usual_port(made.scheme)));
  if (!is_port(made.port)) return bad("its port is not one");
  made.path = std::string(parsed->encoded_path());
  made.query = std::string(parsed->encoded_query());
  made.has_fragment = parsed->has_fragment();
  return made;
}

bool same_origin(const WebUrl& a, const WebUrl& b) {
  return a.scheme == b.scheme && a.host == b.host && a.port == b.port;
}

bool is_loopback_host(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  if (!host.starts_with("127.")) return false;
  return host.find_first_not_of("0123456789.") == std::string_view::npos;
}

Status check_confidential(const WebUrl& url, std::string_view what) {
  if (url.scheme == "https" || url.is_loopback()) return {};
  return fail(ErrorCode::permission_denied,
              fmt::format("{} is {}, and nothing secret is sent there: it must be https", what,
                          for_display(url.origin(), 200)));
}

std::string well_known_before_path(const WebUrl& url, std::string_view name) {
  const std::string path = url.path == "/" ? "" : url.path;
  return fmt::format("{}/.well-known/{}{}", url.origin(), name, path);
}

std::string well_known_after_path(const WebUrl& url, std::string_view name) {
  std::string path = url.path;
  while (path.ends_with('/')) path.pop_back();
  return fmt::format("{}{}/.well-known/{}", url.origin(), path, name);
}

std::string form_encode(const FormFields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    if (!out.empty()) out += '&';
    out.append(percent_encode(name)).append("=").append(percent_encode(value));
  }
  return out;
}

Result<FormFields> form_decode(std::string_view text) {
  const auto bad = [] { return fail(ErrorCode::invalid_argument, "this is no encoded form"); };
  if (text.size() > kFormBytesMax) return bad();
  FormFields fields;
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const auto field = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (field.empty()) continue;
    const auto split = std::min(field.find('='), field.size());
    const auto name = decoded(field.substr(0, split));
    const auto value = decoded(field.substr(std::min(split + 1, field.size())));
    if (!name || !value || fields.size() == kFormFieldsMax) return bad();
    fields.emplace_back(*name, *value);
  }
  return fields;
}

std::string to_base64url(std::string_view bytes) {
  std::string text = to_base64(bytes);
  while (text.ends_with('=')) text.pop_back();
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return text;
}

}  // namespace gavel
