#include "oauth/url.hpp"

#include <gmock/gmock.h>

namespace gavel {
namespace {

WebUrl url(std::string_view text) {
  return parse_web_url(text).value();
}

TEST(WebUrl, TakesAbsoluteHttpAndHttpsAlone) {
  for (const std::string_view bad :
       {"", "mcp.example.com", "ftp://a.example/", "javascript:alert(1)", "https:///x",
        "https://user:password@a.example/", "https://a.example:0/", "https://a.example:99999/",
        "//a.example/x", "https://a.example/ x", "file:///etc/passwd"}) {
    EXPECT_FALSE(parse_web_url(bad)) << bad;
  }
  EXPECT_FALSE(parse_web_url("https://a.example/" + std::string(4096, 'x')));
  const auto made = url("HTTPS://A.Example:8443/Path?q=1");
  EXPECT_EQ(made.origin(), "https://a.example:8443");
  EXPECT_EQ(made.path, "/Path");
  EXPECT_EQ(made.query, "q=1");
}

TEST(WebUrl, KnowsAnOriginWhateverItsSpelling) {
  EXPECT_TRUE(same_origin(url("https://a.example/x"), url("HTTPS://A.EXAMPLE:443/y")));
  EXPECT_TRUE(same_origin(url("http://[::1]:80/"), url("http://[::1]/")));
  EXPECT_FALSE(same_origin(url("https://a.example/"), url("http://a.example/")));
  EXPECT_FALSE(same_origin(url("https://a.example/"), url("https://a.example:8443/")));
  EXPECT_FALSE(same_origin(url("https://a.example/"), url("https://a.example.evil.example/")));
  EXPECT_EQ(url("http://[::1]:8080/x").origin(), "http://[::1]:8080");
}

TEST(WebUrl, SendsSecretsOverHttpsOrOnLoopbackAlone) {
  for (const std::string_view good :
       {"https://a.example/", "http://localhost:1/", "http://127.8.9.1/", "http://[::1]/x"}) {
    EXPECT_TRUE(check_confidential(url(good), "it")) << good;
  }
  for (const std::string_view bad :
       {"http://a.example/", "http://10.0.0.1/", "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/"}) {
    EXPECT_EQ(check_confidential(url(bad), "it").error().code, ErrorCode::permission_denied) << bad;
  }
}

TEST(WellKnown, StandsBeforeThePathOrAfterIt) {
  const auto tenant = url("https://auth.example/tenant1");
  EXPECT_EQ(well_known_before_path(tenant, "x"), "https://auth.example/.well-known/x/tenant1");
  EXPECT_EQ(well_known_after_path(tenant, "x"), "https://auth.example/tenant1/.well-known/x");
  for (const std::string_view root : {"https://auth.example", "https://auth.example/"}) {
    EXPECT_EQ(well_known_before_path(url(root), "x"), "https://auth.example/.well-known/x");
    EXPECT_EQ(well_known_after_path(url(root), "x"), "https://auth.example/.well-known/x");
  }
}

TEST(Form, ComesBackAsItWent) {
  const FormFields fields = {{"a", "1 2&3=4"}, {"redirect_uri", "http://127.0.0.1:1/cb?x=ü"}};
  EXPECT_EQ(form_encode({{"a", "1 2&"}, {"b", ""}}), "a=1%202%26&b=");
  EXPECT_EQ(form_decode(form_encode(fields)).value(), fields);
  EXPECT_EQ(form_decode("a=1+2&&b").value(), (FormFields{{"a", "1 2"}, {"b", ""}}));
  for (const std::string_view bad : {"a=%", "a=%4", "a=%zz", "%g1=1"}) {
    EXPECT_FALSE(form_decode(bad)) << bad;
  }
  EXPECT_FALSE(form_decode(std::string(kFormBytesMax + 1, 'a')));
}

TEST(Base64Url, HasNothingThatAUrlWouldEscape) {
  EXPECT_EQ(to_base64url("\xfb\xff\xfe"), "-__-");
  EXPECT_EQ(to_base64url("a"), "YQ");
}

}  // namespace
}  // namespace gavel
