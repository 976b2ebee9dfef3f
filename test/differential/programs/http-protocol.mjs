// http: a raw client sees exactly these bytes: chunking, pipelining, expect, upgrade, a bad request.
import { once } from 'node:events';
import { METHODS, STATUS_CODES, createServer } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

const server = createServer((request, response) => {
  response.sendDate = false;
  if (request.url === '/chunked') response.write('part');
  response.end(request.url);
});
server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\nhello'));
server.on('clientError', (error, socket) => socket.end(`${error.code}\r\n`));
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const raw = (bytes) => {
  const socket = connect(server.address().port, '127.0.0.1');
  socket.write(bytes);
  return text(socket);
};
const head = 'Host: x\r\n';
const pending = raw(`GET /chunked HTTP/1.1\r\n${head}\r\nGET /two HTTP/1.1\r\n${head}Connection: close\r\n\r\n`);
await globalThis.midpoint?.();
for (const bytes of [
  await pending,
  await raw(`POST /e HTTP/1.1\r\n${head}Expect: 100-continue\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`),
  await raw(`GET / HTTP/1.1\r\n${head}Connection: Upgrade\r\nUpgrade: own\r\n\r\n`),
  await raw('nonsense\r\n\r\n'),
])
  console.log(JSON.stringify(bytes));
console.log(METHODS.includes('QUERY') || METHODS.length > 30, STATUS_CODES[418]);
server.close();
