// node:cluster with a rolling restart: on SIGHUP each worker is followed by a new one, which has to be
// ready first. What came of it is printed.

import cluster from 'node:cluster';
import { once } from 'node:events';

cluster.setupPrimary({ exec: new URL('app-plain.mjs', import.meta.url).pathname });

async function start() {
  const worker = cluster.fork();
  const ready = new Promise((resolve) =>
    worker.on('message', (said) => said === 'ready' && resolve(true)),
  );
  const ended = once(worker, 'exit').then(() => false);
  return (await Promise.race([ready, ended])) ? worker : undefined;
}

async function replace(old) {
  const worker = await start();
  if (worker === undefined) return undefined;
  const gone = once(old, 'exit');
  old.send('end');
  await gone;
  return worker;
}

let workers = await Promise.all(Array.from({ length: Number(process.env.WORKERS) }, start));
process.on('SIGHUP', async () => {
  const replaced = [];
  for (const old of workers) replaced.push((await replace(old)) ?? old);
  console.log(replaced.some((worker) => workers.includes(worker)) ? 'failed' : 'ok');
  workers = replaced;
});
console.log('ok');
