// How long two bare clones of the very process take that detach.mjs detaches, in ms.

import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import 'doublefork';
import { fill, rest } from './heap.mjs';

const { twoClones } = createRequire(import.meta.url)('../native/build/Release/clones.node');
const kept = fill();
await rest();
const ms = twoClones();
writeSync(3, JSON.stringify({ ms, objects: kept.length }));
