#include "cli/child.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>

#include "cli/discovery.hpp"
#include "cli/pump.hpp"
#include "cli/test_world.hpp"

namespace gavel {
namespace {

using testing::ScratchDirectory;

const Environment kEnvironment = {{"PATH", "/usr/bin:/bin"}, {"GREETING", "hello"}};

TEST(RunChild, ReturnsTheExitCodeAndGivesTheEnvironment) {
  EXPECT_EQ(run_child({"sh", "-c", "exit 7"}, kEnvironment).value(), 7);
  EXPECT_EQ(run_child({"sh", "-c", "test \"$GREETING\" = hello"}, kEnvironment).value(), 0);
}

TEST(RunChild, SaysWhichSignalEndedTheProgram) {
  EXPECT_EQ(run_child({"sh", "-c", "kill -9 $$"}, kEnvironment).value(), 128 + 9);
}

TEST(RunWithInput, GivesTheInputAndReturnsWhatWasSaid) {
  const auto ended =
      run_with_input({"sh", "-c", "cat >&2; echo out; echo \" $GREETING\" >&2; exit 2"},
                     kEnvironment, "in", std::chrono::minutes(1));
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->code, 2);
  EXPECT_EQ(ended->err, "in hello\n");
  EXPECT_EQ(run_with_input({"sh", "-c", "kill -9 $$"}, kEnvironment, "", std::chrono::minutes(1))
                .value()
                .code,
            128 + 9);
  EXPECT_EQ(run_with_input({"/nowhere/x"}, kEnvironment, "", std::chrono::minutes(1)).error().code,
            ErrorCode::not_found);
}

TEST(RunWithInput, EndsWhatDoesNotEnd) {
  const auto ended = run_with_input({"sh", "-c", "echo slow >&2; while :; do :; done"},
                                    kEnvironment, "", std::chrono::milliseconds(1));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ErrorCode::timeout);
}

TEST(RunChild, ForwardsASignalThatWasSentToThisProcess) {
  const ScratchDirectory scratch;
  const auto ready = scratch.path() / "ready";
  ASSERT_EQ(::mkfifo(ready.c_str(), 0600), 0);
  std::jthread sender([&] {
    // The signal is for the thread that waits in run_child.
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    // Opening the pipe waits until the program has set its trap.
    (void)read_text_file(ready);
    ::kill(::getpid(), SIGUSR1);
  });
  const auto code = run_child(
      {"sh", "-c", "trap 'exit 42' USR1; echo > " + ready.string() + "; while :; do :; done"},
      kEnvironment);
  EXPECT_EQ(code.value(), 42);
}

TEST(RunChild, SaysWhatCannotBeStarted) {
  EXPECT_EQ(run_child({"no-such-program-anywhere"}, kEnvironment).error().code,
            ErrorCode::not_found);
  const ScratchDirectory scratch;
  const auto file = scratch.write("data", "no program\n");
  const auto code = run_child({file.string()}, kEnvironment);
  EXPECT_EQ(code.error().code, ErrorCode::permission_denied) << code.error().message;
}

TEST(StartDetached, WritesToItsLogInASessionOfItsOwn) {
  const ScratchDirectory scratch;
  const auto log = scratch.path() / "log";
  const auto child =
      start_detached({"/bin/sh", "-c", "echo out; echo err >&2; ps -o sid= -p $$"}, log);
  ASSERT_TRUE(child.has_value());
  std::optional<int> code;
  while (!(code = exit_code_of(*child))) std::this_thread::yield();
  EXPECT_EQ(code, 0);
  const auto text = read_text_file(log).value();
  EXPECT_TRUE(text.starts_with("out\nerr\n")) << text;
  EXPECT_NE(text.find(std::to_string(*child)), std::string::npos) << text;
}

// Both ends of a connection and a pipe for each standard stream.
struct Pipes {
  Pipes() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets.data()), 0);
    ::fcntl(sockets[0], F_SETFL, O_NONBLOCK);
    EXPECT_EQ(::pipe(in.data()), 0);
    EXPECT_EQ(::pipe(out.data()), 0);
  }
  ~Pipes() {
    for (const int fd : {sockets[1], in[0], in[1], out[0], out[1]}) ::close(fd);
  }
  std::array<int, 2> sockets{};
  std::array<int, 2> in{};
  std::array<int, 2> out{};
};

std::string read_exactly(int fd, std::size_t size) {
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const auto n = ::read(fd, text.data() + done, size - done);
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  text.resize(done);
  return text;
}

TEST(Pump, CarriesBytesBothWaysUntilTheInputEnds) {
  Pipes pipes;
  std::jthread peer([&] {
    EXPECT_EQ(read_exactly(pipes.sockets[1], 4), "ping");
    ASSERT_EQ(::write(pipes.sockets[1], "pong", 4), 4);
    EXPECT_EQ(read_exactly(pipes.sockets[1], 1), "");  // the end of the input came through
    ::shutdown(pipes.sockets[1], SHUT_RDWR);
  });
  ASSERT_EQ(::write(pipes.in[1], "ping", 4), 4);
  std::jthread client([&] {
    EXPECT_EQ(read_exactly(pipes.out[0], 9), "earlypong");
    ::close(pipes.in[1]);
    pipes.in[1] = -1;
  });
  Socket socket(pipes.sockets[0]);
  EXPECT_EQ(pump(socket, "early", pipes.in[0], pipes.out[1]).value(), PumpEnd::input);
}

TEST(Pump, SaysThatTheSocketEndedFirst) {
  Pipes pipes;
  ::shutdown(pipes.sockets[1], SHUT_RDWR);
  Socket socket(pipes.sockets[0]);
  EXPECT_EQ(pump(socket, "", pipes.in[0], pipes.out[1]).value(), PumpEnd::socket);
}

TEST(Pump, StopsWhereNobodyReadsTheOutput) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipes pipes;
  ::close(pipes.out[0]);
  pipes.out[0] = -1;
  Socket socket(pipes.sockets[0]);
  EXPECT_EQ(pump(socket, "x", pipes.in[0], pipes.out[1]).value(), PumpEnd::output);
}

}  // namespace
}  // namespace gavel
