// http2 over clear text: two streams multiplexed, one open at the midpoint; a ping; a push of headers.
import { once } from 'node:events';
import http2 from 'node:http2';
import { text } from 'node:stream/consumers';

const server = http2.createServer();
server.on('stream', async (stream, headers) => {
  stream.respond({ ':status': 200, 'x-path': headers[':path'] });
  stream.end(`${headers[':method']} ${(await text(stream)).length}`);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const session = http2.connect(`http://127.0.0.1:${server.address().port}`);
await once(session, 'connect');
const slow = session.request({ ':path': '/slow', ':method': 'POST' });
const slowResponse = once(slow, 'response');
slow.write('x'.repeat(50_000));
await globalThis.midpoint?.();
const quick = session.request({ ':path': '/quick' });
const [headers] = await once(quick, 'response');
console.log(headers[':status'], headers['x-path'], await text(quick));
slow.end('y'.repeat(50_000));
console.log((await slowResponse)[0]['x-path'], await text(slow));
const payload = await new Promise((resolve) => session.ping(Buffer.from('12345678'), (_e, _d, data) => resolve(data)));
console.log(payload.toString(), http2.constants.NGHTTP2_REFUSED_STREAM, session.alpnProtocol);
session.close();
await once(session, 'close');
server.close();
await once(server, 'close');
console.log('closed');
