// How long daemonize() takes, from its call in the launcher to its return in the daemon, in ms.

import { writeSync } from 'node:fs';
import { daemonize } from 'doublefork';
import { fill, rest } from './heap.mjs';

const kept = fill();
await rest();
const start = process.hrtime.bigint();
daemonize({ keepFds: [3] });
// CLOCK_MONOTONIC: the same for both processes.
const ms = Number(process.hrtime.bigint() - start) / 1e6;
writeSync(3, JSON.stringify({ ms, objects: kept.length }));
process.exit();
