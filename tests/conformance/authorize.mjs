// Preloaded into the referee, which cannot be given headers: whatever it sends to Gavel carries the
// agent's token, as any client's configuration would have it. What it sends is otherwise its own.
import diagnostics from 'node:diagnostics_channel';

const { host, pathname, search } = new URL(process.env.GAVEL_URL);
const value = `Bearer ${process.env.GAVEL_TOKEN}`;

// fetch, and the undici of the referee itself.
diagnostics.subscribe('undici:request:create', ({ request }) => {
  if (new URL(request.origin).host === host) request.addHeader('authorization', value);
});
diagnostics.subscribe('http.client.request.created', ({ request }) => {
  if (request.getHeader('host') !== host) return;
  request.setHeader('Authorization', value);
  // Here the referee forgets the query of the URL that it was given.
  if (request.path === pathname) request.path += search;
});
