// Agent A: copies the documents, thinks for a while, deletes the originals.
import { existsSync } from 'node:fs';

const { connect, report } = await import(process.env.CONNECT);

const server = await connect();
await server.call('execute', { sql: 'INSERT INTO archive SELECT * FROM documents' });
report('copied', { pid: process.pid });
while (!existsSync(process.env.GATE)) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
try {
  const { text, failed } = await server.call('execute', { sql: 'DELETE FROM documents' });
  report(failed ? 'refused' : 'deleted', { text });
} catch (error) {
  report('no_answer', { error: error.message });
}
process.exit(0);
