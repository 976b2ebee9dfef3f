// net: a server on a Unix socket path with one connected and one queued client at the midpoint.
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { temporaryDirectory } from './support/temporary.mjs';

const path = join(temporaryDirectory(), 'socket');
let served = 0;
const server = createServer((socket) => {
  socket.setEncoding('utf8').once('data', (data) => socket.end(`${++served}: ${data.toUpperCase()}`));
});
server.listen(path);
await once(server, 'listening');
const early = connect(path);
await once(early, 'connect');
const queued = connect(path);
await globalThis.midpoint?.();
early.write('early');
console.log(await text(early));
queued.write('queued');
console.log(await text(queued));
const late = connect(path);
late.write('late');
console.log(await text(late), server.address() === path, existsSync(path));
server.close();
await once(server, 'close');
console.log(existsSync(path));
