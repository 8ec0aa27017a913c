// The world of the other tests (gateway/test_world.hpp).
#include "gateway/test_world.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fstream>

#include "base/text.hpp"
#include "gateway/auth.hpp"
#include "log/log_testing.hpp"
#include "policy/parse.hpp"
#include "runtime/local_harness.hpp"

namespace gavel::test {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPolicy = R"(
servers:
  box:
    command: ["in-process"]
    tools:
      echo: {effect: read}
      add: {effect: write}
      held: {effect: write}
      slow: {effect: read}
      steps: {effect: read}
      mirrored: {effect: read}
      broken: {effect: read}
      vanish: {effect: write}
      asks: {effect: write}
      refuses: {effect: write}
      task: {effect: write}
      logs: {effect: read}
  lib:
    command: ["in-process"]
    tools:
      echo: {effect: read, answer_before_recorded: true}
      wonder: {effect: read}
rules:
  - name: adding is fine
    tools: ["box__add", "box__vanish", "box__asks", "box__refuses", "box__task", "extra__wonder",
            "extra__mirrored"]
    verdict: allow
    reason: tests add
  - name: never
    tools: ["box__forbidden"]
    verdict: deny
    reason: nobody may
)";

constexpr std::string_view kTools = R"([
  {"name":"echo","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}},
  {"name":"add","inputSchema":{"type":"object"}},
  {"name":"held","inputSchema":{"type":"object"}},
  {"name":"slow","inputSchema":{"type":"object"}},
  {"name":"steps","inputSchema":{"type":"object"}},
  {"name":"broken","inputSchema":{"type":"object"}},
  {"name":"vanish","inputSchema":{"type":"object"}},
  {"name":"asks","inputSchema":{"type":"object","additionalProperties":false,
     "properties":{"n":{"type":"integer"}}}},
  {"name":"wonder","inputSchema":{"type":"object"}},
  {"name":"task","inputSchema":{"type":"object"}},
  {"name":"refuses","inputSchema":{"type":"object"}},
  {"name":"logs","inputSchema":{"type":"object"}},
  {"name":"forbidden","inputSchema":{"type":"object"}},
  {"name":"mirrored","inputSchema":{"type":"object","properties":
     {"region":{"type":"string","x-mcp-header":"Region"}}}}
])";

// A resource that every server has.
constexpr std::string_view kShared = "shared://readme";

class TestClock final : public gavel::Clock {
public:
  Timestamp now() const override {
    return {
        std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
            .count()};
  }
  SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
};

class TestRandom final : public Random {
public:
  std::uint64_t next() override {
    return state_ = state_ * 6364136223846793005u + 1442695040888963407u;
  }

private:
  std::uint64_t state_ = 42;
};

UpstreamReply answered(json::value result) {
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.result = write_json(result);
  return reply;
}

UpstreamReply rejected(int code, std::string_view message) {
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.rpc_error = write_json(json::object{{"code", code}, {"message", message}});
  return reply;
}

json::object text(std::string_view words) {
  return {{"content", json::array{json::object{{"type", "text"}, {"text", words}}}}};
}

// An engine whose disk fills up.
class FillingLog final : public testing::ForwardingLog {
public:
  // While it hangs, nothing is said to be durable.
  void hang(bool hangs) {
    hangs_ = hangs;
    if (hangs) return;
    for (auto& late : std::exchange(late_, {})) late({});
  }

  // Of an append that does not fit: refused, or accepted and then not durable.
  enum class Failure { refused, not_durable };
  std::optional<int> appends_left;
  Failure failure = Failure::refused;

  Result<Sequenced> append(Append append, OnDurable on_durable) override {
    if (hangs_) {
      late_.push_back(std::move(on_durable));
      return ForwardingLog::append(std::move(append), [](const Status&) {});
    }
    if (!appends_left || (*appends_left)-- > 0) {
      return ForwardingLog::append(std::move(append), std::move(on_durable));
    }
    *appends_left = 0;
    failed_ = true;
    if (failure == Failure::refused) return std::unexpected(full());
    return ForwardingLog::append(std::move(append),
                                 [on_durable = std::move(on_durable)](const Status&) mutable {
                                   on_durable(std::unexpected(full()));
                                 });
  }
  Status health() const override {
    if (failed_) return std::unexpected(full());
    return ForwardingLog::health();
  }

private:
  static Error full() { return {ErrorCode::storage_failed, "cannot write: No space left"}; }

  bool hangs_ = false;
  std::vector<OnDurable> late_;
  bool failed_ = false;  // as an engine: from the first append that did not fit
};

class ScriptedServer final : public Upstream {
public:
  ScriptedServer(asio::any_io_executor executor, std::string name,
                 std::shared_ptr<ServerScript> script)
      : executor_(std::move(executor)), name_(std::move(name)), script_(std::move(script)) {}

  const std::string& name() const override { return name_; }
  UpstreamStatus status() const override {
    UpstreamStatus status;
    status.health = UpstreamHealth::ready;
    status.era = name_ == "lib" ? "2025-11-25" : "2026-07-28";
    status.server_name = name_;
    return status;
  }
  asio::awaitable<void> close() override { co_return; }
  asio::awaitable<Result<json::object>> capabilities(SteadyTime) override {
    json::object all{{"tools", json::object{}}, {"resources", json::object{}}};
    if (name_ == "box") {
      all["prompts"] = json::object{};
      all["completions"] = json::object{};
    }
    co_return all;
  }

  asio::awaitable<UpstreamReply> request(UpstreamRequest request) override {
    const auto params = *parse_json(request.params.empty() ? "{}" : request.params);
    if (request.method == "tools/call") co_return co_await call(std::move(request), params);
    if (request.method == "tools/list") {
      co_return answered(json::object{{"tools", *parse_json(kTools)}});
    }
    co_return read(request.method, params);
  }

private:
  UpstreamReply read(const std::string& method, const json::value& params) {
    const auto uri = std::string(string_or(params, "uri"));
    const auto own = fmt::format("test://{}", public_name(name_));
    if (method == "resources/list") return list_resources(params, own);
    if (method == "resources/templates/list") {
      return answered(json::object{
          {"resourceTemplates",
           json::array{json::object{{"uriTemplate", own + "/t/{x}"}, {"name", "t"}}}}});
    }
    if (method == "resources/read") {
      if (!uri.starts_with(own) && uri != kShared) return rejected(-32002, "no such resource");
      return answered(json::object{
          {"contents", json::array{json::object{{"uri", uri}, {"text", "from " + name_}}}}});
    }
    if (method == "resources/subscribe" || method == "resources/unsubscribe") {
      script_->subscribed = method == "resources/subscribe";
      return answered(json::object{});
    }
    if (method == "prompts/list") {
      return answered(json::object{{"prompts", json::array{json::object{{"name", "greet"}}}}});
    }
    if (method == "prompts/get") {
      return answered(
          json::object{{"description", string_or(params, "name")}, {"messages", json::array{}}});
    }
    if (method == "completion/complete") {
      const auto* reference = find(params, "ref");
      return answered(json::object{
          {"completion",
           json::object{{"values", json::array{string_or(*reference, "name",
                                                         string_or(*reference, "uri"))}}}}});
    }
    return rejected(-32601, "no such method");
  }

  // Two pages.
  UpstreamReply list_resources(const json::value& params, const std::string& own) {
    const bool second = !string_or(params, "cursor").empty();
    json::array listed{
        json::object{{"uri", own + (second ? "/b" : "/a")}, {"name", second ? "b" : "a"}}};
    if (second) listed.push_back(json::object{{"uri", kShared}, {"name", "of " + name_}});
    json::object result{{"resources", std::move(listed)}};
    if (!second) result["nextCursor"] = "2";
    return answered(std::move(result));
  }

  asio::awaitable<UpstreamReply> call(UpstreamRequest request, json::value params) {
    const std::string tool(string_or(params, "name"));
    const auto* arguments = find(params, "arguments");
    if (tool == "echo") {
      auto result = text(arguments == nullptr ? "" : write_json(*arguments));
      result["_meta"] = json::object{{"own", name_}};
      co_return answered(std::move(result));
    }
    if (tool == "broken" || tool == "vanish") {
      UpstreamReply reply;
      reply.delivery = Delivery::lost;
      reply.error = {ErrorCode::unavailable, "the server went away"};
      co_return reply;
    }
    if (tool == "steps") {
      for (const int step : {1, 2}) {
        if (request.caller.on_progress) {
          request.caller.on_progress(
              fmt::format(R"({{"progressToken":"internal","progress":{},"total":2}})", step));
        }
      }
    }
    if (tool == "task") {
      co_return answered(json::object{{"resultType", "task"}, {"taskId", "1"}});
    }
    if (tool == "asks") co_return ask(request, params);
    if (tool == "wonder") co_return co_await wonder(std::move(request));
    if (tool == "refuses") {
      auto reply = rejected(-32021, "this takes sampling");
      reply.rpc_error =
          R"({"code":-32021,"message":"this takes sampling","data":{"requiredCapabilities":{"sampling":{}}}})";
      co_return reply;
    }
    if (tool == "logs" && request.caller.on_log) {
      request.caller.on_log(R"({"level":"debug","data":"small"})");
      request.caller.on_log(R"({"level":"warning","data":"large"})");
    }
    if (tool == "slow") co_await wait_until_released();
    const auto number = ++script_->calls;
    co_return answered(text(fmt::format("{} {}", tool, number)));
  }

  // The modern way: a state that only the first answer's caller knows, then what came back with it.
  UpstreamReply ask(const UpstreamRequest& request, const json::value& params) {
    if (find(params, "requestState") == nullptr) {
      const json::object question{{"method", "elicitation/create"},
                                  {"params", json::object{{"message", "sure?"}}}};
      return answered(
          json::object{{"resultType", "input_required"},
                       {"inputRequests", json::object{{"sure", question}}},
                       {"requestState", fmt::format("state {}", ++script_->questions)}});
    }
    ++script_->calls;
    const json::value meta(request.meta);
    return answered(
        text(write_json(json::object{{"arguments", *find(params, "arguments")},
                                     {"inputResponses", *find(params, "inputResponses")},
                                     {"requestState", *find(params, "requestState")},
                                     {"capabilities", request.caller.capabilities},
                                     {"key", string_or(meta, "com.gavel/idempotencyKey")}})));
  }

  // The legacy way: a request to the client in the middle of the call.
  asio::awaitable<UpstreamReply> wonder(UpstreamRequest request) {
    if (!request.caller.on_question) co_return answered(text("nobody to ask"));
    const auto said = std::make_shared<std::string>();
    request.caller.on_question(
        {"elicitation/create", R"({"message":"why?"})",
         [said](const std::string& result, const std::string& error) { *said = result + error; }});
    asio::steady_timer timer(executor_);
    while (said->empty()) {
      timer.expires_after(std::chrono::milliseconds(2));
      const auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
      if (error) break;
    }
    co_return answered(text(*said));
  }

  asio::awaitable<void> wait_until_released() {
    asio::steady_timer timer(executor_);
    while (!script_->released) {
      timer.expires_after(std::chrono::milliseconds(2));
      const auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
      if (error) {
        ++script_->cancelled;
        co_return;
      }
    }
  }

  asio::any_io_executor executor_;
  std::string name_;
  std::shared_ptr<ServerScript> script_;
};

}  // namespace

class World::Parts {
public:
  TestClock clock;
  TestRandom random;
  std::unique_ptr<FillingLog> log = std::make_unique<FillingLog>();
  std::unique_ptr<LocalHarness> harness;
  std::unique_ptr<Gateway> gateway;
};

McpOptions World::quick() {
  McpOptions options;
  options.hold_off = std::chrono::milliseconds(20);
  options.keep_alive = std::chrono::milliseconds(20);
  options.patience = std::chrono::seconds(20);
  options.patience_with_progress = std::chrono::seconds(20);
  return options;
}

World::World(McpOptions mcp) : parts_(std::make_unique<Parts>()) {
  std::string name = (fs::temp_directory_path() / "gavel-gateway-XXXXXX").string();
  directory_ = ::mkdtemp(name.data());
  EXPECT_TRUE(create_default_tokens(directory_));
  for (const std::string server : {"box", "lib", "extra"}) {
    scripts_[server] = std::make_shared<ServerScript>();
  }
  loop_.run([&] {
    auto policy = parse_policy(kPolicy, "gavel.yaml");
    ASSERT_TRUE(policy) << policy.error().message;
    LocalHarnessOptions options;
    options.executor = loop_.executor();
    options.log = parts_->log.get();
    options.clock = &parts_->clock;
    options.random = &parts_->random;
    options.policy = *policy;
    options.make_upstream = [this](const ServerSpec& spec, UpstreamEvents events) {
      const auto script = scripts_.find(std::string(public_name(spec.name)));
      if (script != scripts_.end()) script->second->announce = std::move(events.on_notification);
      return std::make_unique<ScriptedServer>(
          loop_.executor(), spec.name,
          script == scripts_.end() ? std::make_shared<ServerScript>() : script->second);
    };
    parts_->harness = std::make_unique<LocalHarness>(std::move(options));
    const auto started = parts_->harness->start();
    ASSERT_TRUE(started) << started.error().message;
    GatewayOptions gateway;
    gateway.http.listen = {"127.0.0.1:0"};
    gateway.http.drain_timeout = std::chrono::seconds(5);
    gateway.tokens_directory = directory_ / "tokens";
    gateway.api.keep_alive = std::chrono::milliseconds(20);
    gateway.api.stream_step = std::chrono::milliseconds(20);
    gateway.mcp = mcp;
    auto made = Gateway::start(loop_.executor(), *parts_->harness, std::move(gateway));
    ASSERT_TRUE(made) << made.error().message;
    parts_->gateway = std::move(*made);
    endpoint_ = parts_->gateway->endpoints()[0];
  });
}

World::~World() {
  for (const auto& [name, script] : scripts_) script->released = true;
  stop();
  loop_.await([this]() -> asio::awaitable<void> { return parts_->harness->close(); });
  loop_.run([this] { parts_.reset(); });
  fs::remove_all(directory_);
}

void World::announce(const std::string& server, const std::string& method,
                     const std::string& params) {
  loop_.run([&] { scripts_.at(server)->announce(method, params); });
}

void World::fill_disk(int appends_left, bool refused) {
  loop_.run([&] {
    parts_->log->appends_left = appends_left;
    parts_->log->failure =
        refused ? FillingLog::Failure::refused : FillingLog::Failure::not_durable;
  });
}

void World::hang_disk(bool hangs) {
  loop_.run([&] { parts_->log->hang(hangs); });
}

void World::stop() {
  loop_.await([this]() -> asio::awaitable<void> { return parts_->gateway->stop(); });
}

Client World::client(const std::string& principal) {
  std::ifstream in(directory_ / "tokens" / (principal + ".json"));
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  Client client(endpoint_);
  client.authorization = "Bearer " + parse_token_file(text)->token;
  return client;
}

json::value World::get(const std::string& target) {
  auto client = person();
  const auto reply = client.request("GET", target);
  EXPECT_EQ(reply.status, 200) << target << ": " << reply.body;
  return parse_json(reply.body).value_or(nullptr);
}

json::value World::post(const std::string& principal, const std::string& target,
                        const json::object& body, int status) {
  auto from = client(principal);
  const auto reply = from.request("POST", target, write_json(body));
  EXPECT_EQ(reply.status, status) << target << ": " << reply.body;
  return parse_json(reply.body).value_or(nullptr);
}

json::value World::only_pending() {
  for (int tries = 0; tries < 1000; ++tries) {
    const auto list = get("/v1/pending");
    const auto* pending = find_array(list, "pending");
    if (pending != nullptr && !pending->empty()) return pending->front();
  }
  ADD_FAILURE() << "nothing is pending";
  return nullptr;
}

void World::decide(const json::value& pending, std::string_view verdict) {
  post("operator",
       fmt::format("/v1/sessions/{}/intents/{}/vote", percent_encode(string_or(pending, "session")),
                   int_or(pending, "intent", 0)),
       {{"verdict", verdict}, {"reason", "because"}, {"digest", string_or(pending, "digest")}});
}

json::object modern_meta(json::object more) {
  more["io.modelcontextprotocol/protocolVersion"] = "2026-07-28";
  more["io.modelcontextprotocol/clientInfo"] = json::object{{"name", "tester"}, {"version", "1"}};
  more.emplace("io.modelcontextprotocol/clientCapabilities", json::object{});
  return more;
}

void send_modern(Client& client, std::string_view method, json::object params,
                 const std::string& target, std::string_view id) {
  json::object meta;
  if (const auto* given = params.if_contains("_meta")) meta = given->as_object();
  params["_meta"] = modern_meta(std::move(meta));
  std::vector<std::pair<std::string, std::string>> headers{
      {"Content-Type", "application/json"},
      {"Accept", "application/json, text/event-stream"},
      {"MCP-Protocol-Version", "2026-07-28"},
      {"Mcp-Method", std::string(method)}};
  if (method == "resources/read") {
    headers.emplace_back("Mcp-Name", string_or(params, "uri"));
  } else if (method == "tools/call" || method == "prompts/get") {
    headers.emplace_back("Mcp-Name", string_or(params, "name"));
  } else if (method.starts_with("tasks/")) {
    headers.emplace_back("Mcp-Name", string_or(params, "taskId"));
  }
  client.send_request("POST", target,
                      fmt::format(R"({{"jsonrpc":"2.0","id":{},"method":"{}","params":{}}})", id,
                                  method, write_json(params)),
                      headers);
}

Reply modern(Client& client, std::string_view method, json::object params,
             const std::string& target) {
  send_modern(client, method, std::move(params), target);
  return client.receive();
}

json::value message_of(const Reply& reply) {
  std::string_view body = reply.body;
  if (reply.header("Content-Type") == "text/event-stream") {
    const auto at = body.rfind("data: ");
    if (at == std::string_view::npos) return nullptr;
    body = body.substr(at + 6, body.find('\n', at) - at - 6);
  }
  auto value = parse_json(body);
  EXPECT_TRUE(value) << reply.status << ": " << reply.body;
  return value.value_or(nullptr);
}

std::string text_of(const json::value& message) {
  const auto* result = find(message, "result");
  const auto* content = result == nullptr ? nullptr : find_array(*result, "content");
  if (content == nullptr || content->empty()) return "no content: " + write_json(message);
  return std::string(string_or(content->front(), "text"));
}

}  // namespace gavel::test
