// process: an uncaught error with a cause, own properties and a code, thrown from an immediate.
process.on('uncaughtExceptionMonitor', (error, origin) => console.log(origin, error.message));
await globalThis.midpoint?.();
setImmediate(function fail() {
  Error.stackTraceLimit = 2;
  const cause = new TypeError('the cause');
  throw Object.assign(new Error('the effect', { cause }), { code: 'E_PURPOSE', detail: { a: 1 } });
});
