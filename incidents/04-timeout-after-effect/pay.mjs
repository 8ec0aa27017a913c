// Pays one invoice, and tries again where no answer comes: the retry loop that everybody writes.
const { connect, report } = await import(process.env.CONNECT);

const PATIENCE_MS = 2000;
const TRIES = 2;

const server = await connect();
for (let attempt = 1; attempt <= TRIES; attempt += 1) {
  try {
    const { text, failed } = await server.call(
      'execute',
      {
        sql: 'INSERT INTO payments (invoice, cents) VALUES ($1, $2)',
        params: ['INV-2041', 129900],
      },
      attempt === 1 ? PATIENCE_MS : 30_000,
    );
    report('answer', { attempt, text, failed });
    break;
  } catch (error) {
    report('no_answer', { attempt, error: error.message });
  }
}
await server.close();
