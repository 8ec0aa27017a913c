#include "cli/redirect_listener.hpp"

#include <gmock/gmock.h>

#include <array>
#include <thread>

namespace gavel {
namespace {

using testing::HasSubstr;

TEST(RedirectQuery, IsThatOfAGetOfThePath) {
  const auto of = [](std::string_view line) {
    return redirect_query(std::string(line) + "\r\nHost: x\r\n\r\n", "/callback");
  };
  EXPECT_EQ(of("GET /callback?code=a&state=b HTTP/1.1").value(), "code=a&state=b");
  EXPECT_EQ(of("GET /callback? HTTP/1.1").value(), "");
  for (const std::string_view bad :
       {"GET /favicon.ico HTTP/1.1", "GET /callback HTTP/1.1", "POST /callback?code=a HTTP/1.1",
        "GET /callback/x?code=a HTTP/1.1", "GET", "GET  HTTP/1.1", ""}) {
    EXPECT_FALSE(of(bad)) << bad;
  }
}

std::string get(std::uint16_t port, std::string_view target) {
  auto socket = Socket::connect("127.0.0.1", port, deadline_in(std::chrono::seconds(30))).value();
  const auto request = std::string("GET ").append(target).append(" HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(socket.write_all(request, deadline_in(std::chrono::seconds(30))));
  std::string answer;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto size = socket.read_some(buffer, deadline_in(std::chrono::seconds(30)));
    if (!size || *size == 0) return answer;
    answer.append(buffer.data(), *size);
  }
}

std::uint16_t port_of(const RedirectListener& listener) {
  const auto uri = listener.redirect_uri();
  const auto from = uri.rfind(':') + 1;
  return static_cast<std::uint16_t>(std::stoul(uri.substr(from, uri.rfind('/') - from)));
}

TEST(RedirectListener, TakesTheFirstAnswerAndTellsTheBrowserHowItWent) {
  for (const bool good : {true, false}) {
    auto listener = RedirectListener::open(0).value();
    const auto port = port_of(listener);
    EXPECT_FALSE(RedirectListener::open(port)) << "it is taken";
    std::string other;
    std::string seen;
    std::thread browser([&] {
      other = get(port, "/favicon.ico");
      seen = get(port, "/callback?code=x");
    });
    std::string query;
    const auto done =
        listener.wait(deadline_in(std::chrono::seconds(30)), [&](std::string came) -> Status {
          query = std::move(came);
          if (good) return {};
          return fail(ErrorCode::permission_denied, "no <b>");
        });
    browser.join();
    EXPECT_EQ(done.has_value(), good);
    EXPECT_EQ(query, "code=x");
    EXPECT_THAT(other, HasSubstr("404"));
    EXPECT_THAT(seen, HasSubstr(good ? "200 OK" : "400 Bad Request"));
  }
}

TEST(RedirectListener, GivesUpAtItsDeadline) {
  auto listener = RedirectListener::open(0).value();
  const auto done = listener.wait(deadline_in(std::chrono::milliseconds(20)),
                                  [](const std::string&) { return Status{}; });
  EXPECT_EQ(done.error().code, ErrorCode::timeout);
}

}  // namespace
}  // namespace gavel
