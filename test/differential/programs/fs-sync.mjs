// fs: the synchronous calls: links, modes, times, truncation, copies, directories.
import fs from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './support/temporary.mjs';

const directory = temporaryDirectory();
const at = (name) => join(directory, name);
fs.writeFileSync(at('file'), 'content', { mode: 0o600 });
const iterator = fs.opendirSync(directory);
await globalThis.midpoint?.();
console.log(iterator.readSync().name, iterator.readSync());
iterator.closeSync();
fs.symlinkSync('file', at('soft'));
fs.linkSync(at('file'), at('hard'));
console.log(fs.readlinkSync(at('soft')), fs.lstatSync(at('soft')).isSymbolicLink(), fs.statSync(at('hard')).nlink);
fs.chmodSync(at('file'), 0o640);
fs.utimesSync(at('file'), 1000, 2000);
const stat = fs.statSync(at('hard'), { bigint: true });
console.log((Number(stat.mode) & 0o777).toString(8), stat.atimeMs, stat.mtimeMs);
fs.truncateSync(at('file'), 4);
fs.copyFileSync(at('file'), at('copy'));
console.log(fs.readFileSync(at('copy'), 'utf8'), fs.realpathSync(at('soft')) === fs.realpathSync(at('file')));
fs.mkdirSync(at('sub'));
fs.cpSync(at('file'), at('sub/inner'));
console.log(fs.readdirSync(directory, { recursive: true }).sort());
console.log((fs.statSync(at('sub')).mode & 0o777) === (0o777 & ~process.umask()));
