// http: one keep-alive connection carries requests before and after the midpoint.
import { once } from 'node:events';
import http from 'node:http';
import { text } from 'node:stream/consumers';

const sockets = new Set();
const server = http.createServer((request, response) => {
  sockets.add(request.socket);
  response.setHeader('content-type', 'text/plain');
  response.end(`${request.method} ${request.url} ${request.headers['x-count']}`);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
async function request(count) {
  const outgoing = http.get({ port: server.address().port, host: '127.0.0.1', path: `/${count}`, agent, headers: { 'x-count': count } });
  const [response] = await once(outgoing, 'response');
  return `${response.statusCode} ${await text(response)} reused=${outgoing.reusedSocket}`;
}
const lines = [await request(1), await request(2)];
await globalThis.midpoint?.();
lines.push(await request(3), await request(4), `connections: ${sockets.size}`);
console.log(lines.join('\n'));
agent.destroy();
server.close();
await once(server, 'close');
console.log('closed');
