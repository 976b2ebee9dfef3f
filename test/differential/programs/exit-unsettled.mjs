// process: a top-level await that never settles ends the program with code 13 and a warning.
process.on('exit', (code) => console.log('exit', code));
await globalThis.midpoint?.();
await new Promise(() => {});
