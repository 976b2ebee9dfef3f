// Two minutes of random kills, stops and orders. DOUBLEFORK_CHAOS_MS makes it longer,
// DOUBLEFORK_CHAOS_SEED repeats one, and DOUBLEFORK_ENGINE has it with another engine.

import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { node, root } from '../../support/node.js';
import { launch } from '../../support/program.js';

const MINUTES = 60_000;
const duration = Number(process.env.DOUBLEFORK_CHAOS_MS ?? 2 * MINUTES);
const seed = Number(process.env.DOUBLEFORK_CHAOS_SEED ?? randomInt(2 ** 31));

/** Whether this user may make a pid namespace. */
function mayUnshare(): boolean {
  try {
    execFileSync('unshare', ['--pid', '--fork', '--mount-proc', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

// Once: it is about the supervisor, not about what Node it runs on.
test.runIf(process.env.DOUBLEFORK_NODE === undefined && mayUnshare())(
  'no stray process, no zombie, no answer lost to a client that asks once more',
  async () => {
    console.log(`chaos: DOUBLEFORK_CHAOS_SEED=${seed} DOUBLEFORK_CHAOS_MS=${duration}`);
    const namespace = ['--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL'];
    // A shell as process 1: it reaps the workers of a supervisor that was killed.
    const shell = ['sh', '-c', '"$@"; exit $?', 'sh'];
    const driver = `${root}/test/fixtures/chaos.mjs`;
    const program = [node, driver, String(seed), String(duration), temporaryFolder()];
    const { stdout, code, stderr } = await launch('unshare', [...namespace, ...shell, ...program], {
      deadline: duration + 2 * MINUTES,
    }).ended;
    console.log(stdout.trim());
    expect(JSON.parse(stdout).errors, stderr).toEqual([]);
    expect(code).toBe(0);
  },
  duration + 3 * MINUTES,
);
