// process: stdout and stderr as streams: callbacks, a pipe into stdout, large writes, cork, descriptors.
import { writeSync } from 'node:fs';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';

await globalThis.midpoint?.();
await new Promise((resolve) => process.stdout.write('with a callback\n', resolve));
await pipeline(Readable.from(['piped ', 'into ', 'stdout\n']), process.stdout, { end: false });
process.stdout.cork();
process.stdout.write('corked ');
process.stdout.write('together\n');
process.stdout.uncork();
writeSync(1, 'by descriptor\n');
process.stdout.write(`${'x'.repeat(200_000)}\n`);
process.stderr.write('YmFzZTY0Cg==', 'base64');
writeSync(2, 'err by descriptor\n');
console.log(process.stdout.fd, process.stderr.fd, process.stdout.writable, process.stdout.columns);
const end = finished(process.stdout).catch((error) => error.code);
process.stdout.destroy();
process.stderr.write(`still writable ${await Promise.race([end, new Promise((r) => setTimeout(r, 20, 'open'))])}\n`);
