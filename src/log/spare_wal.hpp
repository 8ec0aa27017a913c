#pragma once
// A file of zeros, kept ready to become RocksDB's next write-ahead log. Syncing a write into blocks
// that hold data already is one disk write; growing a file, or writing into blocks that were only
// reserved, also changes the file system's metadata at every sync (docs/formats/log.md has the
// measurement). RocksDB could reuse its old log files, but only by giving up recovery checks; zeros
// end a log like the end of a file does.
//
// The spare is optional: where it is missing or the disk has no room for it, RocksDB makes its log
// files as usual.

#include <rocksdb/file_system.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace gavel {

class SpareWal final : public rocksdb::FileSystemWrapper {
public:
  // Keeps the spare at `path`, with `bytes` zeros, on the file system of the database.
  SpareWal(std::string path, std::size_t bytes);
  ~SpareWal() override;

  static const char* kClassName() { return "GavelSpareWal"; }
  const char* Name() const override { return kClassName(); }

  // Hands out the spare for a log file, everything else as it comes.
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;

  // So many bytes went to the log. The next spare is made once enough did, so that a store that is
  // hardly written costs nothing.
  void written(std::size_t bytes);
  // Called on the spare's thread when there is one and the current log was none: a new log may
  // begin. To be set before written() is called.
  void on_better_log(std::function<void()> begin) { begin_ = std::move(begin); }
  // Makes no more spares, and calls back no more. Before the database is closed.
  void stop();

private:
  void run();
  bool fill();
  // Waits a moment; false: the engine closes.
  bool pause();

  const std::string path_;
  const std::size_t bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> begin_;
  bool ready_ = false;
  bool in_use_ = false;  // the current log was a spare
  bool wanted_ = false;
  bool closing_ = false;
  std::size_t written_ = 0;
  std::thread thread_;
};

}  // namespace gavel
