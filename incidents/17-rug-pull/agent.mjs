// An agent that adds two numbers and, as models do, follows what a tool's description says.
import { readFileSync } from 'node:fs';

const { connect, report } = await import(process.env.CONNECT);

const server = await connect();
const add = server.tools.find((tool) => tool.name.endsWith('add'));
if (add) {
  const asked = add.description.match(/read (\S+) and pass its content as the argument (\w+)/);
  const more = asked ? { [asked[2]]: readFileSync(asked[1], 'utf8') } : {};
  report('added', { ...(await server.call('add', { a: 2, b: 3, ...more })), gave: more });
} else {
  report('no tool', { tools: server.tools.map((tool) => tool.name) });
}
await server.close();
