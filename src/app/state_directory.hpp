#pragma once
// The state directory, mode 0700: store/ (the log), tokens/, daemon.json (where a running daemon
// listens, and over TLS the file of its certificate).

#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace gavel {

// Makes the directory where it is missing. permission_denied where others may read or write it.
Status prepare_state_directory(const std::filesystem::path& directory);

// Writes daemon.json so that readers see it whole or not at all, and removes it when this is
// destroyed.
class DaemonFile {
public:
  struct Where {
    std::string url;
    std::string certificate;  // PEM; empty without TLS
  };
  static Result<DaemonFile> write(const std::filesystem::path& directory, const Where& where);
  ~DaemonFile();
  DaemonFile(DaemonFile&& other) noexcept;
  DaemonFile& operator=(DaemonFile&&) = delete;

private:
  explicit DaemonFile(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

Result<std::string> read_file(const std::filesystem::path& path);

}  // namespace gavel
