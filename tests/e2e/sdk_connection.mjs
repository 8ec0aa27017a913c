// A client on the official MCP SDK, connected to the Gavel that its environment names.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PEERS}/package.json`);
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const {
  StreamableHTTPClientTransport,
} = require('@modelcontextprotocol/sdk/client/streamableHttp.js');

export const client = new Client({ name: 'sdk-client', version: '1.0.0' });
await client.connect(
  new StreamableHTTPClientTransport(new URL(process.env.GAVEL_MCP_URL), {
    requestInit: { headers: { Authorization: `Bearer ${process.env.GAVEL_TOKEN}` } },
  }),
);
