#pragma once
// Where paths lead, asked beside the loop: a file system that is gone may never answer.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>

#include "base/json.hpp"
#include "base/result.hpp"

namespace gavel {

class FileLookups {
public:
  using Resolve = Status (*)(json::object& arguments);
  // Of one loop; used and destroyed where that runs. `resolve` is called in threads of its own.
  FileLookups(boost::asio::any_io_executor executor, Resolve resolve,
              std::chrono::milliseconds patience = std::chrono::seconds(5));
  // Does not wait for those that are under way.
  ~FileLookups();
  FileLookups(const FileLookups&) = delete;
  FileLookups& operator=(const FileLookups&) = delete;

  // The arguments of a hook's event as `resolve` leaves them. Errors: its own, timeout (it does
  // not answer), busy (too many have no answer).
  boost::asio::awaitable<Result<json::object>> look_up(json::object arguments);
  static constexpr int kThreadsMax = 16;

private:
  struct Shared;
  struct Lookup;
  Status start(std::uint64_t number, json::object arguments);

  boost::asio::any_io_executor executor_;
  Resolve resolve_;
  std::chrono::milliseconds patience_;
  std::shared_ptr<Shared> shared_;
  std::map<std::uint64_t, Lookup*> waiting_;
  std::uint64_t last_ = 0;
};

}  // namespace gavel
