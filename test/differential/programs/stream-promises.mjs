// stream/promises: a pipeline of generators interrupted by the midpoint, an aborted one, helpers.
import { Readable, compose } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';

async function* numbers() {
  for (let number = 0; number < 10; number++) {
    if (number === 5) await globalThis.midpoint?.();
    yield `${number}\n`;
  }
}
const sum = await pipeline(
  numbers,
  async function* parse(source) {
    for await (const chunk of source) yield Number(chunk);
  },
  async (source) => {
    let total = 0;
    for await (const number of source) total += number;
    return total;
  },
);
console.log(sum);
const controller = new AbortController();
const endless = Readable.from((async function* forever() { for (;;) yield await new Promise(setImmediate); })(), { objectMode: true });
const aborted = pipeline(endless.map(() => 'x'), async (source) => {
  for await (const _ of source) controller.abort();
}, { signal: controller.signal }).catch((error) => error.name);
console.log(await aborted);
const helped = Readable.from([1, 2, 3, 4, 5]).filter((number) => number % 2).map((number) => number * 10).drop(1);
console.log(await helped.toArray(), await Readable.from([1, 2, 3]).reduce((a, b) => a + b));
const composed = compose(async function* twice(source) { for await (const chunk of source) yield `${chunk}${chunk}`; });
composed.end('ab');
console.log(String(await composed.toArray()));
const over = Readable.from(['x']).resume();
console.log(await finished(over));
