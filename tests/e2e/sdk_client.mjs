// A client on the official MCP SDK. Prints what it saw as one JSON object.
import { client } from './sdk_connection.mjs';

const { tools } = await client.listTools();
const call = (name, args) => client.callTool({ name, arguments: args });
const text = (result) => result.content.map((part) => part.text).join('');

const seen = { tools: tools.map((tool) => tool.name) };
seen.echo = text(await call('box__echo', { text: 'from the SDK' }));
seen.append = text(await call('box__append', { text: 'by the SDK' }));
seen.count = (await call('box__count', {})).structuredContent;
seen.unknown = await call('box__nothing', {}).then(
  (result) => result.isError && text(result),
  (error) => error.message,
);
await client.close();
process.stdout.write(JSON.stringify(seen));
