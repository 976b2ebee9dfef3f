// tty: neither standard stream is a terminal; a terminal stream cannot be made of a file.
import { openSync } from 'node:fs';
import tty from 'node:tty';

const file = openSync('/dev/null');
await globalThis.midpoint?.();
console.log([0, 1, 2, file, 9999, -1].map((fd) => tty.isatty(fd)).join());
for (const make of [() => new tty.ReadStream(file), () => new tty.WriteStream(-1)]) {
  try {
    make();
  } catch (error) {
    console.log(error.name, error.code);
  }
}
console.log(tty.WriteStream.prototype.getColorDepth.call({}, { TERM: 'xterm-256color' }));
console.log(tty.WriteStream.prototype.hasColors.call(tty.WriteStream.prototype, 16, { COLORTERM: 'truecolor' }));
