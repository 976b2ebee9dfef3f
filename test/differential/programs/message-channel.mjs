// worker_threads: a MessageChannel and a BroadcastChannel with messages queued at the midpoint.
import { once } from 'node:events';
import { BroadcastChannel, MessageChannel, MessagePort, receiveMessageOnPort } from 'node:worker_threads';

const { port1, port2 } = new MessageChannel();
port1.postMessage({ queued: new Date(0) });
port1.postMessage(new Uint8Array([1, 2, 3]));
const speaker = new BroadcastChannel('differential');
const hearer = new BroadcastChannel('differential');
const heard = [];
const enough = new Promise((resolve) => {
  hearer.onmessage = ({ data }) => heard.push(data) === 2 && resolve();
});
speaker.postMessage('first');
await globalThis.midpoint?.();
console.log(receiveMessageOnPort(port2).message, receiveMessageOnPort(port2).message, receiveMessageOnPort(port2));
const next = once(port2, 'message');
const nested = new MessageChannel();
port1.postMessage({ port: nested.port1 }, [nested.port1]);
const [{ port }] = await next;
const answer = once(nested.port2, 'message');
port.postMessage('through the transferred port');
console.log(port instanceof MessagePort, (await answer)[0]);
speaker.postMessage('second');
await enough;
console.log(heard.join());
for (const open of [speaker, hearer, port, port1]) open.close();
