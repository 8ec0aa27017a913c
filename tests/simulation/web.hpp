#pragma once
// HTTP/1.1 as the world's programs write and read it, which share no code with the product's: a
// reader that takes bytes in pieces of any size, and texts of requests and replies.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gavel::simulation {

using WebHeaders = std::vector<std::pair<std::string, std::string>>;

struct WebMessage {
  int status = 0;      // of a reply
  std::string method;  // of a request
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class WebReader {
public:
  enum class Kind { request, reply };
  explicit WebReader(Kind kind) : kind_(kind) {}

  void feed(std::string_view bytes) { rest_ += bytes; }
  // The next message, once it is whole.
  std::optional<WebMessage> next();
  // It is no HTTP.
  bool broken() const { return broken_; }

private:
  std::optional<std::string> take_chunks(std::size_t at, std::size_t& end);

  Kind kind_;
  std::string rest_;
  bool broken_ = false;
};

std::string web_request(std::string_view method, std::string_view target, std::string_view token,
                        const WebHeaders& headers, std::string_view body);
std::string web_reply(int status, const WebHeaders& headers, std::string_view body);
// The data of the last event of a text/event-stream; empty where there is none.
std::string last_event(std::string_view stream);

}  // namespace gavel::simulation
