// Who has the app run, and how each is told that there is a new version.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { ControlClient } from '../../dist/supervise/control-client.js';

const run = promisify(execFile);
const node = process.execPath;

/**
 * @typedef {object} Service
 * @property {() => Promise<boolean>} reload settles when it says that it is done; false: it said that it failed
 * @property {(() => Promise<void>)=} rollback
 * @property {() => Promise<void>} stop
 * @property {number=} pid
 */

/**
 * @typedef {object} Place
 * @property {string} directory with the app, its release and its key
 * @property {NodeJS.ProcessEnv} env
 * @property {{ http: number, https: number, http2: number }} ports
 * @property {string} version
 */

/** @type {Record<string, (place: Place) => Promise<Service>>} */
export const peers = {
  async doublefork({ directory, env }) {
    const CONTROL = join(directory, 'control');
    const child = start(['app-doublefork.mjs'], directory, { ...env, CONTROL });
    /** @template T @param {(client: ControlClient) => Promise<T>} question */
    const ask = async (question) => {
      const client = await ControlClient.connect(CONTROL);
      return await question(client).finally(() => client.close());
    };
    return {
      pid: child.pid,
      reload: () =>
        ask((client) => client.reload()).then(
          () => true,
          ({ message }) => {
            if (!/broken|nowhere|SyntaxError|before it served/.test(message)) console.log(message);
            return false;
          },
        ),
      rollback: () => ask((client) => client.rollback()),
      status: () => ask((client) => client.status()),
      stop: () => end(child, 'SIGTERM'),
    };
  },

  async 'node:cluster'({ directory, env }) {
    const child = start(['cluster.mjs'], directory, env);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await lines.next();
    return {
      async reload() {
        child.kill('SIGHUP');
        return (await lines.next()).value === 'ok';
      },
      stop: () => end(child, 'SIGKILL'),
    };
  },

  async pm2({ directory, env }) {
    const cli = join(directory, 'node_modules/pm2/bin/pm2');
    const PM2_HOME = join(directory, 'pm2');
    const file = join(directory, 'pm2.config.json');
    const app = {
      name: 'app',
      script: 'app-plain.mjs',
      instances: Number(env.WORKERS),
      exec_mode: 'cluster',
      wait_ready: true,
      listen_timeout: 10_000,
      kill_timeout: 10_000,
    };
    writeFileSync(file, JSON.stringify({ apps: [app] }));
    const pm2 = (...args) =>
      run(node, [cli, ...args], { cwd: directory, env: { ...env, PM2_HOME } });
    await pm2('start', file);
    return {
      reload: () =>
        pm2('reload', 'app').then(
          () => true,
          () => false,
        ),
      stop: async () => void (await pm2('kill')),
    };
  },

  async nginx({ directory, ports, env, version }) {
    const prefix = join(directory, 'nginx');
    mkdirSync(join(prefix, 'logs'), { recursive: true });
    const configure = (version) =>
      writeFileSync(join(prefix, 'nginx.conf'), nginxConfig(version, ports, env.TLS));
    configure(version);
    const child = spawn('nginx', ['-p', prefix, '-c', 'nginx.conf'], { stdio: 'ignore' });
    return {
      configure,
      async reload() {
        // It is done as soon as the signal is sent.
        await run('nginx', ['-p', prefix, '-c', 'nginx.conf', '-s', 'reload']);
        return true;
      },
      stop: () => end(child, 'SIGTERM'),
    };
  },
};

const nginxConfig = (version, ports, tls) => `
  daemon off; worker_processes 2; pid nginx.pid; error_log logs/error.log;
  events { worker_connections 1024; }
  http {
    access_log off; keepalive_timeout 60; keepalive_requests 1000000;
    ssl_certificate ${tls}cert.pem; ssl_certificate_key ${tls}key.pem;
    server { listen 127.0.0.1:${ports.http}; location / { return 200 "${version}"; } }
    server { listen 127.0.0.1:${ports.https} ssl; location / { return 200 "${version}"; } }
    server { listen 127.0.0.1:${ports.http2} http2; location / { return 200 "${version}"; } }
  }`;

function start(args, cwd, env) {
  const errors = openSync(join(cwd, 'stderr'), 'a');
  return spawn(node, args, { cwd, env, stdio: ['ignore', 'pipe', errors] });
}

async function end(child, signal) {
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}
