// A client on the official MCP SDK that makes one call, and comes back for its answer by itself.
import { client } from './sdk_connection.mjs';

const result = await client.callTool(
  { name: 'box__append', arguments: { text: 'once' } },
  undefined,
  { onresumptiontoken: () => process.stdout.write('stream\n') },
);
process.stdout.write(JSON.stringify(result.content[0].text));
await client.close();
