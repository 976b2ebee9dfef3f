// Tells somebody of one alarm, and ends: see alarms.ts. Its arguments are the hook and the alarm, as JSON.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Alarm, type AlarmHook, PATIENCE } from './alarms.js';

const { hook, alarm } = JSON.parse(process.argv[2]!) as { hook: AlarmHook; alarm: Alarm };

/** It may not be read: a command ends as it likes. */
async function run([program, ...args]: readonly string[]): Promise<void> {
  const child = spawn(program!, args, {
    stdio: ['pipe', 'inherit', 'inherit'],
    env: {
      ...process.env,
      DOUBLEFORK_ALARM: alarm.event,
      DOUBLEFORK_ALARM_MESSAGE: alarm.message,
    },
  });
  child.stdin!.on('error', () => {});
  child.stdin!.end(`${JSON.stringify(alarm)}\n`);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (code !== 0) throw new Error(`${program} ended with ${signal ?? `code ${code}`}`);
}

async function post(url: string): Promise<void> {
  const { ok, status } = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(alarm),
    signal: AbortSignal.timeout(PATIENCE),
  });
  if (!ok) throw new Error(`${new URL(url).host} answered with ${status}`);
}

async function call(url: string): Promise<void> {
  const module = (await import(url)) as { default?: unknown };
  if (typeof module.default !== 'function')
    throw new Error(`${url} exports no function as default`);
  await module.default(alarm);
}

const timer = setTimeout(() => fail(new Error(`not done within ${PATIENCE / 1000} s`)), PATIENCE);

function fail(error: unknown): void {
  process.stderr.write(`doublefork: the alarm "${alarm.message}" was told to nobody: ${error}\n`);
  process.exit(1);
}

const told =
  hook.kind === 'command' ? run(hook.argv) : hook.kind === 'http' ? post(hook.url) : call(hook.url);
told.then(() => {
  clearTimeout(timer);
  process.exit(0);
}, fail);
