// The nightly job: books the day's records into the ledger, from the first to the last. It keeps no
// memory of what an earlier run did.
const { connect, report } = await import(process.env.CONNECT);

const server = await connect();
for (let number = 1; number <= Number(process.env.RECORDS); number += 1) {
  const { text, failed } = await server.call('execute', {
    sql: 'INSERT INTO ledger (record, cents) VALUES ($1, $2)',
    params: [`2026-08-30/${number}`, number * 100],
  });
  if (failed) throw new Error(`record ${number}: ${text}`);
  report('booked', { number });
}
await server.close();
