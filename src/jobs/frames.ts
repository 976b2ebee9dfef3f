// What passes between a process and its copies: a kind, a length, and a value as structured clone
// writes it.

import { writeSync } from '../builtin/fs.js';

/** What a frame is. */
export type Kind =
  /** The function returned this. */
  | 'result'
  /** The function threw this. */
  | 'error'
  /** The function sent this while it runs. */
  | 'message'
  /** To a copy that takes jobs: the arguments of one. */
  | 'job';

const KINDS: readonly Kind[] = ['result', 'error', 'message', 'job'];

/** The kind, and the length of what follows in 6 bytes. */
const HEADER = 7;

/** One frame, and the value in it not yet read. */
export interface Frame {
  kind: Kind;
  body: Buffer;
}

/** A frame, whole. @throws DataCloneError for what cannot be cloned */
export function encode(kind: Kind, value: unknown): Buffer {
  const { DefaultSerializer } = v8();
  const serializer = new DefaultSerializer();
  // Room for what is known at the end, so that nothing is copied once more.
  serializer.writeRawBytes(Buffer.alloc(HEADER));
  serializer.writeHeader();
  serializer.writeValue(kind === 'error' ? describeError(value) : value);
  const frame = serializer.releaseBuffer();
  frame[0] = KINDS.indexOf(kind);
  frame.writeUIntLE(frame.length - HEADER, 1, HEADER - 1);
  return frame;
}

/** What follows the header, of an error. */
export const encodeError = (error: unknown): Buffer => encode('error', error).subarray(HEADER);

/** The value of a frame. */
export function decode({ kind, body }: Frame): unknown {
  const value = v8().deserialize(body);
  return kind === 'error' ? reviveError(value as ErrorRecord) : value;
}

/** Writes a frame to a descriptor that blocks. @throws EPIPE if nobody reads any more */
export function writeFrame(fd: number, frame: Buffer): void {
  for (let at = 0; at < frame.length; ) at += writeSync(fd, frame, at);
}

/** Puts frames together from what a pipe brings. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #size = 0;

  /** The frames that are whole now. */
  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const frames: Frame[] = [];
    for (let frame = this.#take(); frame !== undefined; frame = this.#take()) frames.push(frame);
    return frames;
  }

  #take(): Frame | undefined {
    if (this.#size < HEADER) return undefined;
    if (this.#chunks[0]!.length < HEADER) this.#join();
    const length = this.#chunks[0]!.readUIntLE(1, HEADER - 1);
    if (this.#size < HEADER + length) return undefined;
    // Not with every chunk: the bytes of a large value would be moved again and again.
    if (this.#chunks[0]!.length < HEADER + length) this.#join();
    const all = this.#chunks[0]!;
    const rest = all.subarray(HEADER + length);
    if (rest.length > 0) this.#chunks[0] = rest;
    else this.#chunks.shift();
    this.#size -= HEADER + length;
    return { kind: KINDS[all[0]!]!, body: all.subarray(HEADER, HEADER + length) };
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }
}

/** An error with what structured clone leaves out of one: its code, its class, its own properties. */
export interface ErrorRecord {
  /** false: something else was thrown. */
  isError: boolean;
  value?: unknown;
  name?: string;
  message?: string;
  stack?: string | undefined;
  cause?: ErrorRecord | undefined;
  errors?: ErrorRecord[] | undefined;
  properties?: Record<string, unknown>;
}

/** So deep a chain of causes is followed. */
const DEEPEST = 16;

/** An error as a value that can be cloned with all that it says. */
export function describeError(error: unknown, depth = 0): ErrorRecord {
  if (!(error instanceof Error)) return { isError: false, value: cloneable(error) };
  const { name, message, stack, cause } = error;
  const { errors } = error as { errors?: unknown };
  const properties: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(error)) {
    if (key !== 'cause' && key !== 'errors') properties[key] = cloneable(value);
  }
  const deeper = (inner: unknown) => describeError(inner, depth + 1);
  return {
    isError: true,
    name,
    message,
    stack,
    cause: 'cause' in error && depth < DEEPEST ? deeper(cause) : undefined,
    errors: Array.isArray(errors) && depth < DEEPEST ? errors.map(deeper) : undefined,
    properties,
  };
}

/** The value, or what can be said of it: an error must arrive whatever hangs on it. */
function cloneable(value: unknown): unknown {
  try {
    v8().serialize(value);
    return value;
  } catch {
    return process.getBuiltinModule('node:util').inspect(value);
  }
}

const CLASSES = {
  AggregateError,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** The error that was described. */
export function reviveError(record: ErrorRecord): unknown {
  if (!record.isError) return record.value;
  const { name, message, stack, cause, errors, properties } = record;
  const known = CLASSES[name as keyof typeof CLASSES];
  // Made by the constructor, so that inspect() and Error.isError() know it.
  const error = new Error();
  if (known !== undefined) Object.setPrototypeOf(error, known.prototype);
  Object.assign(error, properties);
  const own = (key: string, value: unknown) =>
    Object.defineProperty(error, key, { value, writable: true, configurable: true });
  own('message', message);
  own('stack', stack);
  if (known === undefined && name !== 'Error') own('name', name);
  if (cause !== undefined) own('cause', reviveError(cause));
  if (errors !== undefined) own('errors', errors.map(reviveError));
  return error;
}

/** Not imported: a program that forks no job has no use for it. */
const v8 = () => process.getBuiltinModule('node:v8');
