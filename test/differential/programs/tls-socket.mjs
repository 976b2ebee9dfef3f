// tls: a session with ALPN and SNI, encrypted bytes on both sides of the midpoint, an exported key that agrees.
import { once } from 'node:events';
import tls from 'node:tls';
import { certificate, key } from './support/identity.mjs';

const options = { key, cert: certificate, ALPNProtocols: ['own/1', 'own/2'], minVersion: 'TLSv1.3' };
let serverSide;
const server = tls.createServer(options, (socket) => {
  serverSide = socket;
  socket.setEncoding('utf8').on('data', (data) => socket.write(data.toUpperCase()));
  socket.on('end', () => socket.end());
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const client = tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: certificate, ALPNProtocols: ['own/2'] });
client.setEncoding('utf8');
await once(client, 'secureConnect');
client.write('before');
const [first] = await once(client, 'data');
client.write('under way');
const pending = once(client, 'data');
await globalThis.midpoint?.();
const [second] = await pending;
client.write('after');
const [third] = await once(client, 'data');
console.log(first, second, third, client.authorized, client.alpnProtocol, client.getProtocol(), client.getCipher().name);
console.log(serverSide.servername, client.getPeerCertificate().subject, client.isSessionReused());
console.log(client.exportKeyingMaterial(32, 'label').equals(serverSide.exportKeyingMaterial(32, 'label')));
client.end();
await once(client, 'close');
server.close();
console.log(tls.checkServerIdentity('elsewhere', { subject: { CN: 'localhost' }, subjectaltname: 'DNS:localhost' }).code);
