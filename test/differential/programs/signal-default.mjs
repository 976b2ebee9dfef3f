// signals: without a handler SIGTERM kills the process; the exit event does not fire.
process.on('exit', () => console.log('never'));
await globalThis.midpoint?.();
console.log('about to go');
setTimeout(() => console.log('never'), 10_000);
process.kill(process.pid, 'SIGTERM');
