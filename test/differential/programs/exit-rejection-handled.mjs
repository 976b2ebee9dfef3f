// process: unhandledRejection and rejectionHandled listeners keep the program alive.
const lines = [];
process.on('unhandledRejection', (reason) => lines.push(`unhandled ${reason.message}`));
process.on('rejectionHandled', () => lines.push('handled later'));
const early = Promise.reject(new Error('early'));
await globalThis.midpoint?.();
await new Promise((resolve) => setTimeout(resolve, 5));
early.catch(() => lines.push('caught'));
await new Promise((resolve) => setTimeout(resolve, 5));
console.log(lines.join('\n'));
