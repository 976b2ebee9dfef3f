// C9: what the daemon may use, and its environment.

import { readFileSync } from 'node:fs';
import { getrlimit } from 'doublefork/posix';
import { describe, expect, test } from 'vitest';
import { variants } from '../../support/engine.js';
import { run } from '../../support/program.js';
import { testAsRoot, testRaisingLimits } from '../../support/root.js';

const literal = (value: unknown) => JSON.stringify(value);

/** What /proc tells a daemon of itself. */
const LOOK = `
  report({
    limits: fs.readFileSync('/proc/self/limits', 'utf8'),
    oomScoreAdj: Number(fs.readFileSync('/proc/self/oom_score_adj', 'utf8')),
    nice: fs.readdirSync('/proc/self/task').map((tid) =>
      Number(fs.readFileSync('/proc/self/task/' + tid + '/stat', 'latin1').replace(/.*\\) /s, '').split(' ')[16])),
    env: process.env,
  });
`;

interface Look {
  limits: string;
  oomScoreAdj: number;
  nice: number[];
  env: Record<string, string>;
}

async function look(options: object, env: Record<string, string> = {}): Promise<Look> {
  const { code, stderr, reports } = await run(
    `daemonize({ keepFds: [3], ...${literal(options)} }); ${LOOK}`,
    { env },
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return reports[0];
}

/** Soft and hard limit from a line of /proc/PID/limits. */
function limit(text: string, title: string): [soft: string, hard: string] {
  const match = new RegExp(`^${title}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(text);
  return [match![1]!, match![2]!];
}

describe.each(variants)('C9 engine %s, detach %s', (engine, detach) => {
  const chosen = { engine, detach };

  test('C9 limits: lower ones, soft and hard, of every kind of value', async () => {
    const { limits } = await look({
      ...chosen,
      limits: {
        nofile: { soft: 300, hard: 1000 },
        RLIMIT_STACK: { soft: 2 ** 22 },
        data: 2 ** 36,
        fsize: 'infinity',
        cpu: { hard: 3600 },
      },
      noCore: true,
    });
    expect(limit(limits, 'Max open files')).toEqual(['300', '1000']);
    expect(limit(limits, 'Max stack size')[0]).toBe(String(2 ** 22));
    expect(limit(limits, 'Max data size')).toEqual([String(2 ** 36), String(2 ** 36)]);
    expect(limit(limits, 'Max file size')).toEqual(['unlimited', 'unlimited']);
    expect(limit(limits, 'Max cpu time')).toEqual(['3600', '3600']);
    expect(limit(limits, 'Max core file size')).toEqual(['0', '0']);
  });

  testRaisingLimits('C9 a limit above the hard one, for a user who may not raise it', async () => {
    const { hard } = getrlimit('nofile');
    const higher = hard === 'infinity' ? 2 ** 20 : hard + 24;
    const { limits } = await look({ ...chosen, user: 'nobody', limits: { nofile: higher } });
    expect(limit(limits, 'Max open files')).toEqual([String(higher), String(higher)]);
  });

  test('C9 nice, of every thread, and oomScoreAdj', async () => {
    const found = await look({ ...chosen, nice: 7, oomScoreAdj: 300 });
    expect(new Set(found.nice)).toEqual(new Set([7]));
    expect(found.oomScoreAdj).toBe(300);
  });

  testAsRoot('C9 what only root may: a lower nice value', async () => {
    const found = await look({ ...chosen, user: 'nobody', nice: -3 });
    expect(new Set(found.nice)).toEqual(new Set([-3]));
  });

  testRaisingLimits('C9 what only root may: a lower oomScoreAdj', async () => {
    const found = await look({ ...chosen, user: 'nobody', oomScoreAdj: -100 });
    expect(found.oomScoreAdj).toBe(-100);
  });

  test('C9 environment: a list of what is kept, and more', async () => {
    const { env } = await look(
      { ...chosen, keepEnv: ['KEPT', 'ABSENT', 'CHANGED'], env: { ADDED: 'new', CHANGED: 'yes' } },
      { KEPT: 'here', LOST: 'gone', CHANGED: 'no' },
    );
    expect(env).toEqual({ KEPT: 'here', ADDED: 'new', CHANGED: 'yes' });
  });

  test('C9 environment: nothing but what is given', async () => {
    const { env } = await look({ ...chosen, keepEnv: [], env: { ONLY: '1' } });
    expect(env).toEqual({ ONLY: '1' });
  });
});

test('the limits of this process are as /proc has them', () => {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const text = (value: number | 'infinity') => (value === 'infinity' ? 'unlimited' : String(value));
  for (const [name, title] of [
    ['nofile', 'Max open files'],
    ['RLIMIT_CORE', 'Max core file size'],
    ['stack', 'Max stack size'],
    ['msgqueue', 'Max msgqueue size'],
  ] as const) {
    const { soft, hard } = getrlimit(name);
    expect([text(soft), text(hard)]).toEqual(limit(limits, title));
  }
});
