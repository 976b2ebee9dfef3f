// Which lines of logs are wanted, and how they look on a terminal.

import { InvalidArgumentError } from 'commander';
import colors from 'picocolors';
import { LEVELS, type Line } from '../logs/lines.js';
import { clean } from './output.js';

export interface Wanted {
  since?: number;
  until?: number;
  grep?: RegExp;
  level?: number;
  worker?: number;
}

const UNITS: Readonly<Record<string, number>> = {
  s: 1e3,
  m: 6e4,
  min: 6e4,
  h: 36e5,
  d: 864e5,
};

/** `10min`: so long ago; else a date and time as JavaScript reads them, local unless it says where. */
export function moment(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?(s|min|m|h|d)(?: ago)?$/.exec(text) ?? [];
  if (unit !== undefined) return Date.now() - Number(amount) * UNITS[unit]!;
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00`) : Date.parse(text);
  if (!Number.isNaN(time)) return time;
  throw new InvalidArgumentError(
    'It must be a time, such as 2026-11-25T14:30, or how long ago: 30s, 10min, 2h, 1d.',
  );
}

export function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError(`It must be a regular expression: ${(error as Error).message}.`);
  }
}

export function level(text: string): number {
  const number = LEVELS[text.toLowerCase()] ?? (/^\d+$/.test(text) ? Number(text) : undefined);
  if (number !== undefined) return number;
  throw new InvalidArgumentError(`It must be one of ${Object.keys(LEVELS).join(', ')}.`);
}

/** Whether all lines are wanted. */
export const isAll = (wanted: Wanted): boolean =>
  Object.values(wanted).every((each) => each === undefined);

/** @param time its own, or that of the line before; undefined: nobody knows, and it is not left out for that */
export function isWanted(line: Line, time: number | undefined, wanted: Wanted): boolean {
  const { since, until, grep } = wanted;
  if (time !== undefined && since !== undefined && time < since) return false;
  if (time !== undefined && until !== undefined && time > until) return false;
  if (wanted.level !== undefined && (line.level ?? -1) < wanted.level) return false;
  if (wanted.worker !== undefined && line.worker !== wanted.worker) return false;
  return grep === undefined || grep.test(line.text);
}

const SHOWN_APART = new Set([
  'time',
  'timestamp',
  'level',
  'msg',
  'message',
  'pid',
  'hostname',
  'name',
  'worker',
  'generation',
  'stack',
  'err',
]);

const NAMES: readonly [number, string, (text: string) => string][] = [
  [60, 'FATAL', colors.bgRed],
  [50, 'ERROR', colors.red],
  [40, 'WARN', colors.yellow],
  [30, 'INFO', colors.green],
  [20, 'DEBUG', colors.blue],
  [0, 'TRACE', colors.gray],
];

/** A line of JSON for people; any other one as it is. */
export function readable({ text, fields, time, level }: Line): string {
  if (fields === undefined) return text;
  const [, name, colour] = NAMES.find(([least]) => (level ?? 30) >= least)!;
  const when = time === undefined ? '' : `${colors.dim(clock(time))} `;
  const worker = fields.worker === undefined ? '' : `/${clean(String(fields.worker))}`;
  const who = clean(String(fields.name ?? fields.service ?? fields.pid ?? ''));
  const what = clean(String(fields.msg ?? fields.message ?? ''));
  const rest = Object.entries(fields)
    .filter(([key]) => !SHOWN_APART.has(key))
    .map(([key, value]) => `${colors.dim(`${clean(key)}=`)}${clean(JSON.stringify(value))}`);
  const stack = (fields.err as { stack?: unknown } | undefined)?.stack ?? fields.stack;
  const trace =
    typeof stack === 'string'
      ? stack
          .split('\n')
          .map((each) => `\n    ${clean(each)}`)
          .join('')
      : '';
  const head = level === undefined ? '' : `${colour(name.padEnd(5))} `;
  const from = who === '' && worker === '' ? '' : `${colors.dim(`(${who}${worker})`)} `;
  return `${when}${head}${from}${[what, ...rest].join(' ')}${trace}`;
}

function clock(time: number): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return '';
  const two = (number: number) => String(number).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}
