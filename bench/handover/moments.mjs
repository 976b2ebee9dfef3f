// Single moments: the longest gap between two answers during a reload, and the times until the first
// answer after a rollback and after the death of the image that serves.

import { Agent, get as httpGet } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../support/statistics.mjs';

const ask = (port, agent) =>
  new Promise((resolve, reject) => {
    httpGet({ port, host: '127.0.0.1', agent: agent ?? false }, (response) =>
      text(response).then(resolve, reject),
    ).on('error', reject);
  });

/** Asks every 2 ms, over connections that are kept alive. @returns the gaps between answers so far, and the end */
function probe(port) {
  const agent = new Agent({ keepAlive: true });
  let gaps = [];
  let last = performance.now();
  let done = false;
  const answered = () => {
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  };
  const running = (async () => {
    while (!done) {
      void ask(port, agent).then(answered, (error) => console.log(`failed: ${error.code}`));
      await sleep(2);
    }
  })();
  return {
    take() {
      const taken = gaps;
      gaps = [];
      return taken;
    },
    async end() {
      done = true;
      await running;
      agent.destroy();
    },
  };
}

const quantile = (values, part) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];

/** Each reload follows a second without one, so that both are of the same machine. */
export async function measureGaps({ withService, reloads, names }) {
  for (const name of names) {
    await withService(name, async ({ service, directory, ports }) => {
      const { take, end } = probe(ports.http);
      await sleep(1000);
      const steady = [];
      const longest = [];
      for (let i = 1; i <= reloads; i++) {
        take();
        await sleep(1000);
        steady.push(...take());
        if (service.configure) service.configure(`v${i}`);
        else directory.deploy(`v${i}`);
        await service.reload();
        longest.push(Math.max(...take()));
      }
      await end();
      const p999 = quantile(steady, 0.999);
      const [middle, worst] = [median(longest), Math.max(...longest)];
      const ms = (value) => `${value.toFixed(1)} ms`;
      console.log(
        `${name}: longest gap between two answers during a reload: median ${ms(middle)}, worst ${ms(worst)}; ` +
          `without one p99.9 ${ms(p999)}, longest ${ms(Math.max(...steady))}: ${(middle / p999).toFixed(2)} x, worst ${(worst / p999).toFixed(2)} x`,
      );
    });
  }
}

/** The time from the command to the first answer of a version. */
async function until(port, isWanted, began) {
  let refused = 0;
  for (;;) {
    try {
      if (isWanted(await ask(port))) return { after: performance.now() - began, refused };
    } catch (error) {
      if (error.code === 'ECONNREFUSED') refused++;
      // The connection of a process that was killed.
      else if (error.code !== 'ECONNRESET') throw error;
    }
  }
}

export async function measureRollback({ withService, reloads }) {
  await withService('doublefork', async ({ service, directory, ports }) => {
    directory.deploy('v1');
    await service.reload();
    directory.deploy('v2');
    await service.reload();
    const times = [];
    for (let i = 0; i < reloads; i++) {
      const wanted = i % 2 === 0 ? 'v1' : 'v2';
      const began = performance.now();
      const done = service.rollback();
      times.push((await until(ports.http, (version) => version === wanted, began)).after);
      await done;
      await sleep(50);
    }
    console.log(
      `rollback, to the first answer of the version before: median ${median(times).toFixed(1)} ms, worst ${Math.max(...times).toFixed(1)} ms`,
    );
  });
}

export async function measureRecovery({ withService, reloads }) {
  const starts = [];
  const recoveries = [];
  let refused = 0;
  for (let i = 0; i < reloads; i++) {
    const began = performance.now();
    await withService('doublefork', async ({ service, directory, ports }) => {
      starts.push(performance.now() - began);
      directory.deploy('v1');
      await service.reload();
      const { image } = await service.status();
      const killed = performance.now();
      process.kill(image.pid, 'SIGKILL');
      // What a worker of before may still answer is not meant.
      await sleep(5);
      const found = await until(ports.http, () => true, killed);
      recoveries.push(found.after);
      refused += found.refused;
    });
  }
  console.log(
    `the image that serves is killed: served again after ${median(recoveries).toFixed(0)} ms (a plain start takes ${median(starts).toFixed(0)} ms: ` +
      `${(median(recoveries) / median(starts)).toFixed(2)} x), ${refused} connections refused`,
  );
}
