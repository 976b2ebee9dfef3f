// What a line of a log says of itself: when, how bad, whose. Of pino, winston, the logger, and what has a time in front.

/** pino's levels, by the names that it and others give them. */
export const LEVELS: Readonly<Record<string, number>> = {
  trace: 10,
  silly: 10,
  debug: 20,
  verbose: 20,
  info: 30,
  http: 30,
  warn: 40,
  warning: 40,
  error: 50,
  fatal: 60,
  crit: 60,
};

export interface Line {
  text: string;
  /** ms since 1970; undefined: it does not say. */
  time: number | undefined;
  level: number | undefined;
  worker: number | undefined;
  /** If it is a JSON object. */
  fields: Readonly<Record<string, unknown>> | undefined;
}

/** The label of 1970 in TAI64, see native/logger/format.cc. */
const TAI64 = 4_611_686_018_427_387_914n;

export function parseLine(text: string): Line {
  const fields = objectIn(text);
  if (fields === undefined) {
    return { text, time: timeInFront(text), level: undefined, worker: undefined, fields };
  }
  const { worker } = fields;
  return {
    text,
    time: timeOf(fields.time ?? fields.timestamp ?? fields['@timestamp']),
    level: levelOf(fields.level),
    worker: typeof worker === 'number' ? worker : undefined,
    fields,
  };
}

/** A time may stand in front of it. */
function objectIn(text: string): Record<string, unknown> | undefined {
  const at = text.indexOf('{');
  if (at < 0 || (at > 0 && timeInFront(text) === undefined) || !text.trimEnd().endsWith('}')) {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(text.slice(at));
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function timeOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  const tai = timeInFront(`${value} `);
  return tai ?? valid(Date.parse(value));
}

function timeInFront(text: string): number | undefined {
  const iso = /^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)\]?\s/.exec(
    text,
  )?.[1];
  if (iso !== undefined) return valid(Date.parse(iso.replace(',', '.').replace(' ', 'T')));
  const [, seconds, nano] = /^@([0-9a-f]{16})([0-9a-f]{8}) /.exec(text) ?? [];
  if (seconds === undefined || nano === undefined) return undefined;
  return (
    Number(BigInt(`0x${seconds}`) - TAI64) * 1000 + Math.floor(Number.parseInt(nano, 16) / 1e6)
  );
}

const valid = (time: number): number | undefined => (Number.isNaN(time) ? undefined : time);

function levelOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? LEVELS[value.toLowerCase()] : undefined;
}
