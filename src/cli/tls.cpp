#include "cli/tls.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>

namespace gavel {
namespace {

template <auto Free>
struct Freeing {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Context = std::unique_ptr<SSL_CTX, Freeing<&SSL_CTX_free>>;
using Certificate = std::unique_ptr<X509, Freeing<&X509_free>>;
using File = std::unique_ptr<BIO, Freeing<&BIO_free_all>>;

// --- a BIO over a descriptor: OpenSSL's own would raise SIGPIPE ---

int descriptor_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(::BIO_get_data(bio)));
}

bool may_retry() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

int send_bytes(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const auto n = ::send(descriptor_of(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && may_retry()) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

int receive_bytes(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  const auto n = ::recv(descriptor_of(bio), into, static_cast<std::size_t>(size), 0);
  if (n < 0 && may_retry()) BIO_set_retry_read(bio);
  return static_cast<int>(n);
}

long control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO* bio_over(int fd) {
  static BIO_METHOD* const method = [] {
    auto* made = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gavel socket");
    ::BIO_meth_set_write(made, send_bytes);
    ::BIO_meth_set_read(made, receive_bytes);
    ::BIO_meth_set_ctrl(made, control);
    return made;
  }();
  auto* const bio = ::BIO_new(method);
  ::BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  ::BIO_set_init(bio, 1);
  return bio;
}

// --- trust ---

std::string last_error() {
  const auto code = ::ERR_get_error();
  const char* reason = code == 0 ? nullptr : ::ERR_reason_error_string(code);
  return reason == nullptr ? "it broke off" : reason;
}

std::unexpected<Error> bad_file(const std::string& file) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("cannot read a certificate from {}: {}", file, last_error()));
}

Result<Certificate> first_certificate(const std::string& file) {
  ::ERR_clear_error();
  const File bio(::BIO_new_file(file.c_str(), "r"));
  Certificate certificate;
  if (bio) certificate.reset(::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) return bad_file(file);
  return certificate;
}

Status load_trust(SSL_CTX* context, const TlsTrust& trust) {
  ::ERR_clear_error();
  if (!trust.certificate.empty()) {
    ASSIGN_OR_RETURN(const auto certificate, first_certificate(trust.certificate));
    auto* const store = ::SSL_CTX_get_cert_store(context);
    // It is trusted as it stands, whoever signed it.
    ::X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    if (::X509_STORE_add_cert(store, certificate.get()) != 1) return bad_file(trust.certificate);
  } else if (!trust.authorities.empty()) {
    if (::SSL_CTX_load_verify_file(context, trust.authorities.c_str()) != 1) {
      return bad_file(trust.authorities);
    }
  } else if (::SSL_CTX_set_default_verify_paths(context) != 1) {
    return fail(ErrorCode::unavailable, "cannot read the system's certificates");
  }
  return {};
}

bool expect_host(SSL* native, const std::string& host) {
  auto* const parameters = ::SSL_get0_param(native);
  // An address is verified as one, and is no server name.
  if (::X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1) return true;
  return ::SSL_set1_host(native, host.c_str()) == 1 &&
         SSL_set_tlsext_host_name(native, host.c_str()) == 1;
}

}  // namespace

Result<std::unique_ptr<TlsSession>> TlsSession::make(int fd, const std::string& host,
                                                     const TlsTrust& trust) {
  const Context context(::SSL_CTX_new(::TLS_client_method()));
  if (!context || ::SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) {
    return fail(ErrorCode::unavailable, "this machine's OpenSSL speaks no TLS 1.2");
  }
  ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  ::SSL_CTX_set_mode(context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  TRY(load_trust(context.get(), trust));
  auto* const native = ::SSL_new(context.get());
  if (native == nullptr) return fail(ErrorCode::unavailable, "OpenSSL has no memory");
  std::unique_ptr<TlsSession> session(new TlsSession(native, host, trust));
  auto* const bio = bio_over(fd);
  ::SSL_set_bio(native, bio, bio);
  if (trust.certificate.empty() && !expect_host(native, host)) {
    return fail(ErrorCode::unavailable, fmt::format("\"{}\" is no host to verify", host));
  }
  return session;
}

TlsSession::TlsSession(ssl_st* native, std::string host, TlsTrust trust)
    : native_(native), host_(std::move(host)), trust_(std::move(trust)) {}

TlsSession::~TlsSession() {
  ::SSL_free(native_);
}

Error TlsSession::refusal(std::string_view why) const {
  const auto advice =
      trust_.certificate.empty()
          ? std::string("name the authority that vouches for it with GAVEL_CA=FILE")
          : fmt::format("daemon.json names {}; start gavel up again if that file was renewed",
                        trust_.certificate);
  return {ErrorCode::permission_denied,
          fmt::format("{} is not trusted ({}), so nothing was sent to it; {}", host_, why, advice)};
}

Status TlsSession::check_certificate() const {
  if (trust_.certificate.empty()) return {};
  ASSIGN_OR_RETURN(const auto expected, first_certificate(trust_.certificate));
  const Certificate shown(::SSL_get1_peer_certificate(native_));
  if (shown && ::X509_cmp(shown.get(), expected.get()) == 0) return {};
  return std::unexpected(refusal("it shows another certificate"));
}

Result<TlsSession::Progress> TlsSession::progress_of(int result) {
  if (result > 0) return Progress{.bytes = static_cast<std::size_t>(result)};
  switch (::SSL_get_error(native_, result)) {
    case SSL_ERROR_WANT_READ:
      return Progress{.wants = Wants::readable};
    case SSL_ERROR_WANT_WRITE:
      return Progress{.wants = Wants::writable};
    case SSL_ERROR_ZERO_RETURN:
      return Progress{};
    default:
      return fail(ErrorCode::unavailable, fmt::format("the TLS connection: {}", last_error()));
  }
}

Result<TlsSession::Progress> TlsSession::handshake() {
  const std::scoped_lock lock(mutex_);
  ::ERR_clear_error();
  auto progress = progress_of(::SSL_connect(native_));
  if (!progress) {
    const long verdict = ::SSL_get_verify_result(native_);
    if (verdict == X509_V_OK) return progress;
    return std::unexpected(refusal(::X509_verify_cert_error_string(verdict)));
  }
  if (progress->wants == Wants::nothing) TRY(check_certificate());
  return progress;
}

Result<TlsSession::Progress> TlsSession::read(std::span<char> into) {
  constexpr std::size_t kMax = std::numeric_limits<int>::max();
  const std::scoped_lock lock(mutex_);
  ::ERR_clear_error();
  return progress_of(
      ::SSL_read(native_, into.data(), static_cast<int>(std::min(into.size(), kMax))));
}

Result<TlsSession::Progress> TlsSession::write(std::string_view bytes) {
  constexpr std::size_t kMax = std::numeric_limits<int>::max();
  const std::scoped_lock lock(mutex_);
  ::ERR_clear_error();
  return progress_of(
      ::SSL_write(native_, bytes.data(), static_cast<int>(std::min(bytes.size(), kMax))));
}

Result<TlsSession::Progress> TlsSession::finish() {
  const std::scoped_lock lock(mutex_);
  ::ERR_clear_error();
  const int result = ::SSL_shutdown(native_);
  // 0: ours is sent, and the peer's has not come yet.
  return result >= 0 ? Progress{} : progress_of(result);
}

}  // namespace gavel
