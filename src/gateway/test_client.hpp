#pragma once
// For tests: a blocking HTTP client over a loopback socket, and an event loop that runs in a thread
// of its own, so that a test reads like the client's side of the conversation.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gavel::test {

namespace asio = boost::asio;

class EventLoop {
public:
  EventLoop();
  ~EventLoop();
  asio::any_io_executor executor();
  // Runs it on the loop and waits until it is done.
  void run(std::function<void()> work);
  void await(std::function<asio::awaitable<void>()> work);

private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct Reply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string header(std::string_view name) const;
};

// Every read gives up, and fails the test, after some seconds.
class Client {
public:
  // "127.0.0.1:41327"
  explicit Client(const std::string& endpoint);
  ~Client();
  Client(Client&& other) noexcept;

  void send(std::string_view bytes);
  // One whole response; status 0 where the connection ended instead.
  Reply receive();
  // The head only; then lines or bytes.
  Reply receive_head();
  // Without its line end; of a chunked stream, a line of the content. Nothing at the end.
  std::optional<std::string> read_line();
  // The next event's data (lines joined); comments are returned as ":text".
  std::optional<std::string> read_event();
  bool at_end();
  // Closes without waiting for anything.
  void close();

  Reply request(std::string_view method, std::string_view target, std::string_view body = {},
                const std::vector<std::pair<std::string, std::string>>& headers = {});
  void send_request(std::string_view method, std::string_view target, std::string_view body = {},
                    const std::vector<std::pair<std::string, std::string>>& headers = {});

  std::string authorization;  // sent with every request where it is not empty

private:
  bool fill();
  bool fill_content();
  int fd_ = -1;
  std::string endpoint_;
  std::string raw_;      // bytes read and not yet used
  std::string content_;  // of a stream, without its chunk framing
  bool chunked_ = false;
  bool streaming_ = false;
};

}  // namespace gavel::test
