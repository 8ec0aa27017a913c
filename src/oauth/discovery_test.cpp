#include "oauth/discovery.hpp"

#include <gmock/gmock.h>

#include <map>

namespace gavel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kServer = "https://mcp.example/api/mcp";
constexpr std::string_view kByPath =
    "https://mcp.example/.well-known/oauth-protected-resource/api/mcp";
constexpr std::string_view kAtRoot = "https://mcp.example/.well-known/oauth-protected-resource";

std::string resource(std::string_view id = kServer,
                     std::string_view issuers = R"(["https://auth.example"])") {
  return std::string(R"({"resource":")")
      .append(id)
      .append(R"(","authorization_servers":)")
      .append(issuers)
      .append(R"(,"scopes_supported":["a","b c","d"]})");
}

std::string server(std::string_view issuer = "https://auth.example", std::string_view more = "") {
  return std::string(R"({"issuer":")")
      .append(issuer)
      .append(R"(","token_endpoint":"https://auth.example/token")")
      .append(R"(,"authorization_endpoint":"https://auth.example/authorize")")
      .append(R"(,"code_challenge_methods_supported":["plain","S256"])")
      .append(more)
      .append("}");
}

// Plays the web: what is not here is a 404.
struct Web {
  std::map<std::string, std::string, std::less<>> pages = {};
  std::vector<std::string> asked = {};

  Status run(Discovery& discovery) {
    while (auto url = discovery.next()) {
      asked.push_back(*url);
      const auto found = pages.find(*url);
      TRY(discovery.take(found == pages.end() ? FetchedDocument{404, "nothing"}
                                              : FetchedDocument{200, found->second}));
    }
    return {};
  }
};

TEST(Discovery, AsksWhereTheChallengeSays) {
  Web web{.pages = {{"https://mcp.example/meta", resource()},
                    {"https://auth.example/.well-known/oauth-authorization-server", server()}}};
  Discovery discovery(std::string(kServer), BearerChallenge{"https://mcp.example/meta", {}, {}},
                      "");
  ASSERT_TRUE(web.run(discovery));
  EXPECT_THAT(web.asked,
              ElementsAre("https://mcp.example/meta",
                          "https://auth.example/.well-known/oauth-authorization-server"));
  EXPECT_EQ(discovery.found().resource, kServer);
  EXPECT_THAT(discovery.found().resource_scopes, ElementsAre("a", "d"));
  EXPECT_EQ(discovery.found().server.token_endpoint, "https://auth.example/token");
}

TEST(Discovery, LooksUnderThePathBeforeTheRoot) {
  Web web{.pages = {{std::string(kAtRoot), resource("https://mcp.example")},
                    {"https://auth.example/.well-known/openid-configuration", server()}}};
  Discovery discovery(std::string(kServer), std::nullopt, "");
  ASSERT_TRUE(web.run(discovery));
  EXPECT_THAT(web.asked, ElementsAre(kByPath, kAtRoot,
                                     "https://auth.example/.well-known/oauth-authorization-server",
                                     "https://auth.example/.well-known/openid-configuration"));
  EXPECT_EQ(discovery.found().resource, "https://mcp.example") << "as it was published";
}

TEST(Discovery, KnowsTheThreePlacesOfAnIssuerWithAPath) {
  const std::string issuer = "https://auth.example/tenant";
  Web web{
      .pages = {{std::string(kByPath), resource(kServer, R"(["https://auth.example/tenant"])")},
                {"https://auth.example/tenant/.well-known/openid-configuration", server(issuer)}}};
  Discovery discovery(std::string(kServer), std::nullopt, "");
  ASSERT_TRUE(web.run(discovery));
  EXPECT_THAT(
      web.asked,
      ElementsAre(kByPath, "https://auth.example/.well-known/oauth-authorization-server/tenant",
                  "https://auth.example/.well-known/openid-configuration/tenant",
                  "https://auth.example/tenant/.well-known/openid-configuration"));
}

TEST(Discovery, TakesTheServersOwnOriginWhereItSaysNothing) {
  Web web{.pages = {{"https://mcp.example/.well-known/oauth-authorization-server",
                     server("https://mcp.example")}}};
  Discovery discovery(std::string(kServer), std::nullopt, "");
  ASSERT_TRUE(web.run(discovery));
  EXPECT_EQ(discovery.found().resource, kServer);
  EXPECT_EQ(discovery.found().server.issuer, "https://mcp.example");
}

TEST(Discovery, RefusesAResourceThatIsNotTheServer) {
  for (const std::string_view id :
       {"https://evil.example/api/mcp", "https://mcp.example/api/mcp/more",
        "https://mcp.example/ap", "http://mcp.example/api/mcp", "https://mcp.example:444/api/mcp",
        "https://mcp.example/other", "https://mcp.example/api/mcp#x", ""}) {
    Web web{.pages = {{std::string(kByPath), resource(id)}}};
    Discovery discovery(std::string(kServer), std::nullopt, "");
    const auto done = web.run(discovery);
    ASSERT_FALSE(done) << id;
    EXPECT_EQ(done.error().code, ErrorCode::permission_denied) << id;
    EXPECT_THAT(web.asked, ElementsAre(kByPath)) << "nothing is asked after that";
  }
}

TEST(Discovery, RefusesAnIssuerThatIsNotTheOneAskedFor) {
  for (const std::string_view issuer : {"https://evil.example", "https://auth.example/",
                                        "https://AUTH.example", "https://auth.example:443", ""}) {
    Web web{
        .pages = {{std::string(kByPath), resource()},
                  {"https://auth.example/.well-known/oauth-authorization-server", server(issuer)},
                  {"https://auth.example/.well-known/openid-configuration", server()}}};
    Discovery discovery(std::string(kServer), std::nullopt, "");
    const auto done = web.run(discovery);
    ASSERT_FALSE(done) << issuer;
    EXPECT_EQ(done.error().code, ErrorCode::permission_denied) << issuer;
  }
}

TEST(Discovery, HoldsToTheIssuerOfTheOperator) {
  const auto issuers = R"(["https://first.example","https://auth.example"])";
  Web web{.pages = {{std::string(kByPath), resource(kServer, issuers)},
                    {"https://auth.example/.well-known/oauth-authorization-server", server()}}};
  Discovery chosen(std::string(kServer), std::nullopt, "https://auth.example");
  ASSERT_TRUE(web.run(chosen));
  EXPECT_EQ(chosen.found().server.issuer, "https://auth.example");
  Discovery missing(std::string(kServer), std::nullopt, "https://other.example");
  const auto done = web.run(missing);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("oauth.issuer"));
}

TEST(Discovery, RefusesWhatIsBrokenOrNotConfidential) {
  const std::string where = "https://auth.example/.well-known/oauth-authorization-server";
  const std::vector<std::map<std::string, std::string, std::less<>>> webs = {
      {{std::string(kByPath), "[]"}},
      {{std::string(kByPath), "<html>"}},
      {{std::string(kByPath), resource(kServer, "[]")}},
      {{std::string(kByPath), resource(kServer, R"(["http://auth.example"])")}},
      {{std::string(kByPath), resource(kServer, R"(["https://a.example/?x=1"])")}},
      {{std::string(kByPath), resource(kServer, R"([17,"nonsense"])")}},
      {{std::string(kByPath), resource()}},
      {{std::string(kByPath), resource()}, {where, R"({"issuer":"https://auth.example"})"}},
      {{std::string(kByPath), resource()},
       {where,
        server("https://auth.example", R"(,"registration_endpoint":"http://auth.example/reg")")}},
      {{std::string(kByPath), resource()},
       {where, R"({"issuer":"https://auth.example","token_endpoint":"javascript:1"})"}},
  };
  for (const auto& pages : webs) {
    Web web{.pages = pages};
    Discovery discovery(std::string(kServer), std::nullopt, "");
    EXPECT_FALSE(web.run(discovery));
  }
}

TEST(Discovery, DoesNotMistakeAnOutageForAnAbsence) {
  Discovery discovery(std::string(kServer), std::nullopt, "");
  const auto done = discovery.take({503, ""});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::unavailable);
}

TEST(CodeGrant, NeedsAnEndpointAndPkceWithS256) {
  ServerMetadata metadata;
  metadata.authorization_endpoint = "https://auth.example/authorize";
  EXPECT_THAT(check_code_grant(metadata).error().message, HasSubstr("S256"));
  metadata.challenge_methods = {"plain"};
  EXPECT_FALSE(check_code_grant(metadata));
  metadata.challenge_methods = {"S256"};
  EXPECT_TRUE(check_code_grant(metadata));
  metadata.authorization_endpoint.clear();
  EXPECT_FALSE(check_code_grant(metadata));
}

}  // namespace
}  // namespace gavel
