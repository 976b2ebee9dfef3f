// sea: this is no single executable application, before and after.
import sea from 'node:sea';

process.removeAllListeners('warning');
const before = sea.isSea();
await globalThis.midpoint?.();
console.log(before, sea.isSea());
try {
  sea.getAsset('name');
} catch (error) {
  console.log(error.code);
}
