// An order book behind HTTP that is where it was when it is started again, whatever ended it.
//
//   node examples/order-book/server.mjs journal ./orders     (or sqlite)
//   curl -d '{"place":{"id":1,"side":"buy","price":10,"amount":5}}' localhost:8080
//   curl localhost:8080

import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

const [kind = 'journal', directory = './orders'] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
const { openStore } = await import(`./${kind}-store.mjs`);
const store = openStore(directory);

const server = createServer(async (request, response) => {
  try {
    const body =
      request.method === 'POST' ? await store.execute(await json(request)) : store.orders;
    response.end(JSON.stringify(body));
  } catch (error) {
    response.writeHead(500).end(JSON.stringify({ error: error.message }));
  }
});
server.listen(Number(process.env.PORT ?? 8080), () => {
  console.log(`The order book (${kind}) listens on port ${server.address().port}`);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => server.close(() => store.close()));
}
