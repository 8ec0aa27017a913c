#pragma once
// Logins at upstream servers as files: oauth/NAME.json in the state directory, mode 0600, replaced
// as a whole and synced, since an authorization server may have ended the refresh token before.

#include <filesystem>

#include "runtime/oauth_store.hpp"

namespace gavel {

class OAuthFiles final : public OAuthStore {
public:
  // The directory is made when something is saved.
  explicit OAuthFiles(std::filesystem::path directory) : directory_(std::move(directory)) {}

  Result<std::optional<std::string>> load(const std::string& server) override;
  Status save(const std::string& server, const std::string& text) override;
  Status remove(const std::string& server) override;

private:
  std::filesystem::path path_of(const std::string& server) const;
  std::filesystem::path directory_;
};

inline constexpr std::size_t kOAuthFileBytesMax = 256u << 10;

}  // namespace gavel
