// https: a server with a self-signed certificate; a client that trusts it, and one that does not.
import { once } from 'node:events';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { certificate, key } from './support/identity.mjs';

const server = https.createServer({ key, cert: certificate }, (request, response) => {
  response.end(`${request.url} ${request.socket.encrypted}`);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const agent = new https.Agent({ keepAlive: true, ca: certificate });
async function get(path, options) {
  const request = https.get({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', path, ...options });
  const [response] = await once(request, 'response');
  const { authorized } = response.socket;
  return `${await text(response)} authorized=${authorized} reused=${request.reusedSocket}`;
}
const lines = [await get('/before', { agent })];
await globalThis.midpoint?.();
lines.push(await get('/after', { agent }));
lines.push(await get('/untrusted', { agent: false }).catch((error) => error.code));
console.log(lines.join('\n'));
agent.destroy();
server.close();
await once(server, 'close');
console.log('closed');
