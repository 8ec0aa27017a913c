#include "policy/starter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/parse.hpp"

namespace gavel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<FoundServer> found(ClientKind kind, std::string_view text) {
  auto servers = find_servers(kind, "config.json", text);
  EXPECT_TRUE(servers) << servers.error().message;
  return servers.value_or(std::vector<FoundServer>{});
}

// The starter's text, which is always a policy.
std::string rendered(const std::vector<FoundServer>& servers,
                     std::shared_ptr<const Policy>* policy = nullptr) {
  std::string text = render_starter(servers);
  const PolicyCheck check = check_policy(text, "gavel.yaml");
  EXPECT_NE(check.policy, nullptr) << check.text() << text;
  if (policy != nullptr) *policy = check.policy;
  return text;
}

TEST(FindServers, ReadsClaudeCode) {
  const auto servers = found(ClientKind::claude_code, R"({
    "mcpServers": {
      "My DB": {"command": "npx", "args": ["-y", "pg-server"], "env": {"PGHOST": "localhost"}},
      "web": {"type": "http", "url": "https://example.com/mcp", "headers": {"X-Team": "a"}}
    },
    "projects": {"/home/me/p": {"mcpServers": {"fs": {"command": "fs", "args": []}}}}
  })");
  ASSERT_EQ(servers.size(), 3u);
  EXPECT_EQ(servers[0].client, "Claude Code");
  EXPECT_EQ(servers[0].file, "config.json");
  EXPECT_EQ(servers[0].name, "My DB");
  EXPECT_EQ(servers[0].spec.name, "my-db");
  EXPECT_THAT(servers[0].spec.command, ElementsAre("npx", "-y", "pg-server"));
  EXPECT_EQ(servers[0].spec.environment.at("PGHOST"), "localhost");
  EXPECT_EQ(servers[1].spec.url, "https://example.com/mcp");
  EXPECT_EQ(servers[1].spec.headers.at("X-Team"), "a");
  EXPECT_THAT(servers[2].spec.command, ElementsAre("fs"));
}

TEST(FindServers, NoArgumentCarriesASecretAlong) {
  const auto servers = found(ClientKind::claude_code, R"({"mcpServers": {
    "a": {"command": "docker",
          "args": ["run", "-e", "API_TOKEN=tell-nobody", "-e", "LEVEL=3", "image"]},
    "b": {"command": "npx", "args": ["mcp-remote", "https://x.example/sse?room=1", "--header",
          "Authorization: Bearer tell-nobody", "--header", "X-Api-Key:tell-nobody"]},
    "c": {"command": "sh", "args": ["-c", "PGPASSWORD=tell-nobody exec pg-server --port 5432"]},
    "d": {"command": "serve",
          "args": ["--token", "tell-nobody", "--key=tell-nobody", "--keep=this"]}
  }})");
  ASSERT_EQ(servers.size(), 4u);
  for (const auto& server : servers) {
    for (const auto& word : server.spec.command) EXPECT_THAT(word, Not(HasSubstr("tell-nobody")));
    EXPECT_FALSE(server.secrets.empty()) << server.name;
  }
  EXPECT_THAT(servers[0].spec.command, ElementsAre("docker", "run", "-e", HasSubstr("API_TOKEN="),
                                                   "-e", "LEVEL=3", "image"));
  EXPECT_THAT(servers[1].spec.command[2], "https://x.example/sse?room=1");
  EXPECT_THAT(servers[3].spec.command.back(), "--keep=this");
  EXPECT_THAT(rendered(servers), Not(HasSubstr("tell-nobody")));
}

TEST(FindServers, ReadsTheOtherClients) {
  const auto cursor = found(ClientKind::cursor, R"({"mcpServers":{"a":{"url":"http://x/mcp"}}})");
  ASSERT_EQ(cursor.size(), 1u);
  EXPECT_EQ(cursor[0].client, "Cursor");
  const auto gemini = found(ClientKind::gemini,
                            R"({"theme":"x","mcpServers":{"a":{"httpUrl":"http://x","cwd":"/"},
                                "b":{"command":"b","cwd":"/srv"}}})");
  ASSERT_EQ(gemini.size(), 2u);
  EXPECT_EQ(gemini[0].spec.url, "http://x");
  EXPECT_EQ(gemini[1].spec.directory, "/srv");
  const auto opencode = found(ClientKind::opencode, R"({"mcp":{
      "a":{"type":"local","command":["npx","a"],"environment":{"X":"1"},"enabled":false},
      "b":{"type":"remote","url":"https://b"}}})");
  ASSERT_EQ(opencode.size(), 2u);
  EXPECT_THAT(opencode[0].spec.command, ElementsAre("npx", "a"));
  EXPECT_EQ(opencode[0].spec.environment.at("X"), "1");
  EXPECT_THAT(opencode[0].notes, ElementsAre("it was switched off there"));
  const auto vscode = found(ClientKind::vscode, R"({
      // comments and trailing commas are usual here
      "servers": {"a": {"type": "sse", "url": "https://a", },
                  "b": {"command": "b", "envFile": ".env", "cwd": "${workspaceFolder}"}},
    })");
  ASSERT_EQ(vscode.size(), 2u);
  EXPECT_THAT(vscode[0].notes, ElementsAre(HasSubstr("SSE")));
  EXPECT_EQ(vscode[1].notes.size(), 2u);
  EXPECT_EQ(vscode[1].spec.directory, "");
}

TEST(FindServers, LeavesOutWhatIsNoServer) {
  EXPECT_TRUE(found(ClientKind::cursor, "{}").empty());
  EXPECT_TRUE(found(ClientKind::cursor, "[]").empty());
  EXPECT_TRUE(found(ClientKind::cursor, R"({"mcpServers":[]})").empty());
  EXPECT_TRUE(found(ClientKind::cursor, R"({"mcpServers":{"a":1,"b":{},"c":{"url":"ftp://x"},
      "d":{"command":"x","url":"http://x"},"e":{"command":"/usr/bin/gavel","args":["mcp"]}}})")
                  .empty());
}

TEST(FindServers, RefusesWhatIsNoJson) {
  for (const auto* text : {"", "{", "mcpServers: {}", "{\"a\":1}}"}) {
    const auto servers = find_servers(ClientKind::cursor, "/home/me/mcp.json", text);
    ASSERT_FALSE(servers);
    EXPECT_THAT(servers.error().message, HasSubstr("/home/me/mcp.json is not JSON"));
  }
  EXPECT_FALSE(find_servers(ClientKind::cursor, "x", std::string(100, '[')));
}

TEST(RenderStarter, NeverCopiesASecret) {
  const auto servers = found(ClientKind::claude_code, R"({"mcpServers":{
    "pg": {"command": "pg", "args": ["--api-key", "hidden1", "--token=hidden2", "--port", "5432",
                                     "postgres://me:hidden3@db/x", "sk-hidden4"],
           "env": {"PGPASSWORD": "hidden5", "github_token": "hidden6", "STRIPE_KEY": "hidden7",
                   "MY_SECRET": "hidden8", "DATABASE_URL": "postgres://me:hidden9@db/x",
                   "OTHER": "ghp_hidden10", "FILLED": "${HOME}", "PGHOST": "db", "PORT": 5432}},
    "web": {"url": "https://me:hidden11@example.com/mcp?api_key=hidden12",
            "headers": {"Authorization": "Bearer hidden13", "X-Team": "blue",
                        "X-Other": "Bearer hidden14"}}}})");
  ASSERT_EQ(servers.size(), 2u);
  std::shared_ptr<const Policy> policy;
  const std::string text = rendered(servers, &policy);
  EXPECT_THAT(text, Not(HasSubstr("hidden")));
  EXPECT_THAT(text, HasSubstr("# Secrets are not copied here."));
  const ServerSpec& pg = policy->servers()[0];
  EXPECT_THAT(pg.command, ElementsAre("pg", "--api-key", "REMOVED-BY-GAVEL-INIT",
                                      "--token=REMOVED-BY-GAVEL-INIT", "--port", "5432",
                                      "REMOVED-BY-GAVEL-INIT", "REMOVED-BY-GAVEL-INIT"));
  EXPECT_EQ(pg.environment.size(), 2u);
  EXPECT_EQ(pg.environment.at("PORT"), "5432");
  EXPECT_EQ(pg.environment_files.size(), 7u);
  EXPECT_EQ(pg.environment_files.at("PGPASSWORD"), "/etc/gavel/secrets/pg.PGPASSWORD");
  const ServerSpec& web = policy->servers()[1];
  EXPECT_EQ(web.url, "https://example.com/mcp");
  EXPECT_EQ(web.headers.size(), 1u);
  EXPECT_EQ(web.header_files.size(), 2u);
  EXPECT_EQ(servers[0].secrets.size(), 11u);
}

TEST(RenderStarter, IsAPolicyWithTheDefaults) {
  std::shared_ptr<const Policy> policy;
  const std::string text = rendered({}, &policy);
  EXPECT_THAT(text, testing::StartsWith("# yaml-language-server: $schema=/usr/share/gavel/"));
  EXPECT_THAT(text, HasSubstr("No server was found"));
  EXPECT_TRUE(policy->servers().empty());
  EXPECT_EQ(policy->defaults().write, Verdict::ask);
}

TEST(RenderStarter, NumbersNamesAndMergesWhatIsTheSame) {
  auto servers = found(ClientKind::cursor, R"({"mcpServers":{"DB":{"command":"one"},
      "d.b":{"command":"three"},"--":{"command":"four"}}})");
  auto more =
      found(ClientKind::gemini, R"({"mcpServers":{"db":{"command":"two"},"x":{"command":"one"}}})");
  servers.insert(servers.end(), more.begin(), more.end());
  std::shared_ptr<const Policy> policy;
  rendered(servers, &policy);
  std::vector<std::string> names;
  for (const auto& server : policy->servers()) names.push_back(server.name);
  EXPECT_THAT(names, ElementsAre("db", "d-b", "server", "db-2"));
}

TEST(RenderStarter, QuotesWhatYamlWouldRead) {
  auto servers = found(ClientKind::cursor, R"({"mcpServers":{"yes\n# x: y":{"command":"a: b",
      "args":["#c","'\"\\\u0007","\u007f","${x}","- d","\u2028ä"],
      "env":{"A":"null","B":"{","C":true}}}})");
  std::shared_ptr<const Policy> policy;
  rendered(servers, &policy);
  const ServerSpec& server = policy->servers()[0];
  EXPECT_THAT(server.command,
              ElementsAre("a: b", "#c", "'\"\\\x07", "\x7f", "${x}", "- d", "\xE2\x80\xA8ä"));
  EXPECT_EQ(server.environment.at("A"), "null");
  EXPECT_EQ(server.environment.at("B"), "{");
  EXPECT_EQ(server.environment.at("C"), "true");
}

TEST(KnownConfigs, NameEachClientOnce) {
  EXPECT_GE(known_configs().size(), 10u);
  for (const auto& config : known_configs()) {
    EXPECT_FALSE(config.client.empty());
    EXPECT_FALSE(config.path.starts_with("/"));
  }
}

}  // namespace
}  // namespace gavel
