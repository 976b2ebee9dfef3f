// process: falling off the end, with an unreferenced timer that never fires.
const never = setTimeout(() => console.log('never'), 60_000);
never.unref();
process.on('exit', (code) => console.log('exit', code));
await globalThis.midpoint?.();
console.log('last line');
