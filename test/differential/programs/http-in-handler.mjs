// http: the midpoint comes inside a request handler, while the client waits for the second half.
import { once } from 'node:events';
import { createServer, request } from 'node:http';

const server = createServer(async (incoming, response) => {
  response.writeHead(200, { trailer: 'x-sum', 'content-type': 'text/plain' });
  response.write('first half, ');
  await globalThis.midpoint?.();
  let sum = 0;
  for await (const chunk of incoming) for (const byte of chunk) sum += byte;
  response.addTrailers({ 'x-sum': String(sum) });
  response.end('second half');
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const outgoing = request({ port: server.address().port, host: '127.0.0.1', method: 'PUT', agent: false });
outgoing.write('a'.repeat(100_000));
const [response] = await once(outgoing, 'response');
outgoing.end('b'.repeat(100_000));
let body = '';
for await (const chunk of response.setEncoding('utf8')) body += chunk;
console.log(response.statusCode, body, { ...response.trailers });
server.close();
await once(server, 'close');
console.log(server.listening);
