// listen({ udp: true }): sockets of UDP that are bound before the program serves.

import { describe, expect, test } from 'vitest';
import { run } from '../../support/program.js';

const UDP = `
  const { listen } = doublefork;
  const dgram = await import('node:dgram');
  const { once } = await import('node:events');
  /** Sends, and waits for the answer. */
  const ask = async (port, host) => {
    const client = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
    client.send('question', port, host);
    const [answer] = await once(client, 'message');
    client.close();
    return String(answer);
  };
  const thrown = (call) => {
    try { call(); return 'nothing'; } catch (error) { return [error.code, error.message]; }
  };
`;

/** Answers on a socket with what it is called. */
const ANSWER = (listener: string, text = listener) => `
  const ${listener}Socket = ${listener}.createSocket();
  ${listener}Socket.on('message', (_, { port, address }) => ${listener}Socket.send('${text}', port, address));
`;

describe('UDP', () => {
  test('the address is known at once; default is IPv6 and IPv4, with a port that is free', async () => {
    const { reports } = await run(`${UDP}
      report(listen('all', { udp: true, port: 0 }).address);
      report(listen('v4', { udp: true, port: 0, host: '127.0.0.1' }).address);
      report(listen('v6', { udp: true, port: 0, host: '::1' }).address);
      const { fd } = listen('x', { udp: true, port: 0 });
      report([posix.isCloseOnExec(fd), posix.getsockopt(fd, posix.SOL_SOCKET, posix.SO_TYPE) === posix.SOCK_DGRAM]);
    `);
    const port = expect.any(Number);
    expect(reports).toEqual([
      { address: '::', family: 'IPv6', port },
      { address: '127.0.0.1', family: 'IPv4', port },
      { address: '::1', family: 'IPv6', port },
      [true, true],
    ]);
  });

  test('its socket answers both families; with ipv6Only IPv4 belongs to somebody else', async () => {
    const { reports, code } = await run(`${UDP}
      const both = listen('both', { udp: true, port: 0 });
      ${ANSWER('both')}
      for (const host of ['127.0.0.1', '::1']) report(await ask(both.address.port, host));
      const six = listen('six', { udp: true, port: 0, ipv6Only: true });
      const four = listen('four', { udp: true, port: six.address.port, host: '0.0.0.0' });
      ${ANSWER('six')} ${ANSWER('four')}
      for (const host of ['127.0.0.1', '::1']) report(await ask(six.address.port, host));
      // Nothing else keeps the program.
      bothSocket.close(); sixSocket.close(); fourSocket.close();
    `);
    expect(reports).toEqual(['both', 'both', 'four', 'six']);
    expect(code).toBe(0);
  });

  test('an address in use is an error that names it, unless both allow it; the same port of TCP is another', async () => {
    const { reports } = await run(`${UDP}
      const { port } = listen('udp', { udp: true, port: 0, host: '127.0.0.1' }).address;
      const [code, text] = thrown(() => listen('again', { udp: true, port, host: '127.0.0.1' }));
      report([code, text.includes('127.0.0.1:' + port)]);
      report(listen('tcp', { port, host: '127.0.0.1' }).address.port === port);
      for (const reuse of ['reusePort', 'reuseAddr']) {
        const options = { udp: true, host: '127.0.0.1', [reuse]: true };
        const first = listen(reuse + 1, { ...options, port: 0 });
        report(listen(reuse + 2, { ...options, port: first.address.port }).address.port === first.address.port);
      }
      report(thrown(() => listen('else', { udp: true, port: 0, host: '192.0.2.1' }))[0]);
    `);
    expect(reports).toEqual([['EADDRINUSE', true], true, true, true, 'EADDRNOTAVAIL']);
  });

  test('no other program may bind its address, while its socket is in use, either', async () => {
    const { reports } = await run(`${UDP}
      const mine = listen('mine', { udp: true, port: 0, host: '127.0.0.1' });
      ${ANSWER('mine')}
      const other = dgram.createSocket({ type: 'udp4', reuseAddr: true });
      other.bind(mine.address.port, '127.0.0.1');
      report((await once(other, 'error'))[0].code);
      report(await ask(mine.address.port, '127.0.0.1'));
      process.exit();
    `);
    expect(reports).toEqual(['EADDRINUSE', 'mine']);
  });

  test('with reuseAddr several programs get what is sent to a group', async () => {
    const { reports } = await run(`${UDP}
      const options = { udp: true, host: '0.0.0.0', reuseAddr: true };
      const one = listen('one', { ...options, port: 0 });
      const oneSocket = one.createSocket();
      const two = listen('two', { ...options, port: one.address.port });
      const sockets = [oneSocket, two.createSocket()];
      const heard = Promise.all(sockets.map((socket) => once(socket, 'message')));
      for (const socket of sockets) socket.addMembership('239.1.2.3', '127.0.0.1');
      const client = dgram.createSocket('udp4');
      client.bind(0, '127.0.0.1', () => {
        client.setMulticastInterface('127.0.0.1');
        client.send('to all', one.address.port, '239.1.2.3');
      });
      report((await heard).map(([message]) => String(message)));
      process.exit();
    `);
    expect(reports).toEqual([['to all', 'to all']]);
  });

  test('wrong options change nothing', async () => {
    const { reports } = await run(`${UDP}
      const before = fs.readdirSync('/proc/self/fd').length;
      for (const options of [
        { udp: 1, port: 0 }, { udp: true }, { udp: true, port: '53' }, { udp: true, port: 70000 },
        { udp: true, port: 0, backlog: 1 }, { udp: true, path: '/tmp/x' }, { port: 0, reuseAddr: true }, 'udp',
      ]) report(thrown(() => listen('wrong', options))[0]);
      report(fs.readdirSync('/proc/self/fd').length - before);
    `);
    expect(reports).toEqual([
      ...['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_TYPE'],
      ...['ERR_OUT_OF_RANGE', 'ERR_INVALID_ARG_VALUE', 'ERR_INVALID_ARG_VALUE'],
      ...['ERR_INVALID_ARG_VALUE', 'ERR_INVALID_ARG_TYPE'],
      0,
    ]);
  });

  test('close() frees the address and the name, and closes nothing else; methods may be taken off', async () => {
    const { reports } = await run(`${UDP}
      const { close, createSocket, fd, address } = listen('it', { udp: true, port: 0, host: '127.0.0.1' });
      const socket = createSocket();
      report(thrown(createSocket)[0]);
      await new Promise((resolve) => socket.close(resolve));
      // The number is used again, for something that is not the listener's.
      const used = fs.openSync('/dev/null');
      report(used === fd);
      close();
      report(fs.fstatSync(used).isCharacterDevice());
      report(listen('it', { udp: true, port: address.port, host: '127.0.0.1' }).address.port === address.port);
    `);
    expect(reports).toEqual(['EEXIST', true, true, true]);
  });
});
