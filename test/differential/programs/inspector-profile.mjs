// inspector: a CPU profile that samples over the midpoint, precise coverage, and sampled allocations.
import { Session } from 'node:inspector/promises';

const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.setSamplingInterval', { interval: 500 });
await session.post('Profiler.startPreciseCoverage', { callCount: true });
await session.post('Profiler.start');
await session.post('HeapProfiler.startSampling');

// Milliseconds of the processor's: a process that is held up for all of them has no samples.
function busy(milliseconds) {
  const used = () => Object.values(process.cpuUsage()).reduce((user, system) => user + system);
  const end = used() + milliseconds * 1000;
  let sum = 0;
  while (used() < end) sum += [sum].length;
  return sum;
}

busy(20);
await globalThis.midpoint?.();
busy(20);
const { profile } = await session.post('Profiler.stop');
console.log(profile.nodes.some((node) => node.callFrame.functionName === 'busy'), profile.samples.length > 0);
const { result } = await session.post('Profiler.takePreciseCoverage');
const own = result.find((script) => script.url === import.meta.url);
console.log(own.functions.find((entry) => entry.functionName === 'busy').ranges[0].count);
const sampling = await session.post('HeapProfiler.stopSampling');
console.log(typeof sampling.profile.head.callFrame.functionName);
session.disconnect();
