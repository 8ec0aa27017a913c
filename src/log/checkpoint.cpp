#include "log/checkpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/assert.hpp"
#include "base/json.hpp"
#include "log/store_files.hpp"

namespace gavel {
namespace {

constexpr std::size_t kPage = 1000;
constexpr std::size_t kPublicKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;
constexpr JsonLimits kLimits{.max_bytes = 256u << 20, .max_depth = 8};

template <auto Free>
struct Freed {
  void operator()(auto* thing) const { Free(thing); }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;

const unsigned char* as_uchar(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

// What is signed: everything but the signature, in canonical form.
json::object unsigned_object(const Checkpoint& checkpoint) {
  json::array heads;
  for (const auto& head : checkpoint.heads) {
    heads.push_back(
        {{"log", head.log.value}, {"tail", head.tail.value}, {"chain", head.chain.hex()}});
  }
  return {{"format", "gavel-checkpoint-1"},
          {"created_at", checkpoint.created_at.ms},
          {"heads", std::move(heads)},
          {"public_key", checkpoint.public_key}};
}

Result<Key> parse_private_key(const std::string& path, const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} has no Ed25519 private key; move it away to make a new one", path));
  }
  return key;
}

Result<Key> read_key(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return std::unexpected(system_error("read", path, errno));
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(ErrorCode::permission_denied,
                fmt::format("others may read the signing key {0}: chmod 600 {0}", path));
  }
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return parse_private_key(path, text.str());
}

Result<Key> create_key(const std::string& path, int fd) {
  const KeyContext context(EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr));
  EVP_PKEY* made = nullptr;
  ASSERT(EVP_PKEY_keygen_init(context.get()) == 1 && EVP_PKEY_keygen(context.get(), &made) == 1);
  Key key(made);
  const Bio bio(BIO_new(BIO_s_mem()));
  ASSERT(PEM_write_bio_PKCS8PrivateKey(bio.get(), made, nullptr, nullptr, 0, nullptr, nullptr) ==
         1);
  char* pem = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &pem);
  if (::write(fd, pem, static_cast<std::size_t>(size)) != size || ::fsync(fd) != 0) {
    const int code = errno;
    ::unlink(path.c_str());
    return std::unexpected(system_error("write", path, code));
  }
  return key;
}

bool is_signed(const Checkpoint& checkpoint) {
  const auto raw = from_hex(checkpoint.public_key);
  const auto signature = from_hex(checkpoint.signature);
  if (!raw || raw->size() != kPublicKeyBytes) return false;
  if (!signature || signature->size() != kSignatureBytes) return false;
  const Key key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, as_uchar(*raw), raw->size()));
  const DigestContext context(EVP_MD_CTX_new());
  if (!key || EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1) {
    return false;
  }
  const auto bytes = canonical_json(unsigned_object(checkpoint));
  return EVP_DigestVerify(context.get(), as_uchar(*signature), signature->size(), as_uchar(bytes),
                          bytes.size()) == 1;
}

}  // namespace

struct CheckpointKey::Pair {
  Key key;
};

CheckpointKey::CheckpointKey(std::unique_ptr<Pair> pair) : pair_(std::move(pair)) {}
CheckpointKey::~CheckpointKey() = default;
CheckpointKey::CheckpointKey(CheckpointKey&&) noexcept = default;
CheckpointKey& CheckpointKey::operator=(CheckpointKey&&) noexcept = default;

Result<CheckpointKey> CheckpointKey::load_or_create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno != EEXIST) return std::unexpected(system_error("create", path, errno));
  auto key = fd < 0 ? read_key(path) : create_key(path, fd);
  if (fd >= 0) ::close(fd);
  if (!key) return std::unexpected(key.error());
  return CheckpointKey(std::make_unique<Pair>(std::move(*key)));
}

std::string CheckpointKey::public_key() const {
  std::array<unsigned char, kPublicKeyBytes> raw{};
  std::size_t size = raw.size();
  ASSERT(EVP_PKEY_get_raw_public_key(pair_->key.get(), raw.data(), &size) == 1);
  return to_hex({reinterpret_cast<const char*>(raw.data()), size});
}

std::string CheckpointKey::sign(std::string_view bytes) const {
  std::array<unsigned char, kSignatureBytes> raw{};
  std::size_t size = raw.size();
  const DigestContext context(EVP_MD_CTX_new());
  ASSERT(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, pair_->key.get()) == 1);
  ASSERT(EVP_DigestSign(context.get(), raw.data(), &size, as_uchar(bytes), bytes.size()) == 1);
  return to_hex({reinterpret_cast<const char*>(raw.data()), size});
}

Result<Checkpoint> make_checkpoint(Log& log, const CheckpointKey& key, Timestamp now) {
  Checkpoint checkpoint;
  checkpoint.created_at = now;
  checkpoint.public_key = key.public_key();
  LogId after;
  for (;;) {
    ASSIGN_OR_RETURN(const auto heads, log.list("", after, kPage));
    if (heads.empty()) break;
    after = heads.back().log;
    for (const auto& head : heads) {
      if (head.durable.value == 0) continue;
      checkpoint.heads.push_back({head.log, head.durable, head.durable_chain});
    }
  }
  checkpoint.signature = key.sign(canonical_json(unsigned_object(checkpoint)));
  return checkpoint;
}

std::string write_checkpoint(const Checkpoint& checkpoint) {
  auto object = unsigned_object(checkpoint);
  object["signature"] = checkpoint.signature;
  return write_json(object) + "\n";
}

Result<Checkpoint> read_checkpoint(std::string_view text,
                                   const std::optional<std::string>& trusted_key) {
  ASSIGN_OR_RETURN(const auto value, parse_json(text, kLimits));
  const auto* heads = find_array(value, "heads");
  if (string_or(value, "format") != "gavel-checkpoint-1" || heads == nullptr) {
    return fail(ErrorCode::invalid_argument, "this is no checkpoint that this gavel knows");
  }
  Checkpoint checkpoint;
  checkpoint.created_at.ms = int_or(value, "created_at", 0);
  checkpoint.public_key = string_or(value, "public_key");
  checkpoint.signature = string_or(value, "signature");
  for (const auto& head : *heads) {
    CheckpointHead parsed;
    parsed.log.value = string_or(head, "log");
    parsed.tail.value = static_cast<std::uint64_t>(int_or(head, "tail", 0));
    ASSIGN_OR_RETURN(parsed.chain, digest_from_hex(string_or(head, "chain")));
    checkpoint.heads.push_back(std::move(parsed));
  }
  if (!is_signed(checkpoint)) {
    return fail(ErrorCode::corrupted,
                "the checkpoint's signature does not fit: it was changed after it was made");
  }
  if (trusted_key && *trusted_key != checkpoint.public_key) {
    return fail(ErrorCode::permission_denied,
                fmt::format("the checkpoint was signed by {}, not by {}", checkpoint.public_key,
                            *trusted_key));
  }
  return checkpoint;
}

}  // namespace gavel
