// The application: a web server on 127.0.0.1, port PORT.

import { createServer } from 'node:http';

createServer((_, response) => {
  response.end(`${process.pid}\n`);
}).listen(process.env.PORT, '127.0.0.1');
