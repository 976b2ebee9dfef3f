// v8: garbage of many shapes, minor and major collections before and after the midpoint.
import v8 from 'node:v8';
import vm from 'node:vm';

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');
let live = new Map();

function churn(rounds) {
  for (let round = 0; round < rounds; round++) {
    const key = `key${round % 500}`;
    live.set(key, { round, list: Array.from({ length: 20 }, (_, index) => ({ index, text: `t${index}` })) });
    if (round % 100 === 0) live.delete(`key${(round * 7) % 500}`);
    if (round % 2000 === 0) gc({ type: 'minor' });
  }
  gc({ type: 'major', execution: 'sync' });
}

churn(8000);
const asynchronous = gc({ type: 'major', execution: 'async' });
await globalThis.midpoint?.();
await asynchronous;
churn(8000);
let sum = 0;
for (const [key, value] of live) sum += value.round + value.list.length * key.length;
console.log(live.size, sum);
live = null;
gc();
console.log('collected');
