// fetch: a local server; a keep-alive connection from before the midpoint is used after it.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

const server = createServer(async (request, response) => {
  const body = await text(request);
  response.setHeader('x-method', request.method);
  if (request.url === '/redirect') response.writeHead(302, { location: '/target' }).end();
  else response.end(JSON.stringify({ url: request.url, body, type: request.headers['content-type'] }));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const base = `http://127.0.0.1:${server.address().port}`;
const first = await (await fetch(`${base}/first`)).json();
const pending = fetch(`${base}/pending`, { method: 'POST', body: new URLSearchParams({ a: '1 2' }) });
await globalThis.midpoint?.();
console.log(first);
const response = await pending;
console.log(response.status, response.headers.get('x-method'), await response.json());
const moved = await fetch(`${base}/redirect`);
console.log(moved.redirected, new URL(moved.url).pathname, await moved.json());
const form = new FormData();
form.set('field', new Blob(['content']), 'name.txt');
const multipart = await new Response(form).text();
console.log(multipart.includes('filename="name.txt"'), multipart.includes('content'));
const aborted = await fetch(base, { signal: AbortSignal.abort() }).catch((error) => error.name);
console.log(aborted);
server.closeAllConnections();
server.close();
