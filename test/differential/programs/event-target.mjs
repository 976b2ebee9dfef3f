// EventTarget, CustomEvent and AbortController: a pending abort, a timeout signal and a composed one.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

const target = new EventTarget();
const controller = new AbortController();
const lines = [];
target.addEventListener('note', (event) => lines.push(`note ${event.detail}`), { signal: controller.signal });
target.addEventListener('note', { handleEvent: (event) => lines.push(event.type) }, { once: true });
const waiting = delay(60_000, null, { signal: controller.signal }).catch((error) => error);
const timeout = AbortSignal.timeout(15);
const any = AbortSignal.any([timeout, new AbortController().signal]);
const aborted = once(any, 'abort');
const keepAlive = setInterval(() => {}, 1000);
await globalThis.midpoint?.();
target.dispatchEvent(new CustomEvent('note', { detail: 1 }));
controller.abort(new Error('enough'));
target.dispatchEvent(new CustomEvent('note', { detail: 2 }));
const error = await waiting;
lines.push(`${error.name} ${error.code} ${error.cause.message}`);
await aborted;
clearInterval(keepAlive);
lines.push(any.reason.name, timeout.aborted);
console.log(lines.join('\n'));
