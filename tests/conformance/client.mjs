// What the referee's client scenarios want done, by the official SDK, through Gavel.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.CONFORMANCE}/package.json`);
const { Client, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');

const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const version = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const modern = version >= '2026-07-28';

const client = new Client(
  { name: 'conformance-client', version: '1.0.0' },
  {
    capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} },
    versionNegotiation: { mode: modern ? { pin: version } : 'legacy' },
  },
);
client.setRequestHandler('elicitation/create', () => {
  const content = scenario.includes('defaults') ? {} : { confirmed: true };
  return { action: 'accept', content };
});

// The referee judges what reaches its server, so an error here is shown and goes on.
async function attempt(what, run) {
  try {
    const result = await run();
    console.log(what, JSON.stringify(result));
    return result;
  } catch (error) {
    console.log(what, 'failed:', error.message);
    return undefined;
  }
}

// What a person does: runs the command and opens the address. The browser is a fetch that follows
// the redirection back to the command.
async function login() {
  const command = ['--json', 'login', '--no-browser', 'referee'];
  const child = spawn(process.env.GAVEL_BINARY, command, {
    env: { ...process.env, GAVEL_TOKEN: process.env.GAVEL_OPERATOR_TOKEN },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  child.stdout.on('data', (line) => {
    const { url } = JSON.parse(String(line).split('\n')[0]);
    if (!url) return;
    attempt('browser', async () => (await fetch(url)).status).then((status) => {
      // Nobody comes back any more.
      if (status === undefined) child.kill();
    });
  });
  const [code] = await ended;
  console.log('gavel login', code);
  return code === 0;
}

// Does it again after a login, for as long as Gavel asks a person for one.
const LOGINS_MAX = 5;
async function withLogin(run, asks) {
  let result = await run();
  for (let i = 0; i < LOGINS_MAX && (await asks(result)) && (await login()); ++i) {
    result = await run();
  }
  return result;
}

async function serverNeedsLogin() {
  const { upstreams } = await (
    await fetch(new URL('/v1/upstreams', process.env.GAVEL_MCP_URL), {
      headers: { Authorization: `Bearer ${process.env.GAVEL_OPERATOR_TOKEN}` },
    })
  ).json();
  console.log('upstreams', JSON.stringify(upstreams));
  return upstreams[0].health === 'needs_login';
}

const call = (name, args = {}) =>
  withLogin(
    () => attempt(`tools/call ${name}`, () => client.callTool({ name, arguments: args })),
    (result) => JSON.stringify(result ?? {}).includes('gavel login'),
  );

// Of the type that the tool wants, so that nothing but the wire is in question.
const SAMPLES = { string: 'us-west1', integer: 1, number: 1.5, boolean: true };

async function callAll(tools) {
  for (const { name, inputSchema } of tools) {
    const required = inputSchema.required ?? [];
    const value = (key) => SAMPLES[inputSchema.properties[key].type];
    await call(name, Object.fromEntries(required.map((key) => [key, value(key)])));
  }
}

async function everything(tools) {
  await callAll(tools);
  const { resources = [] } = (await attempt('resources', () => client.listResources())) ?? {};
  for (const { uri } of resources) await attempt(uri, () => client.readResource({ uri }));
  const { prompts = [] } = (await attempt('prompts', () => client.listPrompts())) ?? {};
  for (const { name } of prompts) await attempt(name, () => client.getPrompt({ name }));
}

async function mrtr() {
  const echoed = call('test_mrtr_echo_state');
  await call('test_mrtr_unrelated');
  await echoed;
  await call('test_mrtr_no_state');
  await call('test_mrtr_no_result_type');
}

async function echoSchema(tools) {
  const focal = tools.find((tool) => tool.name === 'json_schema_2020_12_tool');
  await call('json_schema_echo', { schema: focal?.inputSchema });
}

async function given() {
  for (const { name, arguments: args } of context.toolCalls) await call(name, args);
}

const SCENARIOS = {
  tools_call: () => call('add_numbers', { a: 5, b: 3 }),
  'http-standard-headers': everything,
  'http-custom-headers': given,
  'sep-2322-client-request-state': mrtr,
  'json-schema-ref-no-deref': () => {},
  'json-schema-2020-12-preservation': echoSchema,
};

await client.connect(
  new StreamableHTTPClientTransport(new URL(process.env.GAVEL_MCP_URL), {
    requestInit: { headers: { Authorization: `Bearer ${process.env.GAVEL_TOKEN}` } },
  }),
);
const { tools = [] } =
  (await withLogin(
    () => attempt('tools/list', () => client.listTools()),
    () => serverNeedsLogin(),
  )) ?? {};
await (SCENARIOS[scenario] ?? callAll)(tools);
await client.close();
