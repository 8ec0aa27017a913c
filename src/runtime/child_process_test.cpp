#include "runtime/child_process.hpp"

#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "runtime/upstream_world_test.hpp"

namespace gavel {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ChildProcessTest : public testing::Test {
protected:
  ChildCommand shell(const std::string& script) {
    return {{"sh", "-c", script}, child_environment({}), {}};
  }
  std::unique_ptr<ChildProcess> spawn(const ChildCommand& command) {
    auto child = ChildProcess::spawn(world_.io.get_executor(), command);
    if (!child) throw std::runtime_error(child.error().message);
    return std::move(*child);
  }
  Error refusal(const ChildCommand& command) {
    const auto child = ChildProcess::spawn(world_.io.get_executor(), command);
    return child ? Error{} : child.error();
  }
  bool exits(ChildProcess& child) { return world_.wait(child.wait_exit(world_.in(60s))); }
  std::string output(ChildProcess& child) {
    std::string text;
    bool done = false;
    asio::async_read(child.output(), asio::dynamic_buffer(text),
                     [&](const boost::system::error_code&, std::size_t) { done = true; });
    EXPECT_TRUE(world_.until([&] { return done; }));
    return text;
  }
  // The first `size` bytes that it writes.
  std::string beginning(ChildProcess& child, std::size_t size) {
    std::string text(size, ' ');
    bool done = false;
    asio::async_read(child.output(), asio::buffer(text),
                     [&](const boost::system::error_code&, std::size_t) { done = true; });
    EXPECT_TRUE(world_.until([&] { return done; }));
    return text;
  }

  UpstreamWorld world_;
};

TEST_F(ChildProcessTest, TalksOverPipes) {
  const auto child = spawn(shell("read line; echo \"got $line\""));
  asio::write(child->input(), asio::buffer(std::string("hello\n")));
  EXPECT_EQ(output(*child), "got hello\n");
  EXPECT_TRUE(exits(*child));
  EXPECT_EQ(child->exit_reason(), "exit code 0");
}

TEST_F(ChildProcessTest, KeepsTheLastOfItsStderr) {
  const auto child =
      spawn(shell("i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done; exit 3"));
  EXPECT_TRUE(exits(*child));
  EXPECT_EQ(child->exit_reason(), "exit code 3");
  EXPECT_THAT(child->stderr_tail(), testing::EndsWith("line 19999\n"));
  EXPECT_LE(child->stderr_tail().size(), 2 * kStderrKeptBytes);
}

TEST_F(ChildProcessTest, SaysWhichSignalKilledIt) {
  const auto child = spawn(shell("kill -TERM $$"));
  EXPECT_TRUE(exits(*child));
  EXPECT_THAT(child->exit_reason(), HasSubstr("signal 15"));
}

TEST_F(ChildProcessTest, WhatCannotBeStartedIsNamed) {
  EXPECT_EQ(refusal({{}, {}, {}}).code, ErrorCode::invalid_argument);
  EXPECT_EQ(refusal({{"gavel-no-such-program"}, child_environment({}), {}}).code,
            ErrorCode::not_found);
  EXPECT_EQ(refusal({{"/etc/passwd"}, {}, {}}).code, ErrorCode::not_found);
  const Error error = refusal({{"sh", "-c", "true"}, child_environment({}), "/no/such/place"});
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_THAT(error.message, HasSubstr("/no/such/place"));
}

TEST_F(ChildProcessTest, RunsInItsDirectoryWithItsEnvironment) {
  auto command = shell("pwd; echo $COLOUR; env | wc -l");
  command.directory = "/usr";
  command.environment = {{"PATH", "/usr/bin:/bin"}, {"COLOUR", "blue"}};
  const auto child = spawn(command);
  // PWD is the shell's own.
  EXPECT_EQ(output(*child), "/usr\nblue\n3\n");
}

TEST_F(ChildProcessTest, AProgramIsFoundRelativeToItsDirectory) {
  ChildCommand command{{"./sh", "-c", "echo found"}, child_environment({}), "/bin"};
  EXPECT_EQ(output(*spawn(command)), "found\n");
}

TEST_F(ChildProcessTest, CloseIsPoliteFirst) {
  const auto child = spawn(shell("cat >/dev/null; exit 7"));
  world_.wait(child->close(world_.clock, {60s, 60s, 60s}));
  EXPECT_EQ(child->exit_reason(), "exit code 7");
}

TEST_F(ChildProcessTest, CloseTerminatesAndThenKills) {
  const auto deaf = spawn(shell("trap 'exit 8' TERM; echo up; while :; do sleep 60 & wait; done"));
  EXPECT_EQ(beginning(*deaf, 3), "up\n");
  world_.wait(deaf->close(world_.clock, {10ms, 60s, 60s}));
  EXPECT_EQ(deaf->exit_reason(), "exit code 8");

  const auto stubborn = spawn(shell("trap '' TERM; echo up; while :; do sleep 60; done"));
  EXPECT_EQ(beginning(*stubborn, 3), "up\n");
  world_.wait(stubborn->close(world_.clock, {10ms, 10ms, 60s}));
  EXPECT_THAT(stubborn->exit_reason(), HasSubstr("signal 9"));
}

TEST_F(ChildProcessTest, ItsChildrenGoWithIt) {
  const auto child = spawn(shell("sleep 600 & echo started; wait"));
  EXPECT_EQ(beginning(*child, 8), "started\n");
  child->kill();
  EXPECT_TRUE(exits(*child));
  // The grandchild has the same pipe: its end is seen only when it is gone too.
  EXPECT_EQ(output(*child), "");
}

TEST_F(ChildProcessTest, WhatItLeavesBehindIsKilledWhenItExits) {
  const auto child = spawn(shell("sleep 600 & echo left; exit 0"));
  EXPECT_TRUE(exits(*child));
  EXPECT_EQ(output(*child), "left\n");
}

TEST_F(ChildProcessTest, DestroyingItKillsIt) {
  auto child = spawn(shell("cat"));
  const pid_t pid = child->pid();
  child.reset();
  EXPECT_EQ(::kill(pid, 0), -1);
}

// A process that owns a child, and then is killed without a chance to do anything about it.
TEST_F(ChildProcessTest, DiesWithItsOwnerHoweverThatDies) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t owner = ::fork();
  if (owner == 0) {
    asio::io_context io;
    const auto child = ChildProcess::spawn(
        io.get_executor(), {{"sh", "-c", "while :; do sleep 60; done"}, child_environment({}), {}});
    const pid_t pid = child ? (*child)->pid() : 0;
    if (::write(ends[1], &pid, sizeof pid) < 0) ::_exit(1);
    ::pause();
  }
  pid_t orphan = 0;
  ASSERT_EQ(::read(ends[0], &orphan, sizeof orphan), static_cast<ssize_t>(sizeof orphan));
  ASSERT_GT(orphan, 0);
  const int watched = static_cast<int>(::syscall(SYS_pidfd_open, orphan, 0));
  ASSERT_GE(watched, 0);
  ::kill(owner, SIGKILL);
  ::waitpid(owner, nullptr, 0);
  pollfd exited{.fd = watched, .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&exited, 1, 60'000), 1);
  ::close(watched);
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace gavel
