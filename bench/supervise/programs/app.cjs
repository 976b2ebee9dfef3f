// One app; only who starts it differs. It answers with its pid.
const { join } = require('node:path');

/** What a worker has for itself, in MB. */
let own;
/** How often it was asked for its pid. */
let served = 0;

const answers = {
  '/served': () => `${process.pid}${String(served).padStart(9, '0')}`,
  '/grow': (url) => {
    // Not all zero, and touched: pages of its own.
    own = Buffer.alloc(Number(url.searchParams.get('mb')) << 20, 1);
    return own.length;
  },
  '/throw': () => {
    setImmediate(() => {
      throw new Error('thrown for the benchmark');
    });
    return '';
  },
};

function answer(path) {
  if (path === '/') {
    served++;
    return String(process.pid);
  }
  const url = new URL(path, 'http://localhost');
  return String(answers[url.pathname](url));
}

if (process.env.APP === 'hello') {
  module.exports = (request, response) => response.end(answer(request.url));
} else {
  const express = require(join(process.env.MODULES, 'express'));
  const app = express();
  app.use((request, response) => response.send(answer(request.url)));
  module.exports = app;
}
