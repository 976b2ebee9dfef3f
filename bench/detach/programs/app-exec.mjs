// app.mjs as a daemon, by doublefork's other engine.

import { createServer } from 'node:http';
import { daemonize } from 'doublefork';

daemonize({ engine: 'exec' });

createServer((_, response) => {
  response.end(`${process.pid}\n`);
}).listen(process.env.PORT, '127.0.0.1');
