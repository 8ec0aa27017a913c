#pragma once
// For tests: a blocking HTTP client over a loopback socket, and an event loop that runs in a thread
// of its own, so that a test reads like the client's side of the conversation.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct ssl_st;

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

enum class Wire { plain, tls };

// A directory with localhost.pem and localhost.key as a daemon wants them; gone with its object.
class TlsFixture {
public:
  TlsFixture();
  ~TlsFixture();
  TlsFixture(const TlsFixture&) = delete;
  TlsFixture& operator=(const TlsFixture&) = delete;
  std::string certificate() const { return (directory_ / "localhost.pem").string(); }
  std::string key() const { return (directory_ / "localhost.key").string(); }

private:
  std::filesystem::path directory_;
};

// Every read gives up, and fails the test, after some seconds.
class Client {
public:
  // "127.0.0.1:41327". Over TLS, the server's certificate must be that of tests/fixtures/tls.
  explicit Client(const std::string& endpoint, Wire wire = Wire::plain);
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
  // Whether a chunked stream's end came together with what was read of it.
  bool end_came() const { return raw_ == "0\r\n\r\n"; }
  // Whether the connection's end was announced, as TLS does.
  bool said_goodbye() const;
  // Closes without waiting for anything.
  void close();

  Reply request(std::string_view method, std::string_view target, std::string_view body = {},
                const std::vector<std::pair<std::string, std::string>>& headers = {});
  void send_request(std::string_view method, std::string_view target, std::string_view body = {},
                    const std::vector<std::pair<std::string, std::string>>& headers = {});

  std::string authorization;  // sent with every request where it is not empty
  std::string last_event_id;  // of the events that were read

private:
  void start_tls();
  bool fill();
  bool fill_content();
  int fd_ = -1;
  ssl_st* tls_ = nullptr;
  std::string endpoint_;
  std::string raw_;      // bytes read and not yet used
  std::string content_;  // of a stream, without its chunk framing
  bool chunked_ = false;
  bool streaming_ = false;
};

}  // namespace gavel::test
