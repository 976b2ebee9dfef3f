// signals: a SIGTERM handler from before the midpoint shuts a server down in good order.
import { createServer } from 'node:net';
import { once } from 'node:events';

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.once('SIGTERM', (name, number) => {
  console.log(name, number);
  server.close(() => {
    console.log('closed');
    process.exitCode = 5;
  });
});
process.on('exit', (code) => console.log('exit', code));
await globalThis.midpoint?.();
process.kill(process.pid, 'SIGTERM');
