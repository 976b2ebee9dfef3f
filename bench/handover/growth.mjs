// What the process that keeps the pid has grown by after so many reloads: descriptors, children, memory.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The first reloads fill caches and have the compiler do its work. */
const WARM = 10;
/** What the heap of a program at rest may differ by, in kB. */
const MEMORY = 1024;

function look(pid) {
  const field = (name) =>
    Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(`${name}:\\s+(\\d+)`)[1]);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    children: children.split(' ').filter(Boolean).length,
    threads: field('Threads'),
    memory: field('RssAnon'),
  };
}

/** A worker's holder stays for 50 ms after it, and a spare is made meanwhile. */
async function settled(pid) {
  await sleep(1000);
  return look(pid);
}

/** @returns whether it has grown with neither */
export async function measureGrowth({ withService, reloads }) {
  let ok = true;
  for (const keeper of [false, true]) {
    await withService(
      'doublefork',
      async ({ service, directory }) => {
        const { image } = await service.status();
        if ((image.pid !== service.pid) !== keeper)
          throw new Error(`the option keeper is not ${keeper} there`);
        const seen = [];
        for (let i = 1; i <= WARM + reloads; i++) {
          directory.deploy(`v${i}`);
          if (!(await service.reload())) throw new Error(`reload ${i} failed`);
          const done = i - WARM;
          if (done === 0 || done === Math.floor(reloads / 2) || done === reloads)
            seen.push(await settled(service.pid));
        }
        const [start, middle, end] = seen;
        const grows =
          end.descriptors > start.descriptors ||
          end.children > start.children ||
          end.threads > start.threads ||
          end.memory - start.memory > MEMORY;
        ok &&= !grows;
        console.log(
          `keeper: ${keeper}, ${reloads} reloads after ${WARM}: ${grows ? 'GROWS' : 'does not grow'}`,
        );
        for (const key of Object.keys(start)) {
          const unit = key === 'memory' ? ' kB (RssAnon)' : '';
          console.log(`  ${key.padEnd(12)} ${start[key]} -> ${middle[key]} -> ${end[key]}${unit}`);
        }
      },
      { KEEPER: keeper ? '1' : '' },
    );
  }
  return ok;
}
