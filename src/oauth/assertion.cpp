#include "oauth/assertion.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>
#include <vector>

#include "base/json.hpp"
#include "oauth/url.hpp"

namespace gavel {
namespace {

constexpr std::int64_t kLifeSeconds = 60;
constexpr int kP256Bytes = 32;

struct Free {
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
  void operator()(ECDSA_SIG* p) const { ECDSA_SIG_free(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

// Never asks on a terminal for the key's password.
int no_password(char*, int, int, void*) {
  return 0;
}

Owned<EVP_PKEY> read_key(const std::string& pem) {
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return nullptr;
  return Owned<EVP_PKEY>(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
}

std::string sign(EVP_PKEY* key, std::string_view text) {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t size = 0;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1) {
    return {};
  }
  std::string signature(size, '\0');
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  if (EVP_DigestSign(context.get(), out, &size, bytes, text.size()) != 1) return {};
  signature.resize(size);
  return signature;
}

// JWS wants both numbers side by side (RFC 7518, section 3.4); OpenSSL gives them in DER.
std::string flat_ecdsa(const std::string& der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  const Owned<ECDSA_SIG> signature(d2i_ECDSA_SIG(nullptr, &bytes, static_cast<long>(der.size())));
  if (!signature) return {};
  std::string flat(2 * kP256Bytes, '\0');
  auto* out = reinterpret_cast<unsigned char*>(flat.data());
  const bool fits =
      BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, kP256Bytes) == kP256Bytes &&
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + kP256Bytes, kP256Bytes) == kP256Bytes;
  return fits ? flat : std::string();
}

}  // namespace

Result<std::string> client_assertion(std::string_view client_id, std::string_view issuer,
                                     const AssertionInput& input) {
  const auto key = read_key(input.private_key);
  const bool elliptic = key && EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_EC &&
                        EVP_PKEY_get_bits(key.get()) == 8 * kP256Bytes;
  const bool rsa = key && EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA;
  if (!elliptic && !rsa) {
    return fail(ErrorCode::invalid_argument,
                "`oauth.private_key_file` holds no private key on P-256 or of RSA, in PEM and "
                "without a password");
  }
  const std::int64_t now = input.now.ms / 1000;
  const json::object header{{"alg", elliptic ? "ES256" : "RS256"}, {"typ", "JWT"}};
  const json::object claims{{"iss", json::string(client_id)},
                            {"sub", json::string(client_id)},
                            {"aud", json::string(issuer)},
                            {"jti", json::string(input.unique)},
                            {"iat", now},
                            {"exp", now + kLifeSeconds}};
  const std::string text =
      to_base64url(write_json(header)) + "." + to_base64url(write_json(claims));
  const std::string made = sign(key.get(), text);
  const std::string signature = elliptic ? flat_ecdsa(made) : made;
  if (signature.empty())
    return fail(ErrorCode::internal, "the client's assertion cannot be signed");
  return text + "." + to_base64url(signature);
}

}  // namespace gavel
