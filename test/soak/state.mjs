// `npm run soak:state [-- ROUNDS]`: kills a program that writes to a journal, at any moment, and looks whether what it had
// acknowledged is there again, once and in order. Exits with code 1 if not.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ROUNDS = Number(process.argv[2] ?? 1000);
/** A new journal after so many: else there is ever more to read. */
const FRESH = 100;
const PROGRAM = join(import.meta.dirname, 'journal-writer.mjs');
/** How many records of one writer may be under way: see journal-writer.mjs. */
const UNDER_WAY = 3;

let directory = '';
/** The last record of each writer that was acknowledged. @type {Map<number, number>} */
let acknowledged = new Map();
/** @type {string[]} */
const faults = [];
const totals = { acknowledged: 0, recovered: 0, torn: 0, snapshots: 0, unacknowledged: 0 };

for (let round = 0; round < ROUNDS && faults.length === 0; round++) {
  if (round % FRESH === 0) {
    if (directory !== '') rmSync(directory, { recursive: true });
    directory = mkdtempSync(join(tmpdir(), 'doublefork-soak-'));
    acknowledged = new Map();
  }
  await live(round);
}
rmSync(directory, { recursive: true });
const { acknowledged: written, recovered, torn, snapshots, unacknowledged } = totals;
console.log(
  `${ROUNDS} times kill -9: ${written} acknowledged writes, ${faults.length === 0 ? 'none' : 'SOME'} lost or applied twice; ` +
    `${unacknowledged} unacknowledged ones were there, ${torn} torn tails cut off, ${snapshots} snapshots read, ${recovered} records replayed`,
);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;

/** One life of the program. @param {number} round */
async function live(round) {
  const child = spawn(process.execPath, [PROGRAM, directory, String(round % 2)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => {
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
  // Anywhere between its first write and its hundreds-and-somethingth.
  let left = 1 + Math.floor(Math.random() ** 2 * 600);
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{')) {
      check(round, JSON.parse(line));
      continue;
    }
    for (const each of line.split(',')) {
      const [writer, last] = each.split(':').map(Number);
      totals.acknowledged++;
      acknowledged.set(writer, last);
    }
    if (--left === 0) child.kill('SIGKILL');
  }
  const { code, signal } = await ended;
  if (signal !== 'SIGKILL') faults.push(`round ${round}: the program ended with ${code ?? signal}`);
}

/** What the program has found as it began. */
function check(round, { state, torn, snapshot, records }) {
  const found = new Map(state);
  for (const [writer, last] of acknowledged) {
    if ((found.get(writer) ?? 0) < last) {
      faults.push(
        `round ${round}: writer ${writer} had ${last} acknowledged, ${found.get(writer)} is there`,
      );
    }
  }
  for (const [writer, last] of found) {
    const more = last - (acknowledged.get(writer) ?? 0);
    totals.unacknowledged += more;
    if (more > UNDER_WAY)
      faults.push(`round ${round}: writer ${writer} has ${more} more than it wrote`);
    acknowledged.set(writer, last);
  }
  totals.recovered += records;
  if (torn > 0) totals.torn++;
  if (snapshot) totals.snapshots++;
}
