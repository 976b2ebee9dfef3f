// process: stdin, first touched after the midpoint, is at its end at once.
await globalThis.midpoint?.();
let length = 0;
for await (const chunk of process.stdin) length += chunk.length;
console.log('bytes', length, process.stdin.fd, process.stdin.readableEnded);
