// A client on the official SDK of TypeScript, version 2, which speaks either era.
import { createRequire } from 'node:module';

import { ANSWERS, CAPABILITIES, INFO, run, transport } from './calls.mjs';

const require = createRequire(`${process.env.PEERS}/package.json`);
const { Client, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
const { StdioClientTransport } = require('@modelcontextprotocol/client/stdio');

async function connect(target) {
  const { era } = target;
  const client = new Client(INFO, {
    capabilities: CAPABILITIES,
    versionNegotiation: { mode: era === '2026-07-28' ? { pin: era } : 'legacy' },
  });
  for (const [method, answer] of Object.entries(ANSWERS)) {
    client.setRequestHandler(method, answer);
  }
  await client.connect(transport(target, StreamableHTTPClientTransport, StdioClientTransport));
  return client;
}

await run(connect);
