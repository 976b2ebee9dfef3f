// fs: the shape of system errors, from synchronous, callback and promise calls.
import fs from 'node:fs';
import promises from 'node:fs/promises';

await globalThis.midpoint?.();
const shape = ({ code, errno, syscall, path, message }) => ({ code, errno, syscall, path, message });
try {
  fs.openSync('/no/such/file');
} catch (error) {
  console.log(shape(error));
}
console.log(shape(await promises.mkdir('/proc/impossible').catch((error) => error)).code);
fs.rmdir('/no/such/directory', (error) => console.log(shape(error)));
try {
  fs.readFileSync(42.5);
} catch (error) {
  console.log(error.name, error.code);
}
try {
  fs.readSync(999_999, Buffer.alloc(1));
} catch (error) {
  console.log(error.code, error.syscall);
}
console.log(fs.existsSync('/no/such/file'), fs.statSync('/no/such', { throwIfNoEntry: false }));
