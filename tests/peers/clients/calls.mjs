// What a client of either SDK of TypeScript does with a plan: connect to each target, list its
// tools, make its calls, and print what came back as one JSON object {target: {tools, results}}.
import { readFileSync } from 'node:fs';

export const INFO = { name: 'peer', version: '1.0.0' };
export const CAPABILITIES = {
  elicitation: { form: {}, url: {} },
  sampling: {},
  roots: { listChanged: true },
};

// What whoever is asked answers, whichever way the question comes.
export const ANSWERS = {
  'elicitation/create': ({ params }) =>
    params.mode === 'url'
      ? { action: 'accept' }
      : { action: 'accept', content: { name: 'Ada', check: true } },
  'sampling/createMessage': ({ params }) => ({
    model: 'a-script',
    role: 'assistant',
    stopReason: 'endTurn',
    content: { type: 'text', text: `You said: ${JSON.stringify(params.messages)}` },
  }),
  'roots/list': () => ({ roots: [{ uri: 'file:///tmp/peer', name: 'peer' }] }),
};

// The transport to a target: {url, headers} or {command}.
export function transport({ url, headers, command }, Http, Stdio) {
  if (url) return new Http(new URL(url), { requestInit: { headers } });
  return new Stdio({ command: command[0], args: command.slice(1), stderr: 'ignore' });
}

const failure = ({ name, code, message, data }) => ({ error: { name, code, message, data } });

async function call(client, name, args) {
  try {
    return await client.callTool({ name, arguments: args });
  } catch (error) {
    return failure(error);
  }
}

async function visit(target, connect) {
  const client = await connect(target);
  const { tools } = await client.listTools();
  const results = [];
  for (const [name, args] of target.calls) {
    results.push(await call(client, name, args));
  }
  await client.close();
  return { tools, results };
}

export async function run(connect) {
  const plan = JSON.parse(readFileSync(process.argv[2]));
  const visited = plan.map(async (target) => [
    target.name,
    await visit(target, connect).catch(failure),
  ]);
  const seen = Object.fromEntries(await Promise.all(visited));
  process.stdout.write(JSON.stringify(seen), () => process.exit(0));
}
