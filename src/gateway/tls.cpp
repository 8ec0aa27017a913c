#include "gateway/tls.hpp"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>

#include "gateway/private_file.hpp"

namespace gavel {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr std::size_t kKeyBytesMax = 64u << 10;
// Of TLS 1.2; those of TLS 1.3 are all of this kind.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

std::unexpected<Error> bad_file(std::string_view what, const std::string& path,
                                std::string_view why) {
  return fail(ErrorCode::invalid_argument, fmt::format("the TLS {} {}: {}", what, path, why));
}

Status limit_protocol(ssl::context& context) {
  error_code error;
  context.set_options(ssl::context::no_compression | SSL_OP_NO_RENEGOTIATION, error);
  auto* native = context.native_handle();
  if (error || ::SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) != 1 ||
      ::SSL_CTX_set_cipher_list(native, kCiphers) != 1) {
    return fail(ErrorCode::unavailable, "this machine's OpenSSL cannot serve TLS 1.2");
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<ssl::context>> make_tls_context(const TlsFiles& files) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  TRY(limit_protocol(*context));
  error_code error;
  context->use_certificate_chain_file(files.certificate, error);
  if (error) return bad_file("certificate", files.certificate, error.message());
  auto key = read_private_file(files.key, kKeyBytesMax, Links::follow);
  if (!key) return bad_file("key", files.key, key.error().message);
  // OpenSSL would ask for a passphrase on the terminal.
  context->set_password_callback(
      [](std::size_t, ssl::context::password_purpose) { return std::string{}; }, error);
  if (!error) context->use_private_key(boost::asio::buffer(*key), ssl::context::pem, error);
  ::OPENSSL_cleanse(key->data(), key->size());
  if (error) {
    return bad_file("key", files.key,
                    fmt::format("{}; it must be PEM, without a passphrase, and belong to {}",
                                error.message(), files.certificate));
  }
  return context;
}

}  // namespace gavel
