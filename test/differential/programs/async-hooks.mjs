// async_hooks: which kinds of resource come to be, and an AsyncResource that keeps its scope.
import { AsyncResource, createHook, executionAsyncId, triggerAsyncId } from 'node:async_hooks';

const kinds = new Set();
const hook = createHook({ init: (_id, type) => kinds.add(type) }).enable();
const resource = new AsyncResource('Errand');
await globalThis.midpoint?.();
await new Promise((resolve) => setTimeout(resolve, 5));
await new Promise((resolve) => setImmediate(resolve));
const inside = resource.runInAsyncScope(() => executionAsyncId() === resource.asyncId());
const trigger = resource.runInAsyncScope(() => triggerAsyncId() === resource.triggerAsyncId());
hook.disable();
const outside = executionAsyncId() === resource.asyncId();
for (const kind of ['Errand', 'Immediate', 'PROMISE', 'Timeout']) console.log(kind, kinds.has(kind));
console.log(inside, trigger, outside);
