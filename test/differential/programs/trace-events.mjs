// trace_events: tracing switched on before the midpoint, with its agent thread alive, and off after it.
import { existsSync } from 'node:fs';
import { createTracing, getEnabledCategories } from 'node:trace_events';
import { temporaryDirectory } from './support/temporary.mjs';

process.chdir(temporaryDirectory());
const tracing = createTracing({ categories: ['node.perf', 'node.async_hooks'] });
const states = [tracing.enabled];
tracing.enable();
performance.mark('before');
await globalThis.midpoint?.();
performance.mark('after');
states.push(tracing.enabled, getEnabledCategories());
tracing.disable();
states.push(tracing.enabled, getEnabledCategories());
while (!existsSync('node_trace.1.log')) await new Promise((resolve) => setTimeout(resolve, 1));
console.log(tracing.categories, states);
