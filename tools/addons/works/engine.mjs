// What reaches into V8: isolates of its own, profilers, threads of JavaScript.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

/** @typedef {import('../works.mjs').Start} Start */

/** Computes, for so much time of a processor: on a busy machine the clock says nothing. */
function spin(ms) {
  let sum = 0;
  const began = process.cpuUsage();
  while (process.cpuUsage(began).user < ms * 1000) sum += Math.sqrt(sum + 1);
  return sum;
}

/** @type {Record<string, Start>} */
export const engine = {
  'isolated-vm': async (load) => {
    const ivm = load('isolated-vm');
    const isolate = new ivm.Isolate({ memoryLimit: 64 });
    const context = await isolate.createContext();
    await context.eval('let calls = 0');
    let calls = 0;
    return {
      async check() {
        assert.equal(await context.eval('++calls'), ++calls);
      },
      async inFlight() {
        const slow = 'let s = 0; for (let i = 0; i < 2e7; i++) s += i % 3; s';
        assert.equal(
          await context.eval(`(() => { ${slow.replace(/s$/, 'return s')} })()`),
          19_999_999,
        );
      },
    };
  },
  'v8-profiler-next': (load) => {
    const profiler = load('v8-profiler-next');
    profiler.setGenerateType?.(1);
    const profile = () => {
      const title = `${process.pid}.${Math.random()}`;
      profiler.startProfiling(title, true);
      spin(20);
      const made = profiler.stopProfiling(title);
      assert.ok(made.samples.length > 0);
      made.delete();
    };
    profile();
    return { check: profile };
  },
  heapdump: (load, directory) => {
    const { writeSnapshot } = load('heapdump');
    return {
      check() {
        const path = `${directory}/${process.pid}.heapsnapshot`;
        assert.ok(writeSnapshot(path));
        assert.match(readFileSync(path, 'utf8').slice(0, 100), /snapshot/);
        rmSync(path);
      },
    };
  },
  '@datadog/pprof': async (load) => {
    const { time, heap } = load('@datadog/pprof');
    heap.start(512 * 1024, 64);
    time.start({ durationMillis: 60_000, intervalMicros: 1000, withContexts: false });
    return {
      check() {
        spin(30);
        const profile = time.stop(true);
        assert.ok(profile.sample.length > 0);
        assert.ok(heap.profile().sample.length > 0);
      },
    };
  },
  workerpool: async (load, directory) => {
    const { pool } = load('workerpool');
    // In Workers, each of which loads an addon.
    const script = `${directory}/worker.cjs`;
    writeFileSync(
      script,
      `const { hashSync, compareSync } = require(${JSON.stringify(load.resolve('bcrypt'))});
       require(${JSON.stringify(load.resolve('workerpool'))}).worker({
         hash: (cost) => compareSync('secret', hashSync('secret', cost)),
       });`,
    );
    const workers = pool(script, { workerType: 'thread', maxWorkers: 2 });
    const hash = (cost) => workers.exec('hash', [cost]);
    await hash(4);
    return {
      check: async () => assert.equal(await hash(4), true),
      inFlight: async () => assert.equal(await hash(8), true),
    };
  },
};
