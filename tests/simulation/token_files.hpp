#pragma once
// A directory of token files for everybody in the simulated world, on the real disk, as the gateway
// reads them. It is gone with this.

#include <cstddef>
#include <filesystem>

namespace gavel::simulation {

class TokenFiles {
public:
  explicit TokenFiles(std::size_t agents);
  ~TokenFiles();
  TokenFiles(const TokenFiles&) = delete;
  TokenFiles& operator=(const TokenFiles&) = delete;

  const std::filesystem::path& directory() const { return directory_; }

private:
  std::filesystem::path directory_;
};

}  // namespace gavel::simulation
