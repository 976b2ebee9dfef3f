// Sockets, terminals, devices, and functions of libc by their names.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';

/** @typedef {import('../works.mjs').Start} Start */

const KEY = 'a key of 32 letters: 01234567890';

/** @type {Record<string, Start>} */
export const system = {
  koffi: (load) => {
    const koffi = load('koffi');
    const libc = koffi.load('libc.so.6');
    const getpid = libc.func('int getpid()');
    const usleep = libc.func('int usleep(unsigned int)');
    const Compare = koffi.proto('int Compare(const void *, const void *)');
    const qsort = libc.func('qsort', 'void', [
      koffi.inout('int *'),
      'size_t',
      'size_t',
      koffi.pointer(Compare),
    ]);
    return {
      check() {
        assert.equal(getpid(), process.pid);
        const numbers = [3, 1, 2];
        qsort(numbers, 3, 4, (a, b) => koffi.decode(a, 'int') - koffi.decode(b, 'int'));
        assert.deepEqual(numbers, [1, 2, 3]);
      },
      async inFlight() {
        const slept = await new Promise((resolve, reject) => {
          usleep.async(200_000, (error, result) => (error ? reject(error) : resolve(result)));
        });
        assert.equal(slept, 0);
      },
    };
  },
  'ffi-rs': (load) => {
    const { open, load: call, DataType } = load('ffi-rs');
    open({ library: 'c', path: 'libc.so.6' });
    const ask = (funcName, retType, paramsType = [], paramsValue = [], more = {}) =>
      call({ library: 'c', funcName, retType, paramsType, paramsValue, ...more });
    return {
      check: () => assert.equal(ask('getpid', DataType.I32), process.pid),
      async inFlight() {
        const slept = await ask('usleep', DataType.I32, [DataType.I32], [200_000], {
          runInNewThread: true,
        });
        assert.equal(slept, 0);
      },
    };
  },
  'node-pty': (load) => {
    // A pair without a child: a live one is refused (EBUSY), as any child is.
    const open = () => load('node-pty').open({ cols: 80, rows: 24 });
    const echo = async ({ master, slave }) => {
      const word = `${process.pid}.${Math.random()}`;
      const told = new Promise((resolve) => {
        let text = '';
        slave.on('data', (data) => {
          text += data;
          if (text.includes(word)) resolve();
        });
      });
      master.write(`${word}\n`);
      await told;
      slave.removeAllListeners('data');
    };
    const before = open();
    return { check: () => echo(before), checkCopy: () => echo(open()) };
  },
  'unix-dgram': async (load, directory) => {
    const unix = load('unix-dgram');
    let next = 0;
    const echo = async (server, path) => {
      const message = Buffer.from(`${process.pid}.${next++}`);
      const got = once(server, 'message');
      const client = unix.createSocket('unix_dgram');
      client.send(message, 0, message.length, path);
      assert.equal(`${(await got)[0]}`, `${message}`);
      client.close();
    };
    const bind = (path) => {
      const server = unix.createSocket('unix_dgram');
      server.bind(path);
      return server;
    };
    const path = `${directory}/socket`;
    const server = bind(path);
    return {
      check: () => echo(server, path),
      async checkCopy() {
        const own = `${directory}/socket.${process.pid}`;
        const other = bind(own);
        await echo(other, own);
        other.close();
      },
    };
  },
  usocket: async (load, directory) => {
    const { UServer, USocket } = load('usocket');
    // The addon frees handles of what is collected without having been closed: nothing is, here.
    const kept = [];
    const listen = (path) => {
      const server = new UServer();
      server.on('connection', (socket) => {
        kept.push(socket);
        socket.on('data', (data) => socket.write(data));
      });
      return new Promise((resolve) => server.listen(path, () => resolve(kept.push(server))));
    };
    const connect = (path) =>
      new Promise((resolve) => {
        const socket = new USocket(path, () => resolve(socket));
        kept.push(socket);
      });
    const echo = async (socket) => {
      const message = `${process.pid}.${Math.random()}`;
      socket.write(Buffer.from(message));
      assert.equal(`${(await once(socket, 'data'))[0]}`, message);
    };
    const path = `${directory}/socket`;
    await listen(path);
    const socket = await connect(path);
    return {
      check: () => echo(socket),
      async checkCopy() {
        const own = `${directory}/socket.${process.pid}`;
        await listen(own);
        await echo(await connect(own));
      },
    };
  },
  'raw-socket': (load) => {
    const raw = load('raw-socket');
    // An echo request to this machine, whose answer the kernel gives.
    const ping = async (socket) => {
      const request = Buffer.from([8, 0, 0, 0, process.pid >> 8 && 255, process.pid & 255, 0, 1]);
      raw.writeChecksum(request, 2, raw.createChecksum(request));
      const answered = new Promise((resolve) => {
        socket.on('message', (packet) => {
          if (packet[20] === 0 && packet[25] === (process.pid & 255)) resolve();
        });
      });
      await new Promise((resolve, reject) => {
        socket.send(request, 0, request.length, '127.0.0.1', (error) =>
          error ? reject(error) : resolve(),
        );
      });
      await answered;
      socket.removeAllListeners('message');
    };
    const open = () => raw.createSocket({ protocol: raw.Protocol.ICMP });
    const socket = open();
    return {
      check: () => ping(socket),
      async checkCopy() {
        const own = open();
        await ping(own);
        own.close();
      },
    };
  },
  epoll: async (load) => {
    const { Epoll } = load('epoll');
    const waiting = [];
    // A descriptor that can always be written: each time it is armed the thread tells so once.
    const fd = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
    const epoll = new Epoll((error) => {
      if (error) throw error;
      for (const told of waiting.splice(0)) told();
    });
    const event = () => new Promise((resolve) => waiting.push(resolve));
    const first = event();
    epoll.add(fd, Epoll.EPOLLOUT | Epoll.EPOLLONESHOT);
    await first;
    const arm = async () => {
      const told = event();
      epoll.modify(fd, Epoll.EPOLLOUT | Epoll.EPOLLONESHOT);
      await told;
    };
    return { check: arm, inFlight: arm };
  },
  'fs-ext': (load, directory) => {
    const { flockSync, seekSync, flock } = load('fs-ext');
    const path = `${directory}/locked`;
    const fd = openSync(path, 'w+');
    flockSync(fd, 'ex');
    let files = 0;
    return {
      check() {
        assert.equal(seekSync(fd, 5, 0), 5);
        const other = openSync(path, 'r');
        assert.throws(() => flockSync(other, 'exnb'), { code: 'EAGAIN' });
        closeSync(other);
      },
      async inFlight() {
        // A file for each: flock(2) is shared with a child, and would be held as long as the parent waits.
        const free = openSync(`${directory}/free.${files++}`, 'w');
        await new Promise((resolve, reject) => {
          flock(free, 'ex', (error) => (error ? reject(error) : resolve()));
        });
        closeSync(free);
      },
    };
  },
  'fd-lock': async (load, directory) => {
    const FDLock = load('fd-lock');
    const take = (path) => {
      const lock = new FDLock(openSync(path, 'w+'));
      return lock.ready().then(() => lock);
    };
    const path = `${directory}/locked`;
    const taken = await take(path);
    return {
      async check() {
        assert.ok(taken.locked);
        await assert.rejects(take(path));
      },
    };
  },
  '@serialport/bindings-cpp': async (load) => {
    const { LinuxBinding } = load('@serialport/bindings-cpp');
    const pair = async () => {
      const terminal = load('node-pty').open({});
      const port = await LinuxBinding.open({ path: terminal.ptsName, baudRate: 9600 });
      return { master: terminal.master, port };
    };
    const echo = async ({ master, port }) => {
      const message = Buffer.from(`${process.pid}.${Math.random()}`);
      const told = once(master, 'data');
      await port.write(message);
      assert.equal(`${(await told)[0]}`, `${message}`);
    };
    const before = await pair();
    return { check: () => echo(before), checkCopy: async () => echo(await pair()) };
  },
  usb: async (load) => {
    const { usb, getDeviceList } = load('usb');
    const known = getDeviceList().length;
    // Starts the thread that waits for what is plugged in.
    usb.on('attach', () => {});
    return { check: () => assert.equal(getDeviceList().length, known) };
  },
  'node-hid': async (load) => {
    const HID = load('node-hid');
    const known = HID.devices().length;
    return {
      check: () => assert.equal(HID.devices().length, known),
      async inFlight() {
        assert.equal((await HID.devicesAsync()).length, known);
      },
    };
  },
  'udx-native': async (load) => {
    const UDX = load('udx-native');
    const udx = new UDX();
    const bind = () => {
      const socket = udx.createSocket();
      socket.bind(0, '127.0.0.1');
      return socket;
    };
    const [one, other] = [bind(), bind()];
    const send = async (from, to) => {
      const message = `${process.pid}.${Math.random()}`;
      const got = new Promise((resolve) => to.once('message', resolve));
      await from.send(Buffer.from(message), to.address().port, '127.0.0.1');
      assert.equal(`${await got}`, message);
    };
    return {
      check: () => send(one, other),
      async checkCopy() {
        const own = [bind(), bind()];
        await send(...own);
        await Promise.all(own.map((socket) => socket.close()));
      },
    };
  },
  'utp-native': async (load) => {
    const utp = load('utp-native');
    const listen = async () => {
      const server = utp.createServer((socket) => socket.pipe(socket));
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    };
    const echo = async (server) => {
      const socket = utp.connect(server.address().port, '127.0.0.1');
      const message = `${process.pid}.${Math.random()}`;
      socket.write(message);
      assert.equal(`${(await once(socket, 'data'))[0]}`, message);
      socket.end();
    };
    const server = await listen();
    return {
      check: () => echo(server),
      checkCopy: async () => echo(await listen()),
    };
  },
  zeromq: async (load) => {
    const { Reply, Request } = load('zeromq');
    const pair = async (name) => {
      const reply = new Reply();
      await reply.bind(`inproc://${name}`);
      (async () => {
        for await (const [message] of reply) await reply.send(message);
      })().catch(() => {});
      const request = new Request();
      request.connect(`inproc://${name}`);
      return request;
    };
    const ask = async (request) => {
      const asked = `${process.pid}`;
      await request.send(asked);
      assert.equal(`${(await request.receive())[0]}`, asked);
    };
    const request = await pair('before');
    return { check: () => ask(request) };
  },
  'node-rdkafka': async (load) => {
    const kafka = load('node-rdkafka');
    // The library's own broker, for tests, with its thread.
    const producer = new kafka.Producer({
      'test.mock.num.brokers': 1,
      'metadata.broker.list': 'none:1',
      dr_cb: true,
    });
    producer.setPollInterval(20);
    await new Promise((resolve, reject) => {
      producer.once('ready', resolve).once('event.error', reject);
      producer.connect();
    });
    const produce = async () => {
      const report = once(producer, 'delivery-report');
      producer.produce('topic', null, Buffer.from(`${process.pid}`), null);
      const [error] = await report;
      assert.equal(error, null);
    };
    await produce();
    return { check: produce, inFlight: produce };
  },
  grpc: async (load) => {
    const grpc = load('grpc');
    const text = { write: (value) => Buffer.from(value), read: (bytes) => `${bytes}` };
    const echo = {
      path: '/service/echo',
      requestStream: false,
      responseStream: false,
      requestSerialize: text.write,
      requestDeserialize: text.read,
      responseSerialize: text.write,
      responseDeserialize: text.read,
    };
    const server = new grpc.Server();
    server.addService({ echo }, { echo: ({ request }, answer) => answer(null, request) });
    const port = server.bind('127.0.0.1:0', grpc.ServerCredentials.createInsecure());
    server.start();
    const Client = grpc.makeGenericClientConstructor({ echo });
    const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const ask = async () => {
      const asked = `${process.pid}`;
      const answer = await new Promise((resolve, reject) => {
        client.echo(asked, (error, value) => (error ? reject(error) : resolve(value)));
      });
      assert.equal(answer, asked);
    };
    return { check: ask, inFlight: ask };
  },
  '@roamhq/wrtc': async (load) => {
    const { RTCPeerConnection } = load('@roamhq/wrtc');
    const connect = async () => {
      const [one, other] = [new RTCPeerConnection(), new RTCPeerConnection()];
      one.onicecandidate = ({ candidate }) => candidate && other.addIceCandidate(candidate);
      other.onicecandidate = ({ candidate }) => candidate && one.addIceCandidate(candidate);
      const channel = one.createDataChannel('channel');
      other.ondatachannel = ({ channel: remote }) => {
        remote.onmessage = ({ data }) => remote.send(data);
      };
      const open = new Promise((resolve) => {
        channel.onopen = resolve;
      });
      await one.setLocalDescription(await one.createOffer());
      await other.setRemoteDescription(one.localDescription);
      await other.setLocalDescription(await other.createAnswer());
      await one.setRemoteDescription(other.localDescription);
      await open;
      return { channel, close: () => [one, other].map((it) => it.close()) };
    };
    const echo = async ({ channel }) => {
      const message = `${process.pid}.${Math.random()}`;
      const got = new Promise((resolve) => {
        channel.onmessage = ({ data }) => resolve(data);
      });
      channel.send(message);
      assert.equal(await got, message);
    };
    const before = await connect();
    return {
      check: () => echo(before),
      async checkCopy() {
        const own = await connect();
        await echo(own);
        own.close();
      },
      async inFlight() {
        const other = await connect();
        await echo(other);
        other.close();
      },
    };
  },
  keytar: async (load) => {
    const keytar = load('keytar');
    // Without a keyring there is an answer, too: an error.
    const answer = () => keytar.getPassword('service', 'account').then(String, String);
    const known = await answer();
    const check = async () => assert.equal(await answer(), known);
    return { check, inFlight: check };
  },
  oracledb: (load) => {
    const oracledb = load('oracledb');
    return {
      // Oracle's own libraries are not here: what looks for them is the addon.
      check: () => assert.throws(() => oracledb.initOracleClient(), /DPI-1047/),
    };
  },
  microtime: (load) => {
    const microtime = load('microtime');
    return { check: () => assert.ok(Math.abs(microtime.now() / 1000 - Date.now()) < 1000) };
  },
  '@vscode/spdlog': async (load, directory) => {
    const spdlog = load('@vscode/spdlog');
    const logger = await spdlog.createAsyncRotatingLogger('log', `${directory}/log`, 1e6, 2);
    return {
      check() {
        logger.info(`${process.pid} ${KEY}`);
        logger.flush();
      },
    };
  },
  deasync: (load) => {
    const deasync = load('deasync');
    return {
      check() {
        const later = deasync((callback) => setTimeout(callback, 5, null, 'later'));
        assert.equal(later(), 'later');
      },
    };
  },
};
