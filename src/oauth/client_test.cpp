#include "oauth/client.hpp"

#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>

#include "base/digest.hpp"
#include "base/json.hpp"
#include "oauth/assertion.hpp"

namespace gavel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

ServerMetadata server(std::optional<std::vector<std::string>> methods = std::nullopt) {
  ServerMetadata made;
  made.issuer = "https://auth.example";
  made.authorization_endpoint = "https://auth.example/authorize";
  made.token_endpoint = "https://auth.example/token";
  made.registration_endpoint = "https://auth.example/register";
  made.challenge_methods = {"S256"};
  made.auth_methods = std::move(methods);
  return made;
}

ClientAuth auth_of(const ClientSettings& settings, const ServerMetadata& of) {
  return known_client(settings, of).value().value().auth;
}

TEST(KnownClient, IsTheOperatorsOwnBeforeAnyOther) {
  auto metadata = server();
  metadata.metadata_documents = true;
  ClientSettings settings;
  EXPECT_EQ(known_client(settings, metadata).value(), std::nullopt) << "it must register";
  settings.metadata_url = "https://me.example/client.json";
  EXPECT_EQ(known_client(settings, metadata).value()->id, settings.metadata_url);
  metadata.metadata_documents = false;
  EXPECT_EQ(known_client(settings, metadata).value(), std::nullopt);
  settings.id = "mine";
  metadata.metadata_documents = true;
  EXPECT_EQ(known_client(settings, metadata).value()->id, "mine");
}

TEST(KnownClient, ProvesItselfAsTheServerWants) {
  const ClientSettings with_secret{.id = "x", .secret = "s"};
  EXPECT_EQ(auth_of(with_secret, server()), ClientAuth::secret_basic);
  EXPECT_EQ(auth_of(with_secret, server({{"client_secret_post"}})), ClientAuth::secret_post);
  EXPECT_EQ(auth_of({.id = "x"}, server({{"none"}})), ClientAuth::none);
  EXPECT_EQ(auth_of({.id = "x", .private_key = "k"}, server({{"private_key_jwt"}})),
            ClientAuth::private_key_jwt);
  const auto refused = known_client(with_secret, server({{"tls_client_auth"}}));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("tls_client_auth"));
  EXPECT_THAT(refused.error().message, Not(HasSubstr("\"s\"")));
}

TEST(Registration, AsksForANativeClientThatCanRefresh) {
  const RegistrationWish wish{"Gavel (x)", "http://127.0.0.1:1/callback", {"a", "b"}};
  const auto body = parse_json(registration_request(wish, server({{"none"}})).value()).value();
  EXPECT_EQ(string_or(body, "application_type"), "native");
  EXPECT_EQ(string_or(body, "scope"), "a b");
  EXPECT_EQ(string_or(body, "token_endpoint_auth_method"), "none");
  EXPECT_THAT(write_json(*find(body, "grant_types")), HasSubstr("refresh_token"));
  const auto post = registration_request(wish, server({{"client_secret_post"}})).value();
  EXPECT_THAT(post, HasSubstr("client_secret_post"));
  EXPECT_THAT(registration_request(wish, server()).value(), HasSubstr("client_secret_basic"));
  auto closed = server();
  closed.registration_endpoint.clear();
  EXPECT_THAT(registration_request(wish, closed).error().message, HasSubstr("oauth.client_id"));
}

TEST(Registration, TakesTheProofThatTheServerChose) {
  const auto of = [](std::string_view body, const ServerMetadata& at) {
    return read_registration(201, body, at);
  };
  EXPECT_EQ(of(R"({"client_id":"i","client_secret":"s"})", server({{"none"}}))->auth,
            ClientAuth::none);
  EXPECT_EQ(of(R"({"client_id":"i","client_secret":"s"})", server())->auth,
            ClientAuth::secret_basic);
  EXPECT_EQ(of(R"({"client_id":"i","client_secret":"s",
                   "token_endpoint_auth_method":"client_secret_post"})",
               server())
                ->auth,
            ClientAuth::secret_post);
  EXPECT_FALSE(
      of(R"({"client_id":"i","token_endpoint_auth_method":"client_secret_basic"})", server()));
  for (const std::string_view bad :
       {"", "[]", "{}", R"({"client_id":""})", R"({"client_id":"a\nb"})", R"({"client_id":1})"}) {
    EXPECT_FALSE(of(bad, server())) << bad;
  }
  const auto refused = read_registration(
      403, R"({"error":"invalid_redirect_uri","error_description":"no"})", server());
  EXPECT_THAT(refused.error().message, HasSubstr("invalid_redirect_uri: no"));
}

TEST(ChooseScopes, FollowsOperatorChallengeResourceInThisOrder) {
  ScopeSources sources;
  EXPECT_THAT(choose_scopes(sources, server()), ElementsAre());
  sources.resource = {"r"};
  EXPECT_THAT(choose_scopes(sources, server()), ElementsAre("r"));
  sources.challenge = BearerChallenge{"", {"c"}, ""};
  EXPECT_THAT(choose_scopes(sources, server()), ElementsAre("c"));
  sources.before = {"b"};
  EXPECT_THAT(choose_scopes(sources, server()), ElementsAre("b", "c")) << "nothing is lost";
  auto offline = server();
  offline.scopes_supported = {"offline_access"};
  EXPECT_THAT(choose_scopes(sources, offline), ElementsAre("b", "c", "offline_access"));
  sources.configured = {"only"};
  EXPECT_THAT(choose_scopes(sources, offline), ElementsAre("only"));
}

CodeRequest request() {
  CodeRequest made;
  made.state = "the-state";
  made.verifier = "the-verifier";
  made.redirect_uri = "http://127.0.0.1:1/callback";
  made.resource = "https://mcp.example";
  made.client = {"id", "", ClientAuth::none};
  made.server = server({{"none"}});
  return made;
}

TEST(AuthorizationUrl, CarriesTheChallengeAndNeverTheVerifier) {
  auto code = request();
  code.scopes = {"a", "offline_access"};
  const auto url = authorization_url(code);
  EXPECT_TRUE(url.starts_with("https://auth.example/authorize?response_type=code&client_id=id&"));
  EXPECT_THAT(url, HasSubstr("code_challenge=" + code_challenge("the-verifier") +
                             "&code_challenge_method=S256"));
  EXPECT_THAT(url, HasSubstr("resource=https%3A%2F%2Fmcp.example&"));
  EXPECT_THAT(url, HasSubstr("scope=a%20offline_access&prompt=consent"));
  EXPECT_THAT(url, Not(HasSubstr("the-verifier")));
  code.scopes.clear();
  code.server.authorization_endpoint += "?tenant=1";
  EXPECT_TRUE(authorization_url(code).starts_with("https://auth.example/authorize?tenant=1&resp"));
  EXPECT_THAT(authorization_url(code), Not(HasSubstr("scope=")));
}

TEST(AuthorizationUrl, HasTheChallengeOfRfc7636) {
  EXPECT_EQ(code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

TEST(CodeAnswer, IsReadFromTheQuery) {
  const auto answer =
      parse_code_answer("code=a%2Bb&state=s&iss=https%3A%2F%2Fauth.example").value();
  EXPECT_EQ(answer.code, "a+b");
  EXPECT_EQ(answer.state, "s");
  EXPECT_EQ(answer.issuer, "https://auth.example");
  EXPECT_FALSE(parse_code_answer("code=a&code=b"));
  EXPECT_FALSE(parse_code_answer("code=%"));
}

TEST(CodeAnswer, MustBeTheOneToThisRequestFromThisServer) {
  struct Case {
    std::string_view name;
    bool advertised;
    std::string state;
    std::optional<std::string> issuer;
    bool good;
  };
  const std::vector<Case> cases = {
      {"matching", true, "the-state", "https://auth.example", true},
      {"neither sent nor advertised", false, "the-state", std::nullopt, true},
      {"sent though not advertised", false, "the-state", "https://auth.example", true},
      {"missing", true, "the-state", std::nullopt, false},
      {"another's", true, "the-state", "https://evil.example", false},
      {"another's, not advertised", false, "the-state", "https://evil.example", false},
      {"the same only after normalization", true, "the-state", "https://auth.example/", false},
      {"the same but for its case", true, "the-state", "https://AUTH.example", false},
      {"another state", true, "the-stat", "https://auth.example", false},
      {"no state", true, "", "https://auth.example", false},
  };
  for (const auto& each : cases) {
    auto code = request();
    code.server.sends_issuer = each.advertised;
    const CodeAnswer answer{each.state, "code", each.issuer, "", ""};
    EXPECT_EQ(check_code_answer(code, answer).has_value(), each.good) << each.name;
  }
  EXPECT_FALSE(check_code_answer({}, {})) << "an empty state matches nothing";
  const CodeAnswer refused{"the-state", "", std::nullopt, "access_denied", "no\x1b[31m"};
  const auto error = check_code_answer(request(), refused);
  EXPECT_THAT(error.error().message, HasSubstr("access_denied"));
  EXPECT_THAT(error.error().message, Not(HasSubstr("\x1b")));
  EXPECT_FALSE(check_code_answer(request(), {"the-state", "", std::nullopt, "", ""}));
}

TokenRequest made_by(ClientAuth auth) {
  const ClientIdentity client{"my id", "s:cret", auth};
  return token_request(refresh_fields("r", "https://mcp.example"), client,
                       "https://auth.example/token", "https://auth.example", {})
      .value();
}

TEST(TokenRequest, ProvesTheClientInItsOwnPlace) {
  EXPECT_EQ(made_by(ClientAuth::none).authorization, "");
  EXPECT_THAT(made_by(ClientAuth::none).body, HasSubstr("client_id=my%20id"));
  EXPECT_THAT(made_by(ClientAuth::none).body, HasSubstr("resource=https%3A%2F%2Fmcp.example"));
  const auto basic = made_by(ClientAuth::secret_basic);
  EXPECT_EQ(basic.authorization, "Basic " + to_base64("my%20id:s%3Acret"));
  EXPECT_THAT(basic.body, Not(HasSubstr("cret")));
  const auto post = made_by(ClientAuth::secret_post);
  EXPECT_EQ(post.authorization, "");
  EXPECT_THAT(post.body, HasSubstr("client_secret=s%3Acret"));
}

std::string new_key(EVP_PKEY* key) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  EVP_PKEY_free(key);
  char* text = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

TEST(Assertion, IsAJwtOfTheClientForItsServer) {
  const AssertionInput input{new_key(EVP_EC_gen("P-256")), Timestamp{1'000'000}, "unique"};
  const auto jwt = client_assertion("me", "https://auth.example", input).value();
  const auto first = jwt.find('.');
  const auto last = jwt.rfind('.');
  ASSERT_NE(first, last);
  EXPECT_EQ(jwt.substr(0, first), to_base64url(R"({"alg":"ES256","typ":"JWT"})"));
  EXPECT_EQ(jwt.substr(first + 1, last - first - 1),
            to_base64url(R"({"iss":"me","sub":"me","aud":"https://auth.example",)"
                         R"("jti":"unique","iat":1000,"exp":1060})"));
  EXPECT_EQ(jwt.size() - last - 1, 86u) << "two numbers of 32 bytes";
  const AssertionInput rsa{new_key(EVP_RSA_gen(2048)), {}, "unique"};
  EXPECT_TRUE(client_assertion("me", "x", rsa)
                  .value()
                  .starts_with(to_base64url(R"({"alg":"RS256","typ":"JWT"})")));
}

TEST(Assertion, RefusesWhatIsNoKeyWithoutShowingIt) {
  for (const std::string& bad :
       {std::string("hunter2"), std::string(), new_key(EVP_EC_gen("P-384"))}) {
    const auto made = client_assertion("me", "x", {bad, {}, "u"});
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().message, Not(HasSubstr("hunter2")));
  }
}

TEST(Tokens, AreReadWithTheirLifeAndScopes) {
  const auto tokens =
      read_tokens(200, R"({"access_token":"t","token_type":"bEARER","expires_in":60.7,"scope":"a b",
               "refresh_token":"r"})");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->access, "t");
  EXPECT_EQ(tokens->refresh, "r");
  EXPECT_EQ(tokens->expires_in, std::chrono::seconds(60));
  EXPECT_THAT(*tokens->scopes, ElementsAre("a", "b"));
  const auto bare = read_tokens(200, R"({"access_token":"t","token_type":"Bearer"})");
  EXPECT_EQ(bare->expires_in, std::nullopt);
  EXPECT_EQ(bare->scopes, std::nullopt);
  for (const std::string_view life : {"1e300", "-5", "99999999999999999999999"}) {
    const auto odd = read_tokens(200, std::string(R"({"access_token":"t","token_type":"Bearer",)")
                                          .append(R"("expires_in":)")
                                          .append(life)
                                          .append("}"));
    if (odd) EXPECT_GE(odd->expires_in->count(), 0) << life;
  }
}

TEST(Tokens, AreNotTakenWhereTheyCannotBeSent) {
  for (const std::string_view bad :
       {"", "{}", "[]", R"({"access_token":"t"})", R"({"access_token":"t","token_type":"DPoP"})",
        R"({"access_token":"a\r\nX: y","token_type":"Bearer"})",
        R"({"access_token":"","token_type":"Bearer"})",
        R"({"access_token":"t","token_type":"Bearer","refresh_token":"a b"})"}) {
    EXPECT_FALSE(read_tokens(200, bad)) << bad;
  }
  const auto refused = read_tokens(400, R"({"error":"invalid_grant"})");
  EXPECT_EQ(refused.error().code, ErrorCode::denied);
  EXPECT_EQ(read_tokens(503, "").error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace gavel
