#pragma once
// Waits on loopback for a browser to come back from a login (RFC 8252, section 7.3): one GET of
// /callback, whose query is what the authorization server says. Everything else gets a 404.

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.hpp"
#include "cli/socket.hpp"

namespace gavel {

class RedirectListener {
public:
  // `port` 0: any that is free. unavailable where it is taken.
  static Result<RedirectListener> open(std::uint16_t port);

  // "http://127.0.0.1:8400/callback"
  std::string redirect_uri() const;

  // Waits for the browser. `take` gets the query, and what it returns is told to the person in the
  // browser, too. Errors: those of `take`, timeout, cancelled (a signal came).
  Status wait(Deadline deadline, const std::function<Status(std::string query)>& take);

private:
  RedirectListener(Socket socket, std::uint16_t port) : socket_(std::move(socket)), port_(port) {}
  Socket socket_;
  std::uint16_t port_;
};

// The query of a request's head for `path`, "a=1" of "GET /callback?a=1 HTTP/1.1"; not_found where
// it asks for something else.
Result<std::string> redirect_query(std::string_view head, std::string_view path);

}  // namespace gavel
