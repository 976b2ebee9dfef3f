// net: a TCP connection with bytes under way at the midpoint, back pressure, half-close, refused connections.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';

const server = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();
const client = net.connect({ port, host: '127.0.0.1', noDelay: true });
await once(client, 'connect');
const family = client.remoteFamily;
const sent = createHash('sha256');
const received = createHash('sha256');
let length = 0;
client.on('data', (chunk) => {
  received.update(chunk);
  length += chunk.length;
});
for (let index = 0; index < 64; index++) {
  const chunk = Buffer.alloc(16_384, `chunk ${index} `);
  sent.update(chunk);
  if (index === 32) await globalThis.midpoint?.();
  if (!client.write(chunk)) await once(client, 'drain');
}
client.end();
await once(client, 'end');
console.log(length, sent.digest('hex') === received.digest('hex'), client.bytesWritten, family);
server.close();
await once(server, 'close');
const [refused] = await once(net.connect(port, '127.0.0.1'), 'error').catch((error) => [error]);
console.log(refused.code, refused.syscall, net.isIP('::1'), net.isIPv4('1.2.3'));
const list = new net.BlockList();
list.addSubnet('10.0.0.0', 8);
console.log(list.check('10.1.2.3'), list.check('11.1.2.3'));
