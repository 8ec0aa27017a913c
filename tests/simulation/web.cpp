#include "web.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace gavel::simulation {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::optional<std::size_t> number(std::string_view text, int base) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::string> WebReader::take_chunks(std::size_t at, std::size_t& end) {
  std::string body;
  for (;;) {
    const auto line = rest_.find("\r\n", at);
    if (line == std::string::npos) return std::nullopt;
    const auto size = number(std::string_view(rest_).substr(at, line - at), 16);
    if (!size) {
      broken_ = true;
      return std::nullopt;
    }
    at = line + 2;
    if (rest_.size() < at + *size + 2) return std::nullopt;
    body += rest_.substr(at, *size);
    at += *size + 2;
    if (*size > 0) continue;
    end = at;
    return body;
  }
}

std::optional<WebMessage> WebReader::next() {
  const auto head = rest_.find("\r\n\r\n");
  if (broken_ || head == std::string::npos) return std::nullopt;
  WebMessage message;
  std::string_view lines = std::string_view(rest_).substr(0, head);
  const auto take_line = [&] {
    const auto end = std::min(lines.find("\r\n"), lines.size());
    const auto line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 2, lines.size()));
    return line;
  };
  const auto first = take_line();
  const auto space = first.find(' ');
  if (space == std::string_view::npos) {
    broken_ = true;
    return std::nullopt;
  }
  if (kind_ == Kind::reply) {
    message.status = static_cast<int>(number(first.substr(space + 1), 10).value_or(0));
  } else {
    message.method = first.substr(0, space);
    message.target = first.substr(space + 1, first.rfind(' ') - space - 1);
  }
  while (!lines.empty()) {
    const auto line = take_line();
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    auto value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    message.headers[lower(line.substr(0, colon))] = value;
  }
  std::size_t end = head + 4;
  if (message.headers.contains("transfer-encoding")) {
    auto body = take_chunks(end, end);
    if (!body) return std::nullopt;
    message.body = std::move(*body);
  } else if (const auto length = message.headers.find("content-length");
             length != message.headers.end()) {
    const std::size_t size = number(length->second, 10).value_or(0);
    if (rest_.size() < end + size) return std::nullopt;
    message.body = rest_.substr(end, size);
    end += size;
  }
  rest_.erase(0, end);
  return message;
}

std::string web_request(std::string_view method, std::string_view target, std::string_view token,
                        const WebHeaders& headers, std::string_view body) {
  std::string out =
      fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1:7420\r\nAuthorization: Bearer {}\r\n", method,
                  target, token);
  for (const auto& [name, value] : headers) out += fmt::format("{}: {}\r\n", name, value);
  if (method != "GET") {
    out += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  }
  return out + "\r\n" + std::string(body);
}

std::string web_reply(int status, const WebHeaders& headers, std::string_view body) {
  std::string out = fmt::format("HTTP/1.1 {} It\r\n", status);
  for (const auto& [name, value] : headers) out += fmt::format("{}: {}\r\n", name, value);
  return out + fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body);
}

std::string last_event(std::string_view stream) {
  std::string data;
  while (!stream.empty()) {
    const auto end = std::min(stream.find('\n'), stream.size());
    auto line = stream.substr(0, end);
    stream.remove_prefix(std::min(end + 1, stream.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    constexpr std::string_view kData = "data: ";
    if (line.starts_with(kData)) data = line.substr(kData.size());
  }
  return data;
}

}  // namespace gavel::simulation
