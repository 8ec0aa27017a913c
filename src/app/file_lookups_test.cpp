#include "app/file_lookups.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace gavel {
namespace {

namespace asio = boost::asio;

// A file system that does not answer while it is gone.
std::atomic<bool> gone{false};

Status resolve(json::object& arguments) {
  gone.wait(true);
  if (arguments.contains("bad")) return fail(ErrorCode::unavailable, "it leads nowhere");
  arguments["seen"] = true;
  return {};
}

class FileLookupsTest : public testing::Test {
protected:
  ~FileLookupsTest() override { come_back(); }

  static void come_back() {
    gone = false;
    gone.notify_all();
  }

  Result<json::object> look_up(FileLookups& lookups, json::object arguments) {
    Result<json::object> result = fail(ErrorCode::internal, "no answer");
    asio::co_spawn(io_, lookups.look_up(std::move(arguments)),
                   [&](const std::exception_ptr& failure, Result<json::object> answer) {
                     EXPECT_FALSE(failure);
                     result = std::move(answer);
                   });
    io_.restart();
    io_.run();
    return result;
  }

  asio::io_context io_;
};

TEST_F(FileLookupsTest, GiveWhatWasFoundOrWhyNot) {
  FileLookups lookups(io_.get_executor(), resolve);
  for (int i = 0; i < 2 * FileLookups::kThreadsMax; ++i) {
    EXPECT_EQ(look_up(lookups, {{"path", i}}).value(), (json::object{{"path", i}, {"seen", true}}));
  }
  EXPECT_EQ(look_up(lookups, {{"bad", 1}}).error().code, ErrorCode::unavailable);
}

TEST_F(FileLookupsTest, AFileSystemThatIsGoneStopsNobodyElse) {
  gone = true;
  {
    FileLookups lookups(io_.get_executor(), resolve, std::chrono::milliseconds(2));
    for (int i = 0; i < FileLookups::kThreadsMax; ++i) {
      EXPECT_EQ(look_up(lookups, {}).error().code, ErrorCode::timeout);
    }
    EXPECT_EQ(look_up(lookups, {}).error().code, ErrorCode::busy) << "and no more threads";
    come_back();
    while (!look_up(lookups, {})) {
    }
    gone = true;
    (void)look_up(lookups, {});
  }
  // Nobody waits for those that are still out; they come back to nothing.
}

}  // namespace
}  // namespace gavel
