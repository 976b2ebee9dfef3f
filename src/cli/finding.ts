// A line of what doublefork doctor says, and those that need nothing but Node.

import { release } from '../builtin/os.js';

export interface Finding {
  what: string;
  /** fact: neither good nor bad. */
  verdict: 'ok' | 'warning' | 'failed' | 'fact';
  detail: string;
}

export const fact = (what: string, detail: string): Finding => ({ what, verdict: 'fact', detail });

export function system(): Finding[] {
  return [
    fact('kernel', `${process.platform} ${release()}`),
    fact('libc', libc()),
    fact('node', `${process.version} ${process.arch}, ${process.execPath}`),
  ];
}

function libc(): string {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  if (header.glibcVersionRuntime !== undefined) return `glibc ${header.glibcVersionRuntime}`;
  return process.platform === 'linux' ? 'not glibc (musl?)' : 'of the system';
}
