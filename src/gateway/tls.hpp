#pragma once
// What the server shows to TLS clients: its certificate, from files, and what it accepts of them:
// TLS 1.2 with forward secrecy and authenticated encryption, or TLS 1.3.

#include <memory>
#include <string>

#include "base/result.hpp"

namespace boost::asio::ssl {
class context;
}

namespace gavel {

struct TlsFiles {
  std::string certificate;  // PEM: the server's certificate, then those that vouch for it
  std::string key;          // PEM, without a passphrase, readable by us alone
};

// Errors: invalid_argument, with the file that is wrong and what to do.
Result<std::shared_ptr<boost::asio::ssl::context>> make_tls_context(const TlsFiles& files);

}  // namespace gavel
