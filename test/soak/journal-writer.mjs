// What soak:state kills: 64 writers with a journal, and snapshots meanwhile.
// journal-writer.mjs DIRECTORY SNAPSHOTS

import { writeSync } from 'node:fs';
import { Journal } from 'doublefork/state';

const [directory, snapshots] = process.argv.slice(2);
/** The last record of each writer. */
const state = new Map();

/** Each record follows the one before it of its writer: none is left out, none comes twice. */
function apply(record) {
  const [writer, number] = String(record).split(':').map(Number);
  const last = state.get(writer) ?? 0;
  if (number !== last + 1) throw new Error(`writer ${writer}: ${number} after ${last}`);
  state.set(writer, number);
}

const journal = Journal.open(directory, {
  restore: (bytes) => {
    for (const [writer, last] of JSON.parse(String(bytes))) state.set(writer, last);
  },
  apply,
});
writeSync(1, `${JSON.stringify({ state: [...state], ...journal.recovered })}\n`);

const padding = 'x'.repeat(100);
async function write(writer) {
  for (;;) {
    const several = Array.from({ length: 1 + (writer % 3) }, () => {
      const number = (state.get(writer) ?? 0) + 1;
      state.set(writer, number);
      return journal
        .append(`${writer}:${number}:${padding.slice(0, number % 100)}`)
        .then(() => `${writer}:${number}`);
    });
    // One line in one write(2): it is told whole, or not at all.
    writeSync(1, `${(await Promise.all(several)).join()}\n`);
  }
}
for (let writer = 0; writer < 64; writer++) void write(writer);

if (snapshots === '1') {
  for (;;) {
    await journal.snapshot(({ write }) => write(JSON.stringify([...state])));
  }
}
