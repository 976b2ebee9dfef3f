// v8: heap statistics, spaces, code statistics and heap-limit flags make sense after the midpoint.
import v8 from 'node:v8';

const before = v8.getHeapStatistics();
await globalThis.midpoint?.();
const after = v8.getHeapStatistics();
console.log(Object.keys(after).join(), after.heap_size_limit === before.heap_size_limit);
console.log(after.used_heap_size > 1e6, after.number_of_native_contexts >= 1, after.does_zap_garbage);
console.log(v8.getHeapSpaceStatistics().map((space) => space.space_name).join());
console.log(Object.values(v8.getHeapCodeStatistics()).every((size) => size >= 0), v8.cachedDataVersionTag() > 0);
console.log(v8.startupSnapshot.isBuildingSnapshot());
