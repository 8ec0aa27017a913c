#include "runtime/redaction.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "runtime/upstream_world_test.hpp"

namespace gavel {
namespace {

Redactor redactor_of(const std::vector<std::string>& secrets) {
  Redactor redactor;
  redactor.set(secrets);
  return redactor;
}

TEST(Redactor, ReplacesSecretsInTextAndTheirLastWords) {
  const auto redactor = redactor_of({"Bearer sesame-open", "abc", "pass"});
  EXPECT_EQ(redactor.text("sent Bearer sesame-open"), "sent [secret]");
  EXPECT_EQ(redactor.text("token sesame-open, pass"), "token [secret], [secret]");
  EXPECT_EQ(redactor.text("abc"), "abc") << "too short to be told from a word";
}

TEST(Redactor, LeavesJsonWithoutSecretsByteForByte) {
  const auto redactor = redactor_of({"sesame-open"});
  for (const auto* text : {R"({ "a" : 1.50, "a":"sesame" })", "", "not json", R"(["\u00fc"])"}) {
    EXPECT_EQ(redactor.json(text), text);
  }
}

TEST(Redactor, ReplacesSecretsWhereverJsonHoldsThem) {
  const auto redactor = redactor_of({"se\"same/open", "123456789"});
  EXPECT_EQ(redactor.json(R"({"content":[{"text":"it is se\"same/open!"}]})"),
            R"({"content":[{"text":"it is [secret]!"}]})");
  EXPECT_EQ(redactor.json(R"({"se\"same\/open":true})"), R"({"[secret]":true})");
  EXPECT_EQ(redactor.json(R"({"pin":123456789,"n":12})"), R"({"pin":"[secret]","n":12})");
  EXPECT_EQ(redactor.json(R"(broken "se\"same/open")"), R"(broken "[secret]")");
}

TEST(Redactor, TheLongestSecretIsReplacedFirst) {
  const auto redactor = redactor_of({"sesame", "sesame-open"});
  EXPECT_EQ(redactor.json(R"("sesame-open")"), R"("[secret]")");
}

TEST(Redactor, KnowsTokensBesideWhatWasGiven) {
  auto redactor = redactor_of({"sesame-open"});
  redactor.set_tokens({"first-token"});
  redactor.set_tokens({"second-token"});
  EXPECT_EQ(redactor.text("sesame-open first-token second-token"), "[secret] first-token [secret]");
  redactor.set({});
  EXPECT_EQ(redactor.json(R"(["sesame-open","second-token"])"), R"(["sesame-open","[secret]"])");
}

// A server that says its secret on every way there is.
class Chatterbox final : public TestUpstream {
public:
  Chatterbox() : TestUpstream("chatterbox") {}
  asio::awaitable<UpstreamReply> request(UpstreamRequest request) override {
    request.caller.on_progress(R"({"message":"sesame-open"})");
    request.caller.on_log(R"({"data":"sesame-open"})");
    request.caller.on_question({"elicitation/create", R"({"message":"sesame-open"})", {}});
    UpstreamReply reply;
    reply.result = R"({"text":"sesame-open"})";
    reply.rpc_error = R"({"message":"sesame-open"})";
    reply.error.message = "sesame-open";
    co_return reply;
  }
};

TEST(RedactingUpstream, NothingThatItSaysHoldsASecret) {
  UpstreamWorld world;
  const auto redactor = std::make_shared<Redactor>();
  const auto upstream = redacting(std::make_unique<Chatterbox>(), redactor);
  // Learnt later, when the server is started.
  redactor->set({"sesame-open"});
  std::string heard;
  UpstreamRequest request;
  request.caller.on_progress = [&](std::string_view params) { heard += params; };
  request.caller.on_log = [&](std::string_view params) { heard += params; };
  request.caller.on_question = [&](const UpstreamQuestion& question) { heard += question.params; };
  const auto reply = world.wait(upstream->request(std::move(request)));
  EXPECT_EQ(heard, R"({"message":"[secret]"}{"data":"[secret]"}{"message":"[secret]"})");
  EXPECT_EQ(reply.result, R"({"text":"[secret]"})");
  EXPECT_EQ(reply.rpc_error, R"({"message":"[secret]"})");
  EXPECT_EQ(reply.error.message, "[secret]");
  EXPECT_EQ(upstream->name(), "chatterbox");
}

}  // namespace
}  // namespace gavel
