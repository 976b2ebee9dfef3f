// module: customization hooks, which live on a thread of their own, still load modules after the midpoint.
import { register } from 'node:module';

process.noDeprecation = true;
const hooks = `
  export async function resolve(specifier, context, next) {
    return specifier.startsWith('virtual:') ? { url: specifier, shortCircuit: true } : next(specifier, context);
  }
  export async function load(url, context, next) {
    if (!url.startsWith('virtual:')) return next(url, context);
    return { format: 'module', source: 'export default ' + JSON.stringify(url), shortCircuit: true };
  }`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
const before = await import('virtual:before');
const pending = import('virtual:pending');
await globalThis.midpoint?.();
console.log(before.default, (await pending).default, (await import('virtual:after')).default);
const missing = await import('./support/no-such-module.mjs').catch((error) => error.code);
console.log(missing, (await import('virtual:before')) === before);
