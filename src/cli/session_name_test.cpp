#include "cli/session_name.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

TEST(SessionName, SaysWhichProgramAndWhen) {
  EXPECT_EQ(session_name_for("claude", Timestamp{1'795'236'180'123}, 4711),
            "claude-20261121-044300-4711");
  EXPECT_EQ(session_name_for("/opt/My Agent!", Timestamp{0}, 1), "my-agent-19700101-000000-1");
  EXPECT_EQ(session_name_for("", Timestamp{0}, 1), "agent-19700101-000000-1");
}

TEST(ServerName, ComesFromTheServerNotItsLauncher) {
  using Words = std::vector<std::string>;
  const std::vector<std::pair<Words, std::string>> cases = {
      {{"npx", "-y", "@modelcontextprotocol/server-filesystem", "/data"}, "filesystem"},
      {{"npx", "@henkey/postgres-mcp-server@1.0.5", "--connection-string", "x"}, "postgres"},
      {{"uvx", "mcp-server-git", "--repository", "."}, "git"},
      {{"python3", "-m", "mcp_server_fetch"}, "fetch"},
      {{"node", "/opt/tools/weather.mjs"}, "weather"},
      {{"/usr/bin/env", "node", "dist/github-mcp.js"}, "github"},
      {{"docker", "run", "-i", "mcp/sqlite:latest"}, "sqlite"},
      {{"server"}, "server"},
      {{"---"}, "server"},
      {{"npx"}, "npx"},
  };
  for (const auto& [command, name] : cases) EXPECT_EQ(server_name_for(command), name);
}

}  // namespace
}  // namespace gavel
