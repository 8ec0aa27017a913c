// A client on the official MCP SDK that makes one call, and comes back for its answer by itself.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PEERS}/package.json`);
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const {
  StreamableHTTPClientTransport,
} = require('@modelcontextprotocol/sdk/client/streamableHttp.js');

const client = new Client({ name: 'sdk-client', version: '1.0.0' });
await client.connect(
  new StreamableHTTPClientTransport(new URL(process.env.GAVEL_MCP_URL), {
    requestInit: { headers: { Authorization: `Bearer ${process.env.GAVEL_TOKEN}` } },
  }),
);
const result = await client.callTool(
  { name: 'box__append', arguments: { text: 'once' } },
  undefined,
  { onresumptiontoken: () => process.stdout.write('stream\n') },
);
process.stdout.write(JSON.stringify(result.content[0].text));
await client.close();
