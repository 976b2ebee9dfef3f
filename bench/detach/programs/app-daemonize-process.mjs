// app.mjs in the background, by the npm package daemonize-process.

import { createServer } from 'node:http';
import daemonizeProcess from 'daemonize-process';

daemonizeProcess();

createServer((_, response) => {
  response.end(`${process.pid}\n`);
}).listen(process.env.PORT, '127.0.0.1');
