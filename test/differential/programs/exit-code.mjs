// process: exitCode is honoured when the program falls off its end.
import { existsSync } from 'node:fs';

process.exitCode = 3;
await globalThis.midpoint?.();
console.log(existsSync('/'), process.exitCode);
setImmediate(() => {
  process.exitCode = 11;
});
