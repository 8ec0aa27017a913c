#pragma once
// TLS for the command line's connections. The server is always verified: by the one certificate
// that a daemon of this machine is known by, or by authorities and the host's name.

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

struct ssl_st;

namespace gavel {

// Whom to take for the daemon. Both are PEM files; where both are empty, it is who the system's
// authorities vouch for.
struct TlsTrust {
  std::string certificate;  // whoever shows its first one and no other, whatever the host's name
  std::string authorities;  // whom these vouch for, and nobody else's
};

// TLS over a descriptor that does not block and that is borrowed. Nothing here waits: what cannot
// go on says for what. Two threads may use it, one reading and one writing.
class TlsSession {
public:
  enum class Wants { nothing, readable, writable };
  struct Progress {
    Wants wants = Wants::nothing;  // nothing: it is done
    std::size_t bytes = 0;         // read (0: the peer has ended) or written
  };

  // Errors: invalid_argument (a file of `trust` cannot be used), unavailable.
  static Result<std::unique_ptr<TlsSession>> make(int fd, const std::string& host,
                                                  const TlsTrust& trust);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Errors of all: unavailable (the connection broke). Of the handshake also permission_denied:
  // this is not who is trusted.
  Result<Progress> handshake();
  Result<Progress> read(std::span<char> into);
  Result<Progress> write(std::string_view bytes);
  // Says that nothing more will be written.
  Result<Progress> finish();

private:
  TlsSession(ssl_st* native, std::string host, TlsTrust trust);
  Result<Progress> progress_of(int result);
  Status check_certificate() const;
  Error refusal(std::string_view why) const;

  ssl_st* native_;
  std::string host_;
  TlsTrust trust_;
  std::mutex mutex_;  // OpenSSL's object is for one thread at a time
};

}  // namespace gavel
