#include "app/file_lookups.hpp"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

namespace gavel {

namespace asio = boost::asio;

namespace {

Result<json::object> resolved(FileLookups::Resolve resolve, json::object paths) {
  try {
    const auto done = resolve(paths);
    if (!done) return std::unexpected(done.error());
    return paths;
  } catch (const std::exception& failure) {
    return fail(ErrorCode::internal, fmt::format("paths cannot be looked up: {}", failure.what()));
  }
}

}  // namespace

// What outlives the object, for threads that come back late.
struct FileLookups::Shared {
  std::mutex mutex;
  bool open = true;  // written by the loop alone
  int threads = 0;
};

// One that is waited for; on the waiting coroutine's frame.
struct FileLookups::Lookup {
  asio::steady_timer answered;
  std::optional<Result<json::object>> result;
};

FileLookups::FileLookups(asio::any_io_executor executor, Resolve resolve,
                         std::chrono::milliseconds patience)
    : executor_(std::move(executor)),
      resolve_(resolve),
      patience_(patience),
      shared_(std::make_shared<Shared>()) {}

FileLookups::~FileLookups() {
  const std::lock_guard lock(shared_->mutex);
  shared_->open = false;
}

Status FileLookups::start(std::uint64_t number, json::object arguments) {
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->threads == kThreadsMax) {
      return fail(ErrorCode::busy,
                  "too many paths are being looked up, and the file system does not answer");
    }
    ++shared_->threads;
  }
  const auto work = [this, number, resolve = resolve_, shared = shared_](json::object paths) {
    auto result = resolved(resolve, std::move(paths));
    const std::lock_guard lock(shared->mutex);
    --shared->threads;
    if (!shared->open) return;
    asio::post(executor_, [this, number, shared, result = std::move(result)]() mutable {
      if (!shared->open) return;
      const auto found = waiting_.find(number);
      if (found == waiting_.end()) return;
      found->second->result = std::move(result);
      found->second->answered.cancel();
    });
  };
  try {
    // allow(detached): nobody can end a thread that a file system holds
    std::thread(work, std::move(arguments)).detach();
  } catch (const std::system_error&) {
    const std::lock_guard lock(shared_->mutex);
    --shared_->threads;
    return fail(ErrorCode::busy, "no thread can be started to look up paths");
  }
  return {};
}

asio::awaitable<Result<json::object>> FileLookups::look_up(json::object arguments) {
  const std::uint64_t number = ++last_;
  if (const auto started = start(number, std::move(arguments)); !started) {
    co_return std::unexpected(started.error());
  }
  Lookup lookup{asio::steady_timer(executor_, patience_), {}};
  waiting_.emplace(number, &lookup);
  co_await lookup.answered.async_wait(asio::as_tuple(asio::use_awaitable));
  waiting_.erase(number);
  if (lookup.result) co_return std::move(*lookup.result);
  co_return fail(ErrorCode::timeout, "nobody can say in time where the paths of this call lead");
}

}  // namespace gavel
