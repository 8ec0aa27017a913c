#include "gateway/auth.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/json.hpp"

namespace gavel {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class AuthTest : public ::testing::Test {
protected:
  AuthTest() {
    std::string name = (fs::temp_directory_path() / "gavel-auth-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    EXPECT_TRUE(create_default_tokens(directory_));
  }
  ~AuthTest() override { fs::remove_all(directory_); }

  fs::path tokens() const { return directory_ / "tokens"; }
  std::string token_of(const std::string& file) const {
    std::ifstream in(tokens() / file);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    return parse_token_file(text)->token;
  }
  void write(const std::string& file, const std::string& text, ::mode_t mode = 0600) const {
    std::ofstream(tokens() / file) << text;
    ::chmod((tokens() / file).c_str(), mode);
  }
  Authenticator authenticator() {
    return Authenticator(tokens(), [this] { return now_; });
  }

  fs::path directory_;
  std::chrono::steady_clock::time_point now_{};
};

std::string bearer(const std::string& token) {
  return "Bearer " + token;
}

const std::string kOther = "gavel_0123456789012345678901234567890123456789";

TEST_F(AuthTest, DefaultTokensAreSecretDistinctAndHaveTheirRoles) {
  for (const std::string file : {"operator.json", "agent.json"}) {
    struct stat info{};
    ASSERT_EQ(::stat((tokens() / file).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600U);
  }
  EXPECT_NE(token_of("operator.json"), token_of("agent.json"));
  EXPECT_EQ(token_of("agent.json").size(), 6 + 64U);
  EXPECT_TRUE(token_of("agent.json").starts_with("gavel_"));

  auto auth = authenticator();
  const auto person = auth.authenticate(bearer(token_of("operator.json")));
  ASSERT_TRUE(person);
  EXPECT_EQ(person->principal.value, "operator");
  EXPECT_TRUE(person->has(Role::admin));
  EXPECT_TRUE(person->has(Role::approver));
  EXPECT_FALSE(person->has(Role::driver));
  const auto agent = auth.authenticate(bearer(token_of("agent.json")));
  ASSERT_TRUE(agent);
  EXPECT_EQ(agent->roles, std::vector{Role::driver});
}

TEST_F(AuthTest, DefaultTokensAreNotReplaced) {
  const auto before = token_of("agent.json");
  ASSERT_TRUE(create_default_tokens(directory_));
  EXPECT_EQ(token_of("agent.json"), before);
}

TEST_F(AuthTest, RefusesMissingMalformedAndUnknownTokens) {
  auto auth = authenticator();
  for (const std::string header : {"", "Bearer", "Bearer ", "Basic abc", "Bearer gavel_unknown"}) {
    const auto caller = auth.authenticate(header);
    ASSERT_FALSE(caller) << header;
    EXPECT_EQ(caller.error().code, ErrorCode::unauthenticated);
  }
  EXPECT_FALSE(auth.authenticate(std::nullopt));
}

TEST_F(AuthTest, AFileThatOthersCanReadIsIgnoredAndSaid) {
  write("open.json", R"({"principal":"x","roles":["driver"],"token":")" + kOther + "\"}", 0644);
  auto auth = authenticator();
  const auto caller = auth.authenticate(bearer(kOther));
  ASSERT_FALSE(caller);
  EXPECT_THAT(caller.error().message, HasSubstr("open.json: mode 0644"));
  EXPECT_EQ(caller.error().message.find(kOther), std::string::npos);
}

TEST_F(AuthTest, ASymbolicLinkIsIgnored) {
  fs::create_symlink(tokens() / "agent.json", tokens() / "link.json");
  auto auth = authenticator();
  EXPECT_TRUE(auth.authenticate(bearer(token_of("agent.json"))));
  EXPECT_EQ(auth.problems().size(), 1U);
}

TEST_F(AuthTest, ANewTokenWorksWithoutRestartButMissesAreRateLimited) {
  auto auth = authenticator();
  EXPECT_FALSE(auth.authenticate(bearer(kOther)));
  write("new.json", R"({"principal":"x","roles":["driver"],"token":")" + kOther + "\"}");
  EXPECT_FALSE(auth.authenticate(bearer(kOther)));
  now_ += 50ms;
  EXPECT_TRUE(auth.authenticate(bearer(kOther)));
}

TEST_F(AuthTest, ANewTokenIsFoundLongAfterTheLastChange) {
  auto auth = authenticator();
  EXPECT_FALSE(auth.authenticate(bearer(kOther)));
  for (int i = 0; i < 4; ++i) {
    now_ += 200ms;
    EXPECT_FALSE(auth.authenticate(bearer(kOther)));
  }
  write("new.json", R"({"principal":"x","roles":["driver"],"token":")" + kOther + "\"}");
  now_ += 50ms;
  EXPECT_TRUE(auth.authenticate(bearer(kOther)));
}

TEST_F(AuthTest, ATokenThatWasTakenAwayStopsWorkingSoon) {
  auto auth = authenticator();
  const auto token = token_of("agent.json");
  EXPECT_TRUE(auth.authenticate(bearer(token)));
  fs::remove(tokens() / "agent.json");
  now_ += 5s;
  EXPECT_FALSE(auth.authenticate(bearer(token)));
}

TEST(TokenFile, SaysWhichMemberIsWrong) {
  const auto error = [](const std::string& text) { return parse_token_file(text).error().message; };
  EXPECT_THAT(error("{"), HasSubstr("JSON"));
  EXPECT_THAT(error(R"({"roles":["driver"],"token":")" + kOther + "\"}"), HasSubstr("principal"));
  EXPECT_THAT(error(R"({"principal":"x","roles":["driver"],"token":"short"})"), HasSubstr("token"));
  EXPECT_THAT(error(R"({"principal":"x","roles":[],"token":")" + kOther + "\"}"),
              HasSubstr("roles"));
  EXPECT_THAT(error(R"({"principal":"x","roles":["king"],"token":")" + kOther + "\"}"),
              HasSubstr("\"king\""));
}

HttpRequest request_with(std::vector<HttpHeader> headers) {
  HttpRequest request;
  request.headers = std::move(headers);
  return request;
}

TEST(HostAndOrigin, OnlyLoopbackNamesAreAnswered) {
  for (const std::string_view host :
       {"127.0.0.1:7461", "localhost", "LOCALHOST:1", "[::1]:7461", "127.0.0.2:80"}) {
    EXPECT_TRUE(check_host_and_origin(request_with({{"Host", host}}))) << host;
  }
  for (const std::string_view host :
       {"", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "0.0.0.0:80",
        "localhost:80@evil.example", "[::1]evil", "[::1"}) {
    EXPECT_FALSE(check_host_and_origin(request_with({{"Host", host}}))) << host;
  }
  EXPECT_FALSE(check_host_and_origin(request_with({})));
  EXPECT_FALSE(
      check_host_and_origin(request_with({{"Host", "localhost"}, {"host", "evil.example"}})));
}

TEST(HostAndOrigin, WebOriginsBeyondLoopbackAreRefused) {
  const auto check = [](std::string_view origin) {
    return check_host_and_origin(request_with({{"Host", "localhost:1"}, {"Origin", origin}}));
  };
  EXPECT_TRUE(check("http://localhost:3000"));
  EXPECT_TRUE(check("https://127.0.0.1"));
  for (const std::string_view origin :
       {"null", "https://evil.example", "http://localhost.evil.example", "file://", ""}) {
    EXPECT_FALSE(check(origin)) << origin;
  }
}

TEST(HostAndOrigin, NamesThatWereConfiguredAreAnswered) {
  const std::vector<std::string> names = {"gavel.example", "[fd00::1]"};
  for (const std::string_view host :
       {"gavel.example", "GAVEL.example:7420", "[fd00::1]:1", "localhost:1"}) {
    EXPECT_TRUE(check_host_and_origin(request_with({{"Host", host}}), names)) << host;
  }
  for (const std::string_view host : {"evil.example", "gavel.example.evil", "x.gavel.example",
                                      "0.0.0.0:80", "[fd00::2]:1", "gavel.example@evil"}) {
    EXPECT_FALSE(check_host_and_origin(request_with({{"Host", host}}), names)) << host;
  }
  const auto from = [&](std::string_view origin) {
    return check_host_and_origin(request_with({{"Host", "gavel.example"}, {"Origin", origin}}),
                                 names);
  };
  EXPECT_TRUE(from("https://gavel.example"));
  EXPECT_TRUE(from("https://gavel.example:8443"));
  EXPECT_TRUE(from("http://localhost:3000"));
  for (const std::string_view origin :
       {"http://gavel.example", "https://evil.example", "https://gavel.example.evil",
        "https://gavel.example:1@evil.example", "null"}) {
    EXPECT_FALSE(from(origin)) << origin;
  }
}

TEST(AnsweredHosts, AreThoseNamedAndTheAddressListenedOn) {
  using testing::ElementsAre;
  const auto hosts = [](std::string listen, std::vector<std::string> names) {
    return answered_hosts(std::vector{std::move(listen)}, std::move(names));
  };
  EXPECT_THAT(hosts("10.0.0.5:7420", {"a.example"}), ElementsAre("a.example", "10.0.0.5"));
  EXPECT_THAT(hosts("[fd00::1]:7420", {}), ElementsAre("[fd00::1]"));
  EXPECT_THAT(hosts("0.0.0.0:7420", {"a.example"}), ElementsAre("a.example"));
  EXPECT_THAT(hosts("[::]:7420", {}), ElementsAre());
  EXPECT_THAT(hosts("127.0.0.1:7420", {}), ElementsAre());
}

}  // namespace
}  // namespace gavel
