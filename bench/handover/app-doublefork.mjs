// Under doublefork: as the README has it.

import { drain, listen, supervise } from 'doublefork';
import { makeServers, PORTS } from './app.mjs';

const listeners = Object.entries(PORTS).map(([name, port]) =>
  listen(name, { port, host: '127.0.0.1' }),
);
const worker = supervise({
  workers: Number(process.env.WORKERS),
  control: process.env.CONTROL,
  ready: 'manual',
  readyTimeout: 60_000,
  log: process.env.LOG,
  engine: process.env.DOUBLEFORK_ENGINE ?? 'auto',
  keeper: process.env.KEEPER === '1',
});
const { servers, sayGoodbye } = makeServers();
let missing = listeners.length;
for (const { name, fd } of listeners) {
  servers[name].listen({ fd }, () => --missing === 0 && worker.ready());
}
worker.signal.addEventListener('abort', () => {
  sayGoodbye();
  for (const server of Object.values(servers)) drain(server);
});
