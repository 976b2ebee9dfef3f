// 1 GB in a Map, 10,000 writes a second, and a picture of all of it in a file meanwhile: how long the writer is held up at most.
// node --max-old-space-size=… bench/jobs/snapshot.mjs MEGABYTES

import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { snapshot } from 'doublefork';

const [megabytes] = process.argv.slice(2).map(Number);
const directory = mkdtempSync(join(tmpdir(), 'doublefork-bench-'));
const VALUE = 'v'.repeat(400);
/** As many as there are of each in Redis. */
const state = new Map();
while (process.memoryUsage().rss < megabytes * 2 ** 20) {
  for (let i = 0; i < 10_000; i++) {
    const id = state.size;
    // A string of its own each: not a piece of another.
    state.set(`key:${id}`, { id, value: Buffer.from(`${id}${VALUE}`).toString('latin1') });
  }
}

const RATE = 10_000;
/** Writes at that rate until the work is done. @returns the longest time between two turns of the writer, in ms */
async function writing(work) {
  let done = false;
  let longest = 0;
  let written = 0;
  const begin = performance.now();
  let last = begin;
  // A work of one piece is over before the first write.
  const finished = work().finally(() => {
    done = true;
  });
  do {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    for (; written < ((now - begin) * RATE) / 1000; written++) {
      const id = Math.floor(Math.random() * state.size);
      state.set(`key:${id}`, { id, value: Buffer.from(`${written}${VALUE}`).toString('latin1') });
    }
    await new Promise((resolve) => setImmediate(resolve));
  } while (!done);
  await finished;
  return { longest, took: performance.now() - begin, written };
}

const lines = (write) => {
  for (const [key, { value }] of state) write(`${JSON.stringify([key, value])}\n`);
};
const results = {
  nothing: await writing(() => new Promise((resolve) => setTimeout(resolve, 3000))),
  snapshot: await writing(() => snapshot(join(directory, 'ours'), ({ write }) => lines(write))),
  // In place: a text of 1 GB is more than V8 takes in one, so by pieces, as a program would.
  inPlace: await writing(async () => {
    const fd = openSync(join(directory, 'in-place'), 'w');
    let piece = [];
    const flush = () => {
      const bytes = Buffer.from(JSON.stringify(piece));
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      piece = [];
    };
    for (const [key, { value }] of state) if (piece.push([key, value]) === 10_000) flush();
    flush();
    fsyncSync(fd);
    closeSync(fd);
  }),
};
rmSync(directory, { recursive: true });
console.log(
  JSON.stringify({ ...results, entries: state.size, resident: process.memoryUsage().rss }),
);
