// The policy against every event in every state that can be reached, and against luck.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decide, nextDeadline } from '../../../src/supervise/policy/policy.js';
import type { Limits, State } from '../../../src/supervise/policy/state.js';
import { crash, exit, limits, World } from './world.js';

type Step = { name: string; run: (world: World) => void };

/** The n-th process there is, if any. */
const nth = (n: number, then: (world: World, pid: number) => void) => (world: World) => {
  const pids = [...world.processes.keys()];
  const pid = pids[n % Math.max(1, pids.length)];
  if (pid !== undefined) then(world, pid);
};

const steps: Step[] = [
  { name: 'advance', run: (world) => world.advance() },
  { name: 'pass', run: (world) => world.pass(400) },
  { name: 'late', run: (world) => world.send({ type: 'tick', late: 5000 }) },
  { name: 'stop', run: (world) => world.send({ type: 'stop', by: 'test' }) },
  { name: 'kill', run: (world) => world.send({ type: 'kill', by: 'test' }) },
  { name: 'restart', run: (world) => world.send({ type: 'restart' }) },
  { name: 'recycle', run: (world) => world.send({ type: 'recycle' }) },
  { name: 'scale 0', run: (world) => world.send({ type: 'scale', workers: 0 }) },
  { name: 'scale 2', run: (world) => world.send({ type: 'scale', workers: 2 }) },
  {
    name: 'refuse',
    run: (world) => {
      world.refuseForks = !world.refuseForks;
    },
  },
  ...[0, 1, 2].flatMap((n): Step[] => [
    { name: `arrived ${n}`, run: nth(n, (world, pid) => world.send({ type: 'arrived', pid })) },
    { name: `ready ${n}`, run: nth(n, (world, pid) => world.send({ type: 'ready', pid })) },
    { name: `ping ${n}`, run: nth(n, (world, pid) => world.send({ type: 'ping', pid })) },
    {
      name: `memory ${n}`,
      run: nth(n, (world, pid) =>
        world.send({ type: 'usage', pid, resource: 'memory', value: 2000 }),
      ),
    },
    { name: `crash ${n}`, run: nth(n, (world, pid) => world.exited(pid, crash)) },
    { name: `exit ${n}`, run: nth(n, (world, pid) => world.exited(pid, exit(0))) },
  ]),
];

/** With those that lead where others do, or to one more cause of each end: walked through by luck alone. */
const allSteps: Step[] = [
  ...steps,
  {
    name: 'restart one',
    run: (world) => world.send({ type: 'restart-one', id: 1, error: undefined }),
  },
  { name: 'heal', run: (world) => world.send({ type: 'restart-one', id: 1, error: 'sick' }) },
  { name: 'give up', run: (world) => world.send({ type: 'give-up', error: 'sick' }) },
];

const kinds: Partial<Limits>[] = [
  {},
  { manualReady: true, usage: { ...limits.usage, memory: { warn: 0, replace: 1000 } } },
  { arrives: true, maxFailures: 2 },
  { arrives: true, manualReady: true },
  { watchdog: 3000, maxLifetime: 60_000 },
  { restart: 'on-failure', maxFailures: 2, maxRestarts: 3 },
  { manualReady: true, restart: 'never', stopTimeout: 0, readyTimeout: 0 },
  {
    failureWindow: 2000,
    maxFailures: 1,
    minUptime: 0,
    backoff: { initial: 0, factor: 1, max: 0, jitter: 0 },
  },
];

/** A state without the numbers that only grow: times relative to now, no ids, counts up to their limits. */
function shape({ state, now }: World): string {
  const when = (at: number) =>
    at === Number.POSITIVE_INFINITY ? 'never' : at <= now ? 'due' : 'later';
  return JSON.stringify([
    state.phase,
    state.announced,
    state.replacements,
    Math.min(state.restarts, state.limits.maxRestarts),
    state.slots.map((slot) => [
      slot.id,
      slot.wanted,
      slot.forking,
      when(slot.startAt),
      Math.min(slot.failures.length, state.limits.maxFailures),
      Math.min(slot.refusals, 1),
      when(slot.replaceAfter),
      slot.processes.map(({ phase, role, wasReady, cause, deadline, expires }) => [
        phase,
        role,
        wasReady,
        cause,
        when(deadline),
        when(expires),
      ]),
    ]),
  ]);
}

// Each replacement may leave one more behind that does not end: the walk must.
const MOST_PROCESSES = 2;

test.each(kinds)('every event in every reachable state of one and two workers: %o', (kind) => {
  // A state that looks like one seen before is not walked again.
  const seen = new Set<string>();
  const cells = new Set<string>();
  const frontier = [new World(kind)];
  for (let world = frontier.pop(); world !== undefined; world = frontier.pop()) {
    for (const { name, run } of steps) {
      const event = name.split(' ')[0];
      cells.add(`${world.state.phase} ${event}`);
      for (const { phase } of world.state.slots.flatMap(({ processes }) => processes)) {
        cells.add(`${phase} ${event}`);
      }
      const next = world.copy();
      run(next);
      const form = shape(next);
      if (seen.has(form) || next.processes.size > MOST_PROCESSES) continue;
      seen.add(form);
      frontier.push(next);
    }
  }
  const phases = ['running', 'stopping', 'ended', 'ready', 'killing'];
  if (kind.manualReady || kind.arrives) phases.push('starting');
  const events = new Set(steps.map(({ name }) => name.split(' ')[0]));
  const missing = phases
    .flatMap((phase) => [...events].map((event) => `${phase} ${event}`))
    .filter((cell) => !cells.has(cell));
  expect(missing).toEqual([]);
});

function worldAfter(path: readonly number[], kind: Partial<Limits>): World {
  const world = new World(kind);
  for (const step of path) allSteps[step]!.run(world);
  return world;
}

const paths = fc.array(fc.nat({ max: allSteps.length - 1 }), { maxLength: 80 });

test('whatever happens, a stop ends everything once the processes obey', () => {
  fc.assert(
    fc.property(fc.nat({ max: kinds.length - 1 }), paths, (kind, path) => {
      const world = worldAfter(path, kinds[kind]!);
      const forks = () => world.actions.filter(({ type }) => type === 'fork').length;
      world.send({ type: 'stop', by: 'test' });
      const before = forks();
      world.send({ type: 'kill', by: 'test' });
      for (const [pid, { killed }] of [...world.processes]) {
        expect(killed).toBe(true);
        world.exited(pid, crash);
      }
      expect(world.exitCode).toBeDefined();
      expect(forks()).toBe(before);
    }),
    { numRuns: 2000 },
  );
});

test('whatever happens, workers that stay healthy from then on are all there in the end', () => {
  fc.assert(
    fc.property(fc.constantFrom(0, 1, 2, 3, 4, 7), paths, (kind, path) => {
      const world = worldAfter(path, { ...kinds[kind]!, maxFailures: 0 });
      if (world.state.phase !== 'running') return;
      world.refuseForks = false;
      world.send({ type: 'scale', workers: 2 });
      for (let round = 0; round < 50; round++) {
        for (const [pid, { signals, killed }] of [...world.processes]) {
          if (killed || signals.length > 0) world.exited(pid, exit(0));
          else {
            world.send({ type: 'arrived', pid });
            world.send({ type: 'ready', pid });
          }
        }
        for (const pid of world.processes.keys()) world.send({ type: 'ping', pid });
        const next = nextDeadline(world.state);
        world.now = Math.min(next, world.now + 2000);
        world.send({ type: 'tick', late: 0 });
      }
      expect([1, 2].map((id) => world.main(id).phase)).toEqual(['ready', 'ready']);
      expect(world.state.slots).toHaveLength(2);
    }),
    { numRuns: 1000 },
  );
});

test('no more than maxRestarts restarts, and no more than maxFailures + 1 failures in a row', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      paths,
      (r, f, path) => {
        const world = worldAfter(path, { maxRestarts: r, maxFailures: f });
        expect(world.state.restarts).toBeLessThanOrEqual(r);
        for (const { failures } of world.state.slots) {
          expect(failures.length).toBeLessThanOrEqual(f + 1);
        }
      },
    ),
  );
});

test('the policy is a function: the same state and event give the same answer', () => {
  fc.assert(
    fc.property(fc.nat({ max: kinds.length - 1 }), paths, (kind, path) => {
      const { state, now } = worldAfter(path, kinds[kind]!);
      const event = { type: 'recycle', now } as const;
      const twice: State[] = [decide(state, event)[0], decide(state, event)[0]];
      expect(twice[0]).toEqual(twice[1]);
    }),
    { numRuns: 200 },
  );
});
