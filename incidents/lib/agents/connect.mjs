// A connection of the official MCP SDK: through Gavel where `gavel run` says how, else directly to
// the server of SERVER_COMMAND. The scripts of the incidents do not know which.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PEERS}/package.json`);
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StdioClientTransport } = require('@modelcontextprotocol/sdk/client/stdio.js');
const {
  StreamableHTTPClientTransport,
} = require('@modelcontextprotocol/sdk/client/streamableHttp.js');

export function report(event, fields = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

function transport() {
  if (process.env.GAVEL_MCP_URL) {
    return new StreamableHTTPClientTransport(new URL(process.env.GAVEL_MCP_URL), {
      requestInit: { headers: { Authorization: `Bearer ${process.env.GAVEL_TOKEN}` } },
    });
  }
  const [command, ...args] = JSON.parse(process.env.SERVER_COMMAND);
  return new StdioClientTransport({ command, args, env: process.env, stderr: 'ignore' });
}

export async function connect() {
  const client = new Client({ name: 'script', version: '1.0.0' });
  await client.connect(transport());
  const { tools } = await client.listTools();
  const named = (tool) => {
    const found = tools.find((each) => each.name === tool || each.name.endsWith(`__${tool}`));
    if (!found) throw new Error(`no tool ${tool} among ${tools.map((each) => each.name)}`);
    return found.name;
  };
  return {
    tools,
    // Returns {text, failed}; throws where no answer comes within timeout_ms.
    async call(tool, args, timeout_ms = 60_000) {
      const options = { timeout: timeout_ms };
      const params = { name: named(tool), arguments: args };
      const result = await client.callTool(params, undefined, options);
      const text = result.content.map((part) => part.text ?? '').join('\n');
      return { text, failed: result.isError === true };
    },
    close: () => client.close(),
  };
}
