// The child of child-fork.mjs: says hello, then sends every message back.
process.on('message', (message) => process.send(message));
process.send({ hello: process.argv[2], connected: process.connected });
