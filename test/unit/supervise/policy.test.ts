import { describe, expect, test } from 'vitest';
import { nextDeadline } from '../../../src/supervise/policy/policy.js';
import { crash, exit, limits, World } from './world.js';

const wait = (world: World) => nextDeadline(world.state) - world.now;

describe('restart', () => {
  test('a worker that crashed after a healthy life is started again at once', () => {
    const world = new World();
    const { pid } = world.main();
    world.pass(1000);
    world.exited(pid, crash);
    expect(world.main().pid).not.toBe(pid);
    expect(world.main().generation).toBe(2);
    expect(world.told('backoff')).toEqual([]);
  });

  test('C23: the backoff grows with each failure up to its maximum, and resets after a healthy life', () => {
    const world = new World({ backoff: { initial: 100, factor: 2, max: 500, jitter: 0 } });
    const delays = [];
    for (let i = 0; i < 5; i++) {
      world.exited(world.main().pid, crash);
      delays.push(wait(world));
      world.advance();
    }
    expect(delays).toEqual([100, 200, 400, 500, 500]);
    world.pass(1000);
    world.exited(world.main().pid, crash);
    world.exited(world.main().pid, crash);
    expect(wait(world)).toBe(100);
  });

  test('without a limit the failures that are remembered are bounded', () => {
    const world = new World({
      maxFailures: 0,
      backoff: { initial: 0, factor: 1, max: 0, jitter: 0 },
    });
    for (let i = 0; i < 1000; i++) world.exited(world.main().pid, crash);
    expect(world.state.slots[0]!.failures.length).toBeLessThanOrEqual(100);
  });

  test('with one it is one more than that', () => {
    const world = new World({ maxFailures: 3, failureWindow: 1 });
    for (let i = 0; i < 20; i++) {
      world.exited(world.main().pid, crash);
      expect(world.state.slots[0]!.failures.length).toBeLessThanOrEqual(4);
      world.pass(40_000);
    }
  });

  test('a fork that the kernel refuses is tried again after a while, whatever the backoff', () => {
    const world = new World({ backoff: { initial: 0, factor: 1, max: 0, jitter: 0 } }, 0);
    world.refuseForks = true;
    world.send({ type: 'start', workers: 1 });
    expect(wait(world)).toBe(100);
    world.advance();
    expect(wait(world)).toBe(100);
    world.refuseForks = false;
    world.advance();
    expect(world.main().phase).toBe('ready');
  });

  test('the backoff is spread by its jitter', () => {
    const delays = [0, 0.5, 0.999].map((random) => {
      const world = new World({ backoff: { initial: 1000, factor: 2, max: 5000, jitter: 0.1 } });
      world.random = random;
      world.exited(world.main().pid, crash);
      return wait(world);
    });
    expect(delays).toEqual([900, 1000, 1100]);
  });

  test('a short life is a failure whatever the exit code', () => {
    const world = new World({ maxFailures: 2 });
    for (let i = 0; i < 3; i++) {
      world.pass(999);
      world.exited(world.main().pid, exit(0));
      world.advance();
    }
    expect(world.exitCode).toBe(1);
  });

  test('the life of a worker that has a way to go begins when it arrives', () => {
    const world = new World({ arrives: true, readyTimeout: 0 });
    world.pass(5000);
    expect(world.main().phase).toBe('starting');
    world.send({ type: 'arrived', pid: world.main().pid });
    expect(world.main().phase).toBe('ready');
    world.pass(999);
    world.exited(world.main().pid, crash);
    expect(world.told('backoff')).toHaveLength(1);
  });

  test('C23: more failures in a row than allowed end it with the code asked for', () => {
    const world = new World({ maxFailures: 3, giveUpCode: 70 });
    for (let i = 0; i < 3; i++) {
      world.exited(world.main().pid, crash);
      world.advance();
    }
    expect(world.exitCode).toBeUndefined();
    world.exited(world.main().pid, crash);
    expect(world.exitCode).toBe(70);
    expect(world.told('give-up')).toMatchObject([{ worker: 1, failures: 4, code: 70 }]);
  });

  test('failures within a window count even with healthy processes in between', () => {
    const world = new World({ maxFailures: 1, failureWindow: 10_000 });
    world.exited(world.main().pid, crash);
    world.advance();
    world.pass(5000);
    world.exited(world.main().pid, crash);
    expect(world.told('give-up')).toEqual([]);
    world.exited(world.main().pid, crash);
    expect(world.exitCode).toBe(1);
  });

  test('failures before the window do not count', () => {
    const world = new World({ maxFailures: 1, failureWindow: 10_000 });
    for (let i = 0; i < 5; i++) {
      world.exited(world.main().pid, crash);
      world.pass(10_001);
    }
    expect(world.exitCode).toBeUndefined();
  });

  test('one worker that gives up ends the others', () => {
    const world = new World({ maxFailures: 1 }, 2);
    world.exited(world.main(1).pid, crash);
    world.advance();
    world.exited(world.main(1).pid, crash);
    const { pid } = world.main(2);
    expect(world.processes.get(pid)?.signals).toEqual(['SIGTERM']);
    world.exited(pid, exit(0));
    expect(world.exitCode).toBe(1);
  });

  test("'on-failure' leaves a clean exit be, and ends with code 0", () => {
    const world = new World({ restart: 'on-failure' });
    world.pass(2000);
    world.exited(world.main().pid, exit(3));
    world.exited(world.main().pid, exit(0));
    expect(world.exitCode).toBe(0);
  });

  test("'never' ends with the worker's own code", () => {
    const killed = new World({ restart: 'never' });
    killed.exited(killed.main().pid, crash);
    expect(killed.exitCode).toBe(139);
    const failed = new World({ restart: 'never' }, 2);
    failed.exited(failed.main(1).pid, exit(3));
    expect(failed.exitCode).toBeUndefined();
    failed.exited(failed.main(2).pid, exit(0));
    expect(failed.exitCode).toBe(3);
  });

  test('no more restarts than allowed in total', () => {
    const world = new World({ maxRestarts: 2 });
    for (let i = 0; i < 3; i++) {
      world.pass(1000);
      world.exited(world.main().pid, exit(5));
    }
    expect(world.exitCode).toBe(5);
    expect(world.told('start')).toHaveLength(3);
  });
});

describe('readiness', () => {
  test('announced once, when all are ready', () => {
    const world = new World({ manualReady: true }, 2);
    world.send({ type: 'ready', pid: world.main(1).pid });
    expect(world.told('serving')).toEqual([]);
    world.send({ type: 'ready', pid: world.main(2).pid });
    world.pass(1000);
    world.exited(world.main(1).pid, crash);
    world.send({ type: 'ready', pid: world.main(1).pid });
    expect(world.actions.filter(({ type }) => type === 'announce')).toHaveLength(1);
  });

  test('a worker that is not ready in time is ended, and that is a failure however long it took', () => {
    const world = new World({ manualReady: true, readyTimeout: 5000, maxFailures: 1 });
    for (let i = 0; i < 2; i++) {
      const { pid } = world.main();
      world.advance();
      expect(world.processes.get(pid)?.signals).toEqual(['SIGTERM']);
      world.exited(pid, exit(0));
      world.advance();
    }
    expect(world.exitCode).toBe(1);
  });
});

describe('stop', () => {
  test('signals, waits, then kills', () => {
    const world = new World();
    const { pid } = world.main();
    world.send({ type: 'stop', by: 'SIGTERM' });
    expect(world.processes.get(pid)).toMatchObject({ signals: ['SIGTERM'], killed: false });
    expect(wait(world)).toBe(10_000);
    world.advance();
    expect(world.processes.get(pid)?.killed).toBe(true);
    world.exited(pid, crash);
    expect(world.exitCode).toBe(0);
  });

  test('C23: a stop during the backoff is immediate, and nothing is started after it', () => {
    const world = new World();
    world.exited(world.main().pid, crash);
    world.send({ type: 'stop', by: 'control' });
    expect(world.exitCode).toBe(0);
    world.advance();
    expect(world.processes.size).toBe(0);
  });

  test('at once: kills what has been asked to end before', () => {
    const world = new World({ stopTimeout: 0 }, 2);
    world.send({ type: 'stop', by: 'SIGTERM' });
    expect(wait(world)).toBe(Number.POSITIVE_INFINITY);
    world.send({ type: 'kill', by: 'SIGQUIT' });
    expect([...world.processes.values()].every(({ killed }) => killed)).toBe(true);
  });

  test('a process forked as the stop came is ended as well', () => {
    const world = new World();
    world.exited(world.main().pid, crash);
    world.refuseForks = true;
    world.advance();
    world.send({ type: 'stop', by: 'SIGTERM' });
    expect(world.exitCode).toBe(0);
  });
});

describe('watchdog', () => {
  test('a worker that does not ping is aborted, killed if it does not end, and started again', () => {
    const world = new World({ watchdog: 3000 });
    const { pid } = world.main();
    world.pass(2000);
    world.send({ type: 'ping', pid });
    world.pass(2000);
    expect(world.processes.get(pid)?.signals).toEqual([]);
    world.pass(1000);
    expect(world.processes.get(pid)).toMatchObject({ signals: ['SIGABRT'], killed: false });
    world.advance();
    expect(world.processes.get(pid)?.killed).toBe(true);
    world.exited(pid, crash);
    expect(world.main().pid).not.toBe(pid);
  });

  test('is not counted while the supervisor itself was stopped', () => {
    const world = new World({ watchdog: 3000 });
    world.now += 60_000;
    world.send({ type: 'tick', late: 57_000 });
    world.now += 1;
    expect(world.told('end')).toEqual([{ event: 'end', ...endOf(world), cause: 'watchdog' }]);
    const patient = new World({ watchdog: 3000 });
    patient.now += 60_000;
    patient.send({ type: 'tick', late: 58_000 });
    expect(patient.told('end')).toEqual([]);
  });
});

const endOf = (world: World) => ({ worker: 1, pid: world.main().pid, signal: 'SIGABRT' });

describe('replacement', () => {
  test('reload: one at a time, the old one serves until its successor is ready', () => {
    const world = new World({ manualReady: true }, 2);
    for (const id of [1, 2]) world.send({ type: 'ready', pid: world.main(id).pid });
    const old = [world.main(1).pid, world.main(2).pid];
    world.send({ type: 'recycle' });
    for (const id of [1, 2]) {
      expect(world.processes.size).toBe(3);
      expect(world.processes.get(old[id - 1]!)?.signals).toEqual([]);
      const successor = [...world.processes.keys()].at(-1)!;
      world.send({ type: 'ready', pid: successor });
      expect(world.main(id).pid).toBe(successor);
      expect(world.processes.get(old[id - 1]!)?.signals).toEqual(['SIGTERM']);
      world.exited(old[id - 1]!, exit(0));
    }
    expect(world.told('recycled')).toHaveLength(1);
    expect(world.state.restarts).toBe(0);
  });

  test('a successor that fails leaves the old one serving, and the others are not tried', () => {
    const world = new World({ manualReady: true, maxFailures: 1 }, 2);
    for (const id of [1, 2]) world.send({ type: 'ready', pid: world.main(id).pid });
    const old = world.main(1).pid;
    for (let i = 0; i < 3; i++) {
      world.send({ type: 'recycle' });
      world.exited([...world.processes.keys()].at(-1)!, exit(1));
    }
    expect(world.main(1).pid).toBe(old);
    expect(world.told('replacement-failed')).toHaveLength(3);
    expect(world.processes.size).toBe(2);
  });

  test('a successor takes over early if the old one dies', () => {
    const world = new World({ manualReady: true });
    const old = world.main().pid;
    world.send({ type: 'ready', pid: old });
    world.send({ type: 'recycle' });
    world.exited(old, crash);
    expect(world.main().phase).toBe('starting');
    expect(world.processes.size).toBe(1);
  });

  test('too much memory: replaced, and after a failure not again for a while', () => {
    const world = new World({
      manualReady: true,
      usage: { ...limits.usage, memory: { warn: 0, replace: 1000 } },
    });
    const { pid } = world.main();
    world.send({ type: 'ready', pid });
    world.send({ type: 'usage', pid, resource: 'memory', value: 1000 });
    expect(world.processes.size).toBe(1);
    world.send({ type: 'usage', pid, resource: 'memory', value: 1001 });
    world.send({ type: 'usage', pid, resource: 'memory', value: 1001 });
    expect(world.processes.size).toBe(2);
    world.exited([...world.processes.keys()].at(-1)!, exit(1));
    world.send({ type: 'usage', pid, resource: 'memory', value: 1001 });
    expect(world.processes.size).toBe(1);
    world.pass(30_000);
    world.send({ type: 'usage', pid, resource: 'memory', value: 1001 });
    expect(world.processes.size).toBe(2);
  });

  test('too old: replaced, at an age spread by the jitter', () => {
    const world = new World({ maxLifetime: 1000, lifetimeJitter: 0.2 });
    const { pid } = world.main();
    expect(wait(world)).toBe(1000);
    world.random = 0;
    world.advance();
    expect(world.processes.get(pid)?.signals).toEqual(['SIGTERM']);
    expect(wait(world)).toBe(800);
  });
});

describe('orders', () => {
  test('restart ends all and starts them again, also those in backoff, with their failures forgotten', () => {
    const world = new World({ maxFailures: 1 }, 2);
    world.exited(world.main(1).pid, crash);
    const { pid } = world.main(2);
    world.send({ type: 'restart' });
    expect(world.main(1).generation).toBe(2);
    world.exited(pid, exit(0));
    expect(world.main(2).generation).toBe(2);
    expect(world.told('backoff')).toHaveLength(1);
    world.exited(world.main(1).pid, crash);
    expect(world.told('give-up')).toEqual([]);
  });

  test('scale adds and removes workers; to none, it waits', () => {
    const world = new World({}, 1);
    world.send({ type: 'scale', workers: 3 });
    expect(world.processes.size).toBe(3);
    world.send({ type: 'scale', workers: 0 });
    for (const pid of [...world.processes.keys()]) world.exited(pid, exit(0));
    expect(world.state.slots).toEqual([]);
    expect(world.exitCode).toBeUndefined();
    world.send({ type: 'scale', workers: 1 });
    expect(world.processes.size).toBe(1);
  });

  test('a worker on its way out comes back as a new process', () => {
    const world = new World({}, 2);
    const { pid } = world.main(2);
    world.send({ type: 'scale', workers: 1 });
    world.send({ type: 'scale', workers: 2 });
    world.exited(pid, exit(0));
    expect(world.main(2).pid).not.toBe(pid);
  });
});

test('a fork that is refused is tried again with backoff and told once', () => {
  const world = new World();
  world.pass(1000);
  world.refuseForks = true;
  world.exited(world.main().pid, crash);
  const delays = [];
  for (let i = 0; i < 3; i++) {
    delays.push(wait(world));
    world.advance();
  }
  world.refuseForks = false;
  world.advance();
  expect(delays).toEqual([100, 200, 400]);
  expect(world.told('refused')).toEqual([{ event: 'refused', worker: 1, code: 'EAGAIN' }]);
  expect(world.main().generation).toBeGreaterThan(1);
});

describe('another image serves', () => {
  const parked = (world: World) => world.actions.filter(({ type }) => type === 'parked').length;

  test('park ends the workers and not the supervisor, and tells when the last one is gone', () => {
    const world = new World({}, 2);
    const pids = [...world.processes.keys()];
    world.send({ type: 'park' });
    expect(pids.map((pid) => world.processes.get(pid)!.signals)).toEqual([
      ['SIGTERM'],
      ['SIGTERM'],
    ]);
    world.exited(pids[0]!, exit(0));
    expect(parked(world)).toBe(0);
    world.exited(pids[1]!, exit(0));
    expect(parked(world)).toBe(1);
    world.send({ type: 'tick', late: 0 });
    expect(parked(world)).toBe(1);
    expect([world.exitCode, world.state.phase]).toEqual([undefined, 'parked']);
  });

  test('resume starts them again, also while those of before are on their way out', () => {
    const world = new World();
    const old = world.main().pid;
    world.send({ type: 'park' });
    world.send({ type: 'resume' });
    const { pid } = world.main();
    expect(pid).not.toBe(old);
    world.exited(old, exit(0));
    expect(world.main().pid).toBe(pid);
    expect(parked(world)).toBe(0);
    expect(world.actions.filter(({ type }) => type === 'announce').length).toBe(2);
  });

  test('a parked supervisor that is told to stop ends', () => {
    const world = new World();
    world.send({ type: 'park' });
    world.exited(world.main().pid, exit(0));
    world.send({ type: 'stop', by: 'test' });
    expect(world.exitCode).toBe(0);
  });
});

test('a fork that is refused is not tried again at once, even without a backoff', () => {
  const world = new World({ backoff: { initial: 0, factor: 1, max: 0, jitter: 0 } });
  world.pass(1000);
  world.refuseForks = true;
  world.exited(world.main().pid, crash);
  expect(wait(world)).toBe(100);
});

test('failures are remembered for as long as they count, and no longer', () => {
  const crashes = (changes: ConstructorParameters<typeof World>[0]) => {
    const world = new World(changes);
    for (let i = 0; i < 300; i++) {
      world.exited(world.main().pid, crash);
      world.advance();
    }
    return world.state.slots[0]!.failures.length;
  };
  expect(crashes({ maxFailures: 0 })).toBe(100);
  expect(crashes({ maxFailures: 0, failureWindow: 2 ** 31 - 1 })).toBe(100);
});
