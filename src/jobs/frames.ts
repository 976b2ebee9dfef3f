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

/** How much is read at once, of frames whose length is not known yet. In bytes. */
const CHUNK = 65_536;

/** What is read of any pipe, and taken out of here before the next is. */
let chunk: Buffer | undefined;

/** Puts frames together from what a pipe brings. */
export class FrameReader {
  /** The beginning of a header. */
  #rest = Buffer.alloc(0);
  /** One that is longer than what has come of it, and how much that is. */
  #partial: (Frame & { filled: number }) | undefined;

  /** Where the next bytes are to go: a large body is read into its place. */
  room(): Buffer {
    if (this.#partial !== undefined) return this.#partial.body.subarray(this.#partial.filled);
    chunk ??= Buffer.allocUnsafeSlow(CHUNK);
    return chunk.subarray(this.#rest.copy(chunk));
  }

  /** The frames that are whole now. @param size how many bytes have just come into {@link room} */
  take(size: number): Frame[] {
    if (this.#partial !== undefined) {
      const { kind, body } = this.#partial;
      this.#partial.filled += size;
      if (this.#partial.filled < body.length) return [];
      this.#partial = undefined;
      return [{ kind, body }];
    }
    const frames: Frame[] = [];
    const end = this.#rest.length + size;
    let at = 0;
    while (end - at >= HEADER) {
      const kind = KINDS[chunk![at]!]!;
      const length = chunk!.readUIntLE(at + 1, HEADER - 1);
      const from = at + HEADER;
      const body = Buffer.allocUnsafe(length);
      const filled = chunk!.copy(body, 0, from, Math.min(from + length, end));
      at = from + filled;
      if (filled < length) this.#partial = { kind, body, filled };
      else frames.push({ kind, body });
    }
    this.#rest = Buffer.from(chunk!.subarray(at, end));
    return frames;
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
