import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { listen, supervise } from 'doublefork';
import app from './app.cjs';

// What the image has done once, its workers need not do again.
const trial = createServer(app).listen(0, '127.0.0.1');
await once(trial, 'listening');
for (let i = 0; i < Number(process.env.WARM ?? 100); i++) {
  const [response] = await once(get({ port: trial.address().port, agent: false }), 'response');
  await once(response.resume(), 'end');
}
trial.close();
await once(trial, 'close');

const { fd } = listen('http', { port: Number(process.env.PORT), host: '127.0.0.1' });
supervise({ workers: Number(process.env.WORKERS), minUptime: 0, log: 'none' });
createServer(app).listen({ fd });
