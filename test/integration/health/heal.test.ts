// health({ heal }): what fails its check is restarted, and given up with an alarm when that does not help.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/folder.js';
import { run } from '../../support/program.js';
import { decisions } from '../supervise/tools.js';

const FAST = 'interval: 100, cooldown: 400, retries: 2';

/** A program whose workers do what `worker` says; `heal` are the options of health(). */
const healing = (heal: string, worker: string, options = '') => `
  const { health } = await import('doublefork/health');
  const endpoint = health({ timeout: 500, cache: 0, interval: 100, heal: { ${FAST}, ${heal} } });
  const worker = doublefork.supervise({ stopTimeout: 200, ${options} });
  worker.signal.addEventListener('abort', () => process.exit());
  setInterval(() => {}, 1e6);
  const enough = () => process.kill(process.ppid);
  ${worker}
`;

describe('a worker that fails its checks', () => {
  test.each([
    ['returns false', 'false', /^database: /],
    ['throws', `(() => { throw new Error('no database'); })()`, /^database: /],
    // Before the first report has come, too: it waits for the check.
    ['hangs', 'new Promise(() => {})', /^(database|its last report): /],
  ])('because one %s is restarted, and the other is not', async (_, failing, why) => {
    const ended = await run(
      healing(
        '',
        `endpoint.check('database', () => (worker.id === 2 && worker.generation === 1 ? ${failing} : true));
         if (worker.id === 2 && worker.generation === 2) setTimeout(enough, 1000);`,
        'workers: 2',
      ),
    );
    expect(decisions(ended, 'unhealthy')).toMatchObject([
      { worker: 2, error: expect.stringMatching(why) },
    ]);
    expect(decisions(ended, 'exit').filter(({ cause }) => cause === 'unhealthy')).toHaveLength(1);
    expect(ended.code).toBe(0);
  });

  test('because it is stuck is restarted', async () => {
    const ended = await run(
      healing(
        '',
        `if (worker.generation === 1) setTimeout(() => { for (;;); }, 500); else enough();`,
      ),
    );
    expect(decisions(ended, 'unhealthy')).toMatchObject([
      { error: expect.stringContaining('the last one came') },
    ]);
    expect(decisions(ended, 'kill')).toHaveLength(1);
  });

  test('again and again is given up, and somebody is told', async () => {
    const alarm = join(temporaryFolder(), 'alarm');
    const hook = JSON.stringify(['/bin/sh', '-c', `cat >>'${alarm}'`]);
    const ended = await run(healing('check: () => false', '', `onAlarm: ${hook}, onGiveUp: 9`));
    expect(decisions(ended, 'unhealthy')).toHaveLength(2);
    expect(ended.code).toBe(9);
    expect(JSON.parse(readFileSync(alarm, 'utf8'))).toMatchObject({
      event: 'gave-up',
      error: expect.stringMatching(
        /worker 1 fails its check after 2 restarts.*heal: it returned false/,
      ),
    });
  });
});

describe('a check of all', () => {
  test('a command that fails, or hangs, has every worker restarted', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'well');
    // It hangs, and what it has started with it.
    const check = JSON.stringify(['/bin/sh', '-c', `test -e '${file}' || sleep 1000 & wait $!`]);
    const ended = await run(
      healing(
        `check: ${check}`,
        `if (worker.generation === 2 && worker.id === 1) {
           fs.writeFileSync(${JSON.stringify(file)}, '');
           setTimeout(enough, 1500);
         }`,
        'workers: 2',
      ),
    );
    expect(decisions(ended, 'unhealthy').map(({ worker }) => worker)).toEqual([1, 2]);
    expect(decisions(ended, 'unhealthy')[0].error).toContain('/bin/sh ended with SIGKILL');
  });

  test('a URL that answers with an error, and one that does not answer', async () => {
    const ended = await run(`
      const http = await import('node:http');
      const listener = doublefork.listen('http', { port: 0 });
      const url = 'http://127.0.0.1:' + listener.address.port + '/';
      ${healing(
        'check: url',
        `let code = worker.generation === 1 ? 503 : 200;
         http.createServer((request, response) => {
           if (worker.generation === 2) return;
           response.writeHead(code).end();
         }).listen({ fd: listener.fd });
         if (worker.generation === 3) setTimeout(enough, 1000);`,
      )}
    `);
    expect(decisions(ended, 'unhealthy').map(({ error }) => error)).toEqual([
      expect.stringContaining('answered with 503'),
      expect.stringContaining('not answered within 500 ms'),
    ]);
  });
});

test('without supervise() it says that there is nothing to restart', async () => {
  const ended = await run(`
    const { health } = await import('doublefork/health');
    health({ heal: {} });
    setTimeout(() => process.exit(), 200);
  `);
  expect(ended.stderr).toContain('nothing to restart without supervise()');
});

test.each([
  [`heal: { check: 'localhost' }`, 'ERR_OUT_OF_RANGE'],
  [`heal: { check: ['no-such-program-anywhere'] }`, 'ENOENT'],
  ['heal: { retries: 0 }', 'ERR_OUT_OF_RANGE'],
  ['heal: { every: 1 }', 'ERR_INVALID_ARG_VALUE'],
  [`token: 'short'`, 'ERR_OUT_OF_RANGE'],
  ['hosts: 1', 'ERR_INVALID_ARG_TYPE'],
])('%s is refused', async (options, code) => {
  const ended = await run(`
    const { health } = await import('doublefork/health');
    try { health({ ${options} }); } catch (error) { report(error.code); }
  `);
  expect(ended.reports).toEqual([code]);
});
