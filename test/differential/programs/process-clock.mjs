// process: time never runs backwards over the midpoint; usage grows; a pending timer keeps its due time.
import process from 'node:process';

const start = process.hrtime.bigint();
const pair = process.hrtime();
const uptime = process.uptime();
const wall = Date.now();
await new Promise((resolve) => setImmediate(resolve));
const set = performance.now();
const fired = new Promise((resolve) => setTimeout(() => resolve(performance.now()), 30));
await globalThis.midpoint?.();
const due = (await fired) - set;
console.log(process.hrtime.bigint() > start, process.hrtime(pair)[0] >= 0, Date.now() >= wall);
console.log(process.uptime() > uptime, due >= 20);
// Not across the midpoint: the CPU time of a process starts at zero (fork(2)).
const used = process.cpuUsage(process.cpuUsage());
console.log(used.user >= 0 && used.system >= 0, Object.keys(process.resourceUsage()).length);
const memory = process.memoryUsage();
console.log(Object.keys(memory).join(), Object.values(memory).every(Number.isInteger), process.memoryUsage.rss() > 0);
console.log(process.constrainedMemory() >= 0, (process.availableMemory?.() ?? 1) > 0);
