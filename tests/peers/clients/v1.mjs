// A client on the official SDK of TypeScript, version 1: the handshake alone.
import { createRequire } from 'node:module';

import { ANSWERS, CAPABILITIES, INFO, run, transport } from './calls.mjs';

const require = createRequire(`${process.env.PEERS}/package.json`);
const from = (path) => require(`@modelcontextprotocol/sdk/${path}.js`);
const { Client } = from('client/index');
const { StdioClientTransport } = from('client/stdio');
const { StreamableHTTPClientTransport } = from('client/streamableHttp');
const types = from('types');

const SCHEMAS = {
  'elicitation/create': types.ElicitRequestSchema,
  'sampling/createMessage': types.CreateMessageRequestSchema,
  'roots/list': types.ListRootsRequestSchema,
};

async function connect(target) {
  const client = new Client(INFO, { capabilities: CAPABILITIES });
  for (const [method, answer] of Object.entries(ANSWERS)) {
    client.setRequestHandler(SCHEMAS[method], answer);
  }
  await client.connect(transport(target, StreamableHTTPClientTransport, StdioClientTransport));
  return client;
}

await run(connect);
