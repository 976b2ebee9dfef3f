// fs: reads, a write and a stat in flight on the threadpool at the midpoint.
import fs from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './support/temporary.mjs';

const directory = temporaryDirectory();
const path = join(directory, 'file');
fs.writeFileSync(path, 'x'.repeat(300_000));
const result = (start) => new Promise((resolve) => start((error, value) => resolve(error?.code ?? value)));
const pending = [
  result((done) => fs.readFile(path, 'latin1', done)).then((text) => text.length),
  result((done) => fs.stat(path, done)).then((stat) => [stat.size, stat.isFile()]),
  result((done) => fs.readFile(join(directory, 'missing'), done)),
  result((done) => fs.writeFile(join(directory, 'copy'), 'written in flight', done)),
  result((done) => fs.access('/', fs.constants.R_OK, done)),
  result((done) => fs.readdir(join(directory, 'missing'), done)),
];
await globalThis.midpoint?.();
console.log(await Promise.all(pending));
console.log(fs.readFileSync(join(directory, 'copy'), 'utf8'), fs.readdirSync(directory));
