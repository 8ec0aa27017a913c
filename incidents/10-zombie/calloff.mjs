// Agent B: the move is called off, so the copy has to go.
const { connect, report } = await import(process.env.CONNECT);

const server = await connect();
const { text, failed } = await server.call('execute', { sql: 'DELETE FROM archive' });
if (failed) throw new Error(text);
report('called off', { text });
await server.close();
