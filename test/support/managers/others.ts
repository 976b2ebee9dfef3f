// Managers and container inits other than systemd, each run for one program, in a pid namespace that ends
// with the test.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../folder.js';
import { killQuietly } from '../processes.js';
import { type Ended, launch } from '../program.js';
import type { Running } from '../running.js';
import { endWithTest } from './ending.js';

/** How a program is run under it. */
export interface Manager {
  /** Whether the program is started again and again, as it should not be here. */
  readonly name: string;
  /** Whether its program is installed. */
  readonly command: string;
  /** @returns a line of shell that runs it for this program, in the foreground, in a directory of its own */
  readonly line: (program: string, directory: string) => string;
}

/** A service's directory, as the descendants of daemontools have it. */
function service(directory: string, program: string): string {
  const path = join(directory, 'svc');
  mkdirSync(path);
  script(join(path, 'run'), `exec ${program}`);
  return path;
}

function script(path: string, text: string): void {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

export const MANAGERS = {
  s6: {
    name: 's6',
    command: 's6-supervise',
    line: (program, directory) => `exec s6-supervise ${service(directory, program)}`,
  },
  runit: {
    name: 'runit',
    command: 'runsv',
    line: (program, directory) => `exec runsv ${service(directory, program)}`,
  },
  daemontools: {
    name: 'daemontools',
    command: 'supervise',
    line: (program, directory) => `exec supervise ${service(directory, program)}`,
  },
  supervisord: {
    name: 'supervisord',
    command: 'supervisord',
    line: (program, directory) => {
      const conf = join(directory, 'supervisord.conf');
      writeFileSync(
        conf,
        `[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=${directory}/supervisord.pid\n` +
          `[unix_http_server]\nfile=${directory}/supervisor.sock\n` +
          '[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n' +
          `[supervisorctl]\nserverurl=unix://${directory}/supervisor.sock\n` +
          `[program:app]\ncommand=${program}\nstartsecs=0\n`,
      );
      return `exec supervisord -c ${conf}`;
    },
  },
  OpenRC: {
    name: 'OpenRC',
    command: 'supervise-daemon',
    line: (program, directory) => {
      const [command, ...args] = program.split(' ');
      return `mkdir -p /run/openrc/options /run/openrc/daemons; export RC_SVCNAME=app
        supervise-daemon app --start --pidfile ${directory}/app.pid ${command} -- ${args.join(' ')}; exec sleep infinity`;
    },
  },
  tini: { name: 'tini', command: 'tini', line: (program) => `exec tini -- ${program}` },
  'dumb-init': {
    name: 'dumb-init',
    command: 'dumb-init',
    line: (program) => `exec dumb-init -- ${program}`,
  },
  catatonit: {
    name: 'catatonit',
    command: 'catatonit',
    line: (program) => `exec catatonit -- ${program}`,
  },
  'process 1': { name: 'a container', command: 'env', line: (program) => `exec ${program}` },
} satisfies Record<string, Manager>;

export const isInstalled = (command: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;

/** A manager at work. */
export interface Managed {
  running: Running<Ended>;
  /** The directory of this run. */
  directory: string;
  /** Sends a signal to the process of `line`: process 1 of its pid namespace. */
  signalInit(signal: NodeJS.Signals): void;
}

/** Runs a program under a manager, until the test ends. */
export function manage(
  { line }: Manager,
  program: string,
  env: Record<string, string> = {},
): Managed {
  const directory = temporaryFolder();
  const running = launch(
    'unshare',
    [
      ...['--pid', '--mount', '--fork', '--mount-proc', '--kill-child=SIGKILL', 'bash', '-c'],
      `mount -t tmpfs -o mode=755 tmpfs /run; ${line(program, directory)}`,
    ],
    { env, cwd: directory },
  );
  endWithTest(async () => {
    killQuietly(running.pid);
    await running.exited;
  });
  const signalInit = (signal: NodeJS.Signals) => {
    const children = readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, 'utf8');
    process.kill(Number(children.trim()), signal);
  };
  return { running, directory, signalInit };
}
