// Limits on what a worker uses: alarms with hysteresis, replacements, and options.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkLimits } from '../../../src/supervise/limits.js';
import type { Resource } from '../../../src/supervise/policy/state.js';
import { judge, UNUSED } from '../../../src/supervise/policy/usage.js';
import { limits, World } from './world.js';

/** What changes as one value comes after the other. */
function changes(resource: Resource, limit: { warn: number; replace: number }, values: number[]) {
  let gauge = UNUSED;
  return values.map((value) => {
    const { change, isExcessive, ...next } = judge(resource, limit, gauge, value);
    gauge = next;
    return isExcessive ? 'excessive' : change;
  });
}

describe('an alarm', () => {
  test('is raised once, and over only below nine tenths of the limit', () => {
    const values = [101, 102, 103, 95, 99, 101, 91, 90, 95, 101, 101];
    expect(changes('memory', { warn: 100, replace: 0 }, values)).toEqual([
      undefined,
      'raised',
      ...Array(5).fill(undefined),
      'over',
      undefined,
      undefined,
      'raised',
    ]);
  });

  test('needs several values in a row where one says little', () => {
    const limit = { warn: 1, replace: 0 };
    expect(changes('cpu', limit, [2, 2, 0, 2, 2, 2])).toEqual([
      ...Array(5).fill(undefined),
      'raised',
    ]);
    expect(changes('descriptors', limit, [2])).toEqual(['raised']);
  });

  test('is never raised or over twice in a row, whatever comes', () => {
    const values = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 50 });
    fc.assert(
      fc.property(values, (all) => {
        const told = changes('memory', { warn: 100, replace: 0 }, all).filter(Boolean);
        expect(told).toEqual(told.map((_, index) => (index % 2 === 0 ? 'raised' : 'over')));
      }),
    );
  });

  test('without limits there is none', () => {
    expect(changes('memory', { warn: 0, replace: 0 }, [1e12, 1e12])).toEqual([
      undefined,
      undefined,
    ]);
  });
});

describe('in the policy', () => {
  const strict = { ...limits.usage, descriptors: { warn: 0.8, replace: 0.9 } };

  test('warns, then replaces, and says for what', () => {
    const world = new World({ manualReady: true, usage: strict });
    const { pid } = world.main();
    world.send({ type: 'ready', pid });
    const use = (value: number) =>
      world.send({ type: 'usage', pid, resource: 'descriptors', value });
    use(0.85);
    expect(world.told('alarm')).toMatchObject([{ worker: 1, pid, limit: 0.8, value: 0.85 }]);
    expect(world.told('replace')).toEqual([]);
    use(0.95);
    expect(world.told('replace')).toMatchObject([{ worker: 1, reason: 'descriptors' }]);
    expect(world.told('alarm')).toHaveLength(1);
  });

  test('one worker alone is restarted on request; of one that fails its checks it is told why', () => {
    const world = new World({ restart: 'on-failure' }, 2);
    const [first, second] = [world.main(1).pid, world.main(2).pid];
    world.pass(1000);
    world.send({ type: 'restart-one', id: 2, error: 'no database' });
    expect(world.processes.get(second)?.signals).toEqual(['SIGTERM']);
    expect(world.processes.get(first)?.signals).toEqual([]);
    expect(world.told('unhealthy')).toMatchObject([{ worker: 2, error: 'no database' }]);
    // It ends as well as it was told to: that is no reason to leave it down.
    world.exited(second, { exitCode: 0, signal: null, coreDumped: false, outOfMemory: false });
    expect(world.main(2)).toMatchObject({ generation: 2 });
    world.send({ type: 'restart-one', id: 1, error: undefined });
    expect(world.processes.get(first)?.signals).toEqual(['SIGTERM']);
    world.send({ type: 'restart-one', id: 7, error: undefined });
  });

  test('who looks after the workers may give up', () => {
    const world = new World({ giveUpCode: 9 });
    world.send({ type: 'give-up', error: 'nothing helps' });
    world.exited([...world.processes.keys()][0]!, {
      exitCode: 0,
      signal: null,
      coreDumped: false,
      outOfMemory: false,
    });
    expect(world.exitCode).toBe(9);
    expect(world.told('gave-up')).toEqual([{ event: 'gave-up', error: 'nothing helps', code: 9 }]);
  });
});

describe('the option', () => {
  const context = { cwd: '/srv', isProgram: false };

  test('says what is watched, and what the kernel is to enforce', () => {
    const { usage, group, snapshot } = checkLimits(
      {
        memory: { warn: 400, max: 1000, snapshot: 'heaps' },
        cpu: { max: 0.5 },
        processes: { max: 64 },
      },
      undefined,
      context,
    );
    expect(usage.memory).toEqual({ warn: 400, replace: 1000 });
    expect(usage.descriptors).toEqual({ warn: 0.8, replace: 0 });
    expect(snapshot).toBe('/srv/heaps');
    expect(group).toEqual([
      ['memory.high', '900'],
      ['memory.max', '1000'],
      ['cpu.max', '50000 100000'],
      ['pids.max', '64'],
    ]);
    expect(checkLimits({ memory: 5 }, undefined, context).usage.memory.replace).toBe(5);
    expect(checkLimits(undefined, 5, context).usage.memory).toEqual({ warn: 0, replace: 5 });
    expect(checkLimits({}, 5, context).usage.memory.replace).toBe(5);
  });

  test.each([
    [{ memory: { warn: 2, replace: 1 } }, /memory\.warn.*at most/],
    [{ memory: { high: 2, max: 1 } }, /memory\.high/],
    [{ descriptors: { warn: 80 } }, /descriptors\.warn.*from 0 to 1/],
    [{ cpu: { warn: -1 } }, /cpu\.warn/],
    [{ cpu: { share: 1 } }, /share/],
    [{ memory: { warn: '1G' } }, /of type number/],
    [{ processes: { max: 0 } }, /processes\.max/],
    [{ rss: 1 }, /rss/],
    [{ interval: 1 }, /interval/],
  ])('%o is refused', (bad, expected) => {
    expect(() => checkLimits(bad as never, undefined, context)).toThrow(expected);
  });

  test('two for one thing, and what another program cannot tell, are refused', () => {
    expect(() => checkLimits({ memory: 1 }, 1, context)).toThrow(/memoryLimit/);
    const program = { ...context, isProgram: true };
    expect(() => checkLimits({ eventLoopDelay: { warn: 5 } }, undefined, program)).toThrow(/exec/);
    expect(() => checkLimits({ memory: { snapshot: 'x' } }, undefined, program)).toThrow(/exec/);
  });
});
