#include "base/digest.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>

#include "base/assert.hpp"

namespace gavel {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

const unsigned char* as_uchar(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

}  // namespace

std::string Digest::hex() const {
  return to_hex(view());
}
std::string Digest::short_hex() const {
  return to_hex(view().substr(0, 6));
}

Digest sha256(std::initializer_list<std::string_view> parts) {
  // The one-shot context costs a third of EVP's for the short inputs hashed here.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
  SHA256_CTX context;
  SHA256_Init(&context);
  for (const auto part : parts) SHA256_Update(&context, part.data(), part.size());
  Digest digest;
  SHA256_Final(digest.bytes.data(), &context);
#pragma clang diagnostic pop
  return digest;
}

Result<Digest> digest_from_bytes(std::string_view raw) {
  Digest digest;
  if (raw.size() != digest.bytes.size()) {
    return fail(ErrorCode::invalid_argument, "a digest has 32 bytes");
  }
  std::copy(raw.begin(), raw.end(), digest.bytes.begin());
  return digest;
}

Result<Digest> digest_from_hex(std::string_view hex) {
  ASSIGN_OR_RETURN(const auto raw, from_hex(hex));
  return digest_from_bytes(raw);
}

std::string to_hex(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(kHexDigits[byte >> 4]);
    out.push_back(kHexDigits[byte & 15]);
  }
  return out;
}

Result<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return fail(ErrorCode::invalid_argument, "odd number of hex digits");
  std::string out;
  out.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_value(hex[i]);
    const int low = hex_value(hex[i + 1]);
    if (high < 0 || low < 0) return fail(ErrorCode::invalid_argument, "not a hex digit");
    out.push_back(static_cast<char>(high * 16 + low));
  }
  return out;
}

std::string to_base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3), '\0');
  const int written = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), as_uchar(bytes),
                                      static_cast<int>(bytes.size()));
  ASSERT(static_cast<std::size_t>(written) == out.size());
  return out;
}

Result<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0)
    return fail(ErrorCode::invalid_argument, "base64 length is not a multiple of 4");
  if (text.empty()) return std::string{};
  const auto is_digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  };
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const auto digits = text.substr(0, text.size() - padding);
  if (!std::all_of(digits.begin(), digits.end(), is_digit)) {
    return fail(ErrorCode::invalid_argument, "not base64");
  }
  std::string out(text.size() / 4 * 3, '\0');
  const int written = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), as_uchar(text),
                                      static_cast<int>(text.size()));
  if (written < 0) return fail(ErrorCode::invalid_argument, "not base64");
  out.resize(out.size() - padding);
  return out;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace gavel
