// What a service manager passes to a service: sockets (C26).

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Service } from '../../support/managers/service.js';
import { Systemd, testWithSystemd } from '../../support/managers/systemd.js';
import { node } from '../../support/node.js';
import { until } from '../../support/processes.js';
import { launch, run } from '../../support/program.js';

const SUPERVISED = (options: string) => `
  const http = listen('http', ${options});
  const worker = supervise({ workers: 2, ready: 'manual', log: 'none' });
  const server = createServer((request, response) => response.end('pid ' + process.pid + ' v1'));
  server.listen({ fd: http.fd }, worker.ready);
  worker.signal.addEventListener('abort', () => drain(server, { idleTimeout: 100 }));
`;

describe('listen() takes the socket of a socket unit', () => {
  testWithSystemd.each([
    ['by address', '{ port: 8080 }', 'ListenStream=8080', 'http://127.0.0.1:8080/'],
    [
      'by name',
      '{ port: 1 }',
      'ListenStream=127.0.0.1:8081\nFileDescriptorName=http',
      'http://127.0.0.1:8081/',
    ],
    ['by path', '{ path: "/run/app.sock" }', 'ListenStream=/run/app.sock', '/run/app.sock'],
  ])(
    '%s, in every worker, after a reload, and leaves it there',
    async (_, options, stream, url) => {
      const service = new Service(SUPERVISED(options));
      const systemd = await Systemd.boot({
        'app.socket': `[Socket]\n${stream}`,
        'app.service': `[Service]\nType=notify\nExecReload=kill -HUP $MAINPID\nExecStart=${service.line}`,
      });
      const get = async () => {
        const where = url.startsWith('/') ? ['--unix-socket', url, 'http://app/'] : [url];
        return (await systemd.exec('curl', '-s', '-S', '-m', '20', ...where)).stdout;
      };
      await systemd.do('start', 'app.socket');
      // Nothing runs; systemd starts it for the first connection.
      expect(await get()).toMatch(/^pid \d+ v1$/);
      // A reload is merged with a start that is not over: then there is none.
      await until(
        async () => (await systemd.show('app', 'ActiveState')) === 'active',
        'systemd knows that it is ready',
      );
      service.write(SUPERVISED(options).replace('v1', 'v2'));
      await systemd.do('reload', 'app');
      const answers: string[] = [];
      await until(async () => {
        answers.push(await get());
        return answers.at(-1)!.endsWith('v2');
      }, `the new version answers; ${systemd.console}`);
      for (const answer of answers) expect(answer).toMatch(/^pid \d+ v[12]$/);
      await systemd.do('restart', 'app');
      expect(await get()).toMatch(/^pid \d+ v2$/);
      await systemd.do('stop', 'app.service');
      expect(await systemd.show('app.socket', 'SubState')).toBe('listening');
      expect(await get()).toMatch(/^pid \d+ v2$/);
    },
  );

  testWithSystemd('with the exec engine', async () => {
    const source = SUPERVISED('{ port: 8080 }').replace('workers: 2', 'workers: 2, engine: "exec"');
    const service = new Service(source);
    const systemd = await Systemd.boot({
      'app.socket': '[Socket]\nListenStream=8080\nListenStream=/run/other',
      'app.service': `[Service]\nType=notify\nExecStart=${service.line}`,
    });
    await systemd.do('start', 'app.socket', 'app.service');
    const { stdout } = await systemd.exec('curl', '-s', '-m', '20', 'http://127.0.0.1:8080/');
    expect(stdout).toMatch(/^pid \d+ v1$/);
  });

  testWithSystemd('UDP and TCP of one unit, port and name, before and after a reload', async () => {
    const source = `
      const dns = listen('dns', { udp: true, port: 1 });
      const tcp = listen('dns over tcp', { port: 8053 });
      const worker = supervise({ workers: 2, ready: 'manual', log: 'none' });
      const socket = dns.createSocket();
      socket.on('message', (_, { port, address }) => socket.send('udp v1', port, address));
      const server = createServer((request, response) => response.end('tcp v1'));
      server.listen({ fd: tcp.fd }, worker.ready);
      worker.signal.addEventListener('abort', () => { socket.close(); drain(server, { idleTimeout: 100 }); });
    `;
    const service = new Service(source);
    const systemd = await Systemd.boot({
      'app.socket':
        '[Socket]\nListenStream=127.0.0.1:8053\nListenDatagram=127.0.0.1:8053\nFileDescriptorName=dns',
      'app.service': `[Service]\nType=notify\nExecReload=kill -HUP $MAINPID\nExecStart=${service.line}`,
    });
    const client = `
      const socket = require('node:dgram').createSocket('udp4');
      socket.on('message', (data) => { console.log(String(data)); socket.close(); });
      socket.send('question', 8053, '127.0.0.1');
    `;
    const ask = async () => (await systemd.exec(node, '-e', client)).stdout.trim();
    const get = async () =>
      (await systemd.exec('curl', '-s', '-m', '20', 'http://127.0.0.1:8053/')).stdout;
    await systemd.do('start', 'app.socket');
    // Nothing runs; systemd starts it for the first datagram, which waits in the queue.
    expect(await ask()).toBe('udp v1');
    expect(await get()).toBe('tcp v1');
    await until(
      async () => (await systemd.show('app', 'ActiveState')) === 'active',
      'systemd knows that it is ready',
    );
    service.write(source.replaceAll('v1', 'v2'));
    await systemd.do('reload', 'app');
    await until(async () => (await ask()) === 'udp v2', 'the new version answers');
    await until(async () => (await get()) === 'tcp v2', 'the new version answers over TCP');
  });

  testWithSystemd('of a daemon that leaves the terminal: Type=forking', async () => {
    const service = new Service(`
      const daemon = daemonize({ ready: 'manual' });
      const http = listen('http', { port: 8080 });
      createServer((request, response) => response.end(String(daemon.detached))).listen({ fd: http.fd }, daemon.ready);
    `);
    const systemd = await Systemd.boot({
      'app.socket': '[Socket]\nListenStream=8080',
      'app.service': `[Service]\nType=forking\nExecStart=${service.line}`,
    });
    await systemd.do('start', 'app.socket');
    const { stdout } = await systemd.exec('curl', '-s', '-m', '20', 'http://127.0.0.1:8080/');
    expect(stdout).toBe('true');
  });
});

/** Starts a service with variables, one of which is its own pid. */
function activated(service: Service, variables: string, descriptors = '') {
  return launch('bash', [
    ...['-c', `exec ${descriptors}; ${variables} exec "$@"`, 'bash', node, service.file],
  ]).ended;
}

const LIST = `
  say(systemd.listenFds());
  say(Object.keys(process.env).filter((name) => name.startsWith('LISTEN_')));
  say(fs.readdirSync('/proc/self/fd').length > 0 && await new Promise((resolve) => {
    const server = createServer((request, response) => response.end('served')).listen(0, async () => {
      resolve(await (await fetch('http://127.0.0.1:' + server.address().port)).text());
      server.close();
    });
  }));
`;

describe('C26 LISTEN_FDS', () => {
  test('only what this process was started with is passed, with its name, close-on-exec', async () => {
    const service = new Service(`
      const { execFileSync } = await import('node:child_process');
      ${LIST}
      say(execFileSync('ls', ['/proc/self/fd'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\\n').includes('4'));
    `);
    await activated(service, 'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=first:', '4</etc/passwd');
    const [fds, names, served, inherited] = service.said;
    expect(fds).toEqual([
      { fd: 3, name: 'first' },
      { fd: 4, name: 'unknown' },
    ]);
    expect({ names, served, inherited }).toEqual({ names: [], served: 'served', inherited: false });
  });

  test.each(['40', '1000000', '9007199254740991'])(
    'that says %s is one warning, and no descriptor that is not ours is touched',
    async (count) => {
      const service = new Service(LIST);
      const { stderr, code } = await activated(service, `LISTEN_PID=$$ LISTEN_FDS=${count}`);
      expect(code).toBe(0);
      const [fds, names, served] = service.said;
      expect(fds.map(({ fd }: { fd: number }) => fd)).toEqual([3]);
      expect({ names, served }).toEqual({ names: [], served: 'served' });
      expect(stderr.match(/DOUBLEFORK_LISTEN_FDS/g)).toHaveLength(1);
    },
  );

  test.each([
    ['another process', 'LISTEN_PID=1 LISTEN_FDS=1'],
    ['nobody', 'LISTEN_FDS=1'],
  ])('that means %s is not for this one', async (_, variables) => {
    const service = new Service(LIST);
    const { stderr } = await activated(service, variables);
    expect(service.said[0]).toEqual([]);
    expect(service.said[2]).toBe('served');
    expect(stderr).toBe('');
  });

  /** Runs it with a UDP socket named `udp` and a TCP socket named `tcp`. */
  const withBoth = (service: Service) =>
    run(`
      const { spawnSync } = await import('node:child_process');
      const udp = posix.socket(posix.AF_INET, posix.SOCK_DGRAM);
      const tcp = posix.socket(posix.AF_INET, posix.SOCK_STREAM);
      for (const fd of [udp, tcp]) posix.bind(fd, { host: '127.0.0.1', port: 0, family: posix.AF_INET });
      posix.listen(tcp);
      const line = 'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=udp:tcp exec "$@"';
      const stdio = ['ignore', 'inherit', 'inherit', udp, tcp];
      spawnSync('bash', ['-c', line, 'bash', process.execPath, '${service.file}'], { stdio });
      report([posix.getsockname(udp).port, posix.getsockname(tcp).port]);
    `);

  test('with sockets of UDP and TCP: each is found by its name, with the address that it has', async () => {
    const service = new Service(`
      say([listen('udp', { udp: true, port: 1 }).address.port, listen('tcp', { port: 1 }).address.port]);
      say(systemd.listenFds());
    `);
    const { reports } = await withBoth(service);
    expect(service.said).toEqual([reports[0], []]);
  });

  test('with a socket of another type under the name is refused, and nothing is bound instead', async () => {
    const service = new Service(`
      const before = fs.readdirSync('/proc/self/fd').length;
      for (const options of [['tcp', { udp: true, port: 0 }], ['udp', { port: 0 }]]) {
        try { say(listen(...options).address); } catch (error) { say([error.code, error.message]); }
      }
      say(fs.readdirSync('/proc/self/fd').length - before);
      say(systemd.listenFds().length);
    `);
    await withBoth(service);
    expect(service.said).toEqual([
      ['EPROTOTYPE', expect.stringMatching(/^"tcp" is to be a UDP socket.*ListenDatagram=/)],
      ['EPROTOTYPE', expect.stringMatching(/^"udp" is to be a stream socket.*ListenStream=/)],
      0,
      2,
    ]);
  });

  test.each(['-1', 'x', '', '0', '1.5'])('that is %j passes nothing', async (count) => {
    const service = new Service(LIST);
    await activated(service, `LISTEN_PID=$$ LISTEN_FDS=${count}`);
    expect(service.said[0]).toEqual([]);
  });

  test('systemd-socket-activate', async () => {
    const service = new Service(`
      const http = listen('http', { port: 1 });
      const ux = listen('ux', { path: '/nowhere' });
      say([http.address.port, ux.address.path]);
      createServer((request, response) => { response.end('served'); process.exitCode = 0; setTimeout(process.exit, 100); })
        .listen({ fd: http.fd });
    `);
    const path = `${service.directory}/p.sock`;
    const running = launch('systemd-socket-activate', [
      ...['-l', '127.0.0.1:28001', '-l', path, '--fdname=http:ux', ...service.line.split(' ')],
    ]);
    const answer = await launch('curl', [
      ...[
        '-s',
        '--retry',
        '20',
        '--retry-connrefused',
        '--retry-delay',
        '1',
        'http://127.0.0.1:28001/',
      ],
    ]).ended;
    expect(answer.stdout).toBe('served');
    await running.ended;
    expect(service.said).toEqual([[28001, path]]);
    expect(readFileSync(service.file, 'utf8')).not.toBe('');
  });
});
