// Config files of others, as ours: pm2's ecosystem files and Procfiles.

import type { AppConfig } from './index.js';

/** What was made of one, and what could not be. */
export interface Imported {
  apps: Record<string, AppConfig>;
  /** A sentence each. */
  left: string[];
}

/** A key of theirs: what it is here, or why it is nothing. */
type Rule = (value: unknown, app: AppConfig, source: Record<string, unknown>) => string | undefined;

const copied =
  (key: keyof AppConfig): Rule =>
  (value, app) => {
    Object.assign(app, { [key]: value });
    return undefined;
  };

const dropped =
  (why: string): Rule =>
  () =>
    why;

const words = (value: unknown): string[] =>
  Array.isArray(value) ? value.map(String) : split(String(value));

/** As a shell does it, without its variables. */
const split = (text: string): string[] =>
  [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c!);

/** pm2 takes milliseconds, or a text such as "1h". */
const milliseconds =
  (key: 'minUptime' | 'stopTimeout' | 'timeout'): Rule =>
  (value, app) => {
    if (typeof value === 'number' || /^\d+$/.test(String(value))) app[key] = `${value} ms`;
    else app[key] = String(value).replace(/m$/, ' min');
    return undefined;
  };

const PM2: Readonly<Record<string, Rule>> = {
  name: copied('name'),
  script: (value, app) => {
    const text = String(value);
    app.program = /\.[cm]?[jt]s$/.test(text) && !text.includes('/') ? `./${text}` : text;
    return undefined;
  },
  args: (value, app) => {
    app.args = [...(app.args ?? []), ...words(value)];
    return undefined;
  },
  cwd: copied('cwd'),
  env: copied('env'),
  env_file: copied('envFile'),
  uid: copied('user'),
  user: copied('user'),
  gid: copied('group'),
  namespace: copied('namespace'),
  pid_file: copied('pidfile'),
  log_file: copied('log'),
  out_file: (value, app) => {
    app.log ??= String(value);
    return undefined;
  },
  error_file: (value, _, source) =>
    value === source.out_file || value === source.log_file
      ? undefined
      : 'standard output and error go to one log here',
  instances: (value, app) => {
    const count = Number(value);
    if (Number.isInteger(count) && count > 0) app.workers = count;
    return app.workers === undefined
      ? 'how many processors there are is not asked for here; write a number as workers'
      : undefined;
  },
  exec_mode: (value) =>
    String(value).startsWith('cluster')
      ? 'workers share a port only if the program calls listen() and supervise() of doublefork itself'
      : undefined,
  autorestart: (value, app) => {
    app.restart = value === false ? 'never' : 'always';
    return undefined;
  },
  max_restarts: (value, app) => {
    app.maxFailures = Number(value);
    return undefined;
  },
  min_uptime: milliseconds('minUptime'),
  kill_timeout: milliseconds('stopTimeout'),
  listen_timeout: milliseconds('timeout'),
  restart_delay: (value, app) => {
    app.backoff = { initial: `${value} ms`, factor: 1 };
    return undefined;
  },
  exp_backoff_restart_delay: (value, app) => {
    app.backoff = { initial: `${value} ms`, factor: 1.5, max: '15 s' };
    return undefined;
  },
  max_memory_restart: (value, app) => {
    app.memoryLimit = typeof value === 'number' ? `${Math.ceil(value / 1024)}K` : String(value);
    return undefined;
  },
  interpreter: (value, app) => {
    if (value === 'none' || value === 'node') return undefined;
    app.args = [app.program!, ...(app.args ?? [])];
    app.program = String(value);
    return undefined;
  },
  wait_ready: (value) =>
    value === true
      ? "it sends 'ready' to its parent; have it call daemon.ready(), or write READY=1 to $NOTIFY_SOCKET, and say ready: notify"
      : undefined,
  watch: (value) => (value === false ? undefined : 'files are not watched here'),
  cron_restart: dropped(
    'nothing is restarted by the clock here; use cron(8) with doublefork restart',
  ),
  merge_logs: () => undefined,
  time: dropped('lines of the log get no time here'),
};

/** The order in which keys are looked at: an interpreter goes before the program and its arguments. */
const rank = (key: string): number => ['script', 'args', 'interpreter'].indexOf(key);

/** @param ecosystem what an ecosystem file of pm2 exports */
export function fromEcosystem(ecosystem: unknown): Imported {
  const { apps = ecosystem, ...others } = (ecosystem ?? {}) as Record<string, unknown>;
  const result: Imported = { apps: {}, left: [] };
  for (const key of Object.keys(Array.isArray(ecosystem) ? {} : others)) {
    if (apps !== ecosystem) result.left.push(`${key}: there is nothing like it here`);
  }
  for (const [index, source] of [apps].flat().entries()) {
    const app: AppConfig = { restart: 'always' };
    const keys = Object.keys(source as object).sort((a, b) => rank(a) - rank(b));
    const name = String((source as { name?: unknown }).name ?? `app${index + 1}`);
    for (const key of keys) {
      const rule = key.startsWith('env_') && key !== 'env_file' ? ofEnvironment(key) : PM2[key];
      const value = (source as Record<string, unknown>)[key];
      const why =
        rule === undefined
          ? 'there is nothing like it here'
          : rule(value, app, source as Record<string, unknown>);
      if (why !== undefined) result.left.push(`${name}.${key}: ${why}`);
    }
    delete app.name;
    result.apps[name] = app;
  }
  return result;
}

const ofEnvironment = (key: string): Rule =>
  dropped(`an app has one environment here; write ${key.slice(4)} as a file for envFile`);

/** @param text of a Procfile: `web: node server.js --port 80` */
export function fromProcfile(text: string): Imported {
  const result: Imported = { apps: {}, left: [] };
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, name, command] = /^([A-Za-z0-9_-]+):\s*(.+)$/.exec(line) ?? [];
    if (name === undefined) result.left.push(`line ${index + 1}: it is no "name: command"`);
    // A shell is needed for what only a shell understands.
    else if (/[$&|;<>()`*?~=]/.test(command!)) {
      result.apps[name] = { program: 'sh', args: ['-c', `exec ${command}`], restart: 'always' };
      if (/[&|;]/.test(command!)) {
        result.apps[name]!.args = ['-c', command!];
      }
    } else {
      const [program, ...args] = split(command!);
      result.apps[name] = { program: program!, args, restart: 'always' };
    }
  }
  return result;
}
