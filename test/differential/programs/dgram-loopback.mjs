// dgram: two bound sockets exchange datagrams; one is in flight at the midpoint.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const server = createSocket('udp4');
const client = createSocket({ type: 'udp4', reuseAddr: true });
server.bind(0, '127.0.0.1');
client.bind(0, '127.0.0.1');
await Promise.all([once(server, 'listening'), once(client, 'listening')]);
server.on('message', (message, from) => server.send(`echo ${message}`, from.port, from.address));
const first = once(client, 'message');
client.send('one', server.address().port, '127.0.0.1');
await globalThis.midpoint?.();
console.log(String((await first)[0]));
const second = once(client, 'message');
client.connect(server.address().port, '127.0.0.1');
await once(client, 'connect');
client.send(['t', 'w', 'o']);
const [message, from] = await second;
console.log(String(message), from.family, from.size, client.remoteAddress().address);
client.close();
server.close();
await once(server, 'close');
console.log('closed');
