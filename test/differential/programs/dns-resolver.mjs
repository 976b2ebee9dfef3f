// dns: a Resolver that asks a name server in this very process; an answer, NXDOMAIN and a cancelled query.
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';

const server = createSocket('udp4');
const held = [];
server.on('message', (query, from) => {
  const name = query.subarray(13, 13 + query[12]).toString();
  const question = query.subarray(12, query.indexOf(0, 12) + 5);
  const found = name === 'found';
  const header = Buffer.from([query[0], query[1], 0x81, found ? 0x80 : 0x83, 0, 1, 0, found ? 1 : 0, 0, 0, 0, 0]);
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
  if (name === 'never') held.push(query);
  else server.send(Buffer.concat(found ? [header, question, answer] : [header, question]), from.port);
});
server.bind(0, '127.0.0.1');
await once(server, 'listening');
const resolver = new Resolver({ timeout: 5000, tries: 1 });
resolver.setServers([`127.0.0.1:${server.address().port}`]);
const pending = resolver.resolve4('found.example');
await globalThis.midpoint?.();
console.log(await pending);
const missing = await resolver.resolve4('missing.example').catch((error) => error);
console.log(missing.code, missing.syscall, missing.hostname, missing.message);
const never = resolver.resolve4('never.example').catch((error) => error.code);
while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
resolver.cancel();
console.log(await never);
server.close();
