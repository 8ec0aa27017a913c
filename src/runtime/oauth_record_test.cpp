#include "runtime/oauth_record.hpp"

#include <gmock/gmock.h>

#include <boost/asio/ip/address.hpp>

#include "runtime/http_client.hpp"
#include "runtime/oauth_fetch.hpp"

namespace gavel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

OAuthRecord record() {
  OAuthRecord made;
  made.server_url = "https://mcp.example/mcp";
  made.resource = "https://mcp.example";
  made.issuer = "https://auth.example";
  made.token_endpoint = "https://auth.example/token";
  made.client = {"id", "secret", ClientAuth::secret_post};
  made.redirect_uri = "http://127.0.0.1:1/callback";
  made.scopes = {"a"};
  made.asked = {"a", "b"};
  made.access = "access";
  made.refresh = "refresh";
  made.expires_at = Timestamp{1'700'000'000'000};
  return made;
}

TEST(OAuthRecord, ComesBackAsItWent) {
  const auto text = write_record(record());
  const auto back = read_record(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(write_record(*back), text);
  EXPECT_EQ(back->client, record().client);
  EXPECT_EQ(back->expires_at, record().expires_at);
  EXPECT_THAT(back->secrets(), ElementsAre("access", "refresh", "secret"));
}

TEST(OAuthRecord, IsNotTakenWhereItWouldGoSomewhereElse) {
  auto other = record();
  other.resource = "https://evil.example";
  EXPECT_EQ(read_record(write_record(other)).error().code, ErrorCode::corrupted);
  other = record();
  other.access = "a\r\nX-Evil: 1";
  EXPECT_FALSE(read_record(write_record(other)));
  for (const std::string_view bad : {"", "{}", "[]", R"({"version":1})", "{\"version\":\"1\"}"}) {
    EXPECT_EQ(read_record(bad).error().code, ErrorCode::corrupted) << bad;
  }
  EXPECT_EQ(read_record(R"({"version":2})").error().code, ErrorCode::unsupported);
}

bool in_reach(Reach reach, const char* address) {
  return within(reach, asio::ip::make_address(address));
}

TEST(Reach, OfTheInternetEndsBeforeEveryPrivateNetwork) {
  for (const auto* address :
       {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "0.0.0.0",
        "100.64.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1",
        "fd00::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "ff02::1"}) {
    EXPECT_FALSE(in_reach(Reach::internet, address)) << address;
    EXPECT_TRUE(in_reach(Reach::anywhere, address)) << address;
  }
  for (const auto* address : {"93.184.216.34", "172.32.0.1", "2606:2800:220:1::1", "11.0.0.1"}) {
    EXPECT_TRUE(in_reach(Reach::internet, address)) << address;
  }
}

TEST(Reach, OfAServerThatIsHereLeavesOutLinkLocalAddresses) {
  for (const auto* address : {"127.0.0.1", "10.0.0.1", "::1", "93.184.216.34"}) {
    EXPECT_TRUE(in_reach(Reach::local, address)) << address;
  }
  for (const auto* address : {"169.254.169.254", "fe80::1", "::ffff:169.254.169.254"}) {
    EXPECT_FALSE(in_reach(Reach::local, address)) << address;
  }
  EXPECT_EQ(reach_for("http://localhost:1/mcp"), Reach::local);
  EXPECT_EQ(reach_for("https://192.168.1.5/mcp"), Reach::local);
  EXPECT_EQ(reach_for("https://mcp.example/mcp"), Reach::internet);
  EXPECT_EQ(reach_for("https://93.184.216.34/mcp"), Reach::internet);
}

}  // namespace
}  // namespace gavel
