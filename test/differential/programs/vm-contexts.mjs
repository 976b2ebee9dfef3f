// vm: contexts, scripts with cached data, functions and timeouts on both sides of the midpoint.
import vm from 'node:vm';

const sandbox = vm.createContext({ count: 1, log: [] });
vm.runInContext('var kept = { count }; function next() { return ++count; }', sandbox);
const script = new vm.Script('log.push(next()); log.length', { filename: 'own.js', produceCachedData: true });
script.runInContext(sandbox);
const timedOut = (source, timeout = 15) => {
  try {
    return vm.runInContext(source, sandbox, { timeout });
  } catch (error) {
    return error.code;
  }
};
const before = timedOut('for (;;);');
await globalThis.midpoint?.();
console.log(before, timedOut('for (;;);'), timedOut('6 * 7', 60_000));
console.log(script.runInContext(sandbox), sandbox.log.join(), sandbox.kept, vm.isContext(sandbox));
const cached = new vm.Script('log.push(next()); log.length', { filename: 'own.js', cachedData: script.createCachedData() });
console.log(cached.cachedDataRejected, cached.runInContext(sandbox), sandbox.count);
console.log(vm.runInNewContext('[] instanceof Array'), vm.runInContext('[]', sandbox) instanceof Array);
console.log(vm.compileFunction('return a + b + count', ['a', 'b'], { parsingContext: sandbox })(1, 2));
try {
  vm.runInThisContext('let x = ;', { filename: 'broken.js', lineOffset: 9 });
} catch (error) {
  console.log(error.name, error.message, error.stack.split('\n')[0]);
}
