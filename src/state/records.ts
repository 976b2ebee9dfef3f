// Records in a journal's file: the length, a checksum, the bytes.

import { outOfRange } from '../posix/errors.js';

/** Length and CRC-32, four bytes each, little-endian. */
const HEADER = 8;
/** The longest record, in bytes. */
export const LONGEST_RECORD = 2 ** 31 - 1;

/** A record as it is written. The checksum is that of length and bytes: zeros are no record. */
export function frame(bytes: Uint8Array): readonly [header: Buffer, bytes: Uint8Array] {
  if (bytes.length > LONGEST_RECORD) {
    throw outOfRange('record', `at most ${LONGEST_RECORD} bytes`, `${bytes.length} bytes`);
  }
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(bytes.length);
  header.writeUInt32LE(checksum(header.subarray(0, 4), bytes), 4);
  return [header, bytes];
}

/** A record, and where the next one begins. */
interface Found {
  bytes: Buffer;
  end: number;
}

/** @returns undefined: there is none that is whole at that place */
function recordAt(file: Buffer, at: number): Found | undefined {
  if (at + HEADER > file.length) return undefined;
  const length = file.readUInt32LE(at);
  const end = at + HEADER + length;
  if (end > file.length) return undefined;
  const bytes = file.subarray(at + HEADER, end);
  if (file.readUInt32LE(at + 4) !== checksum(file.subarray(at, at + 4), bytes)) return undefined;
  return { bytes, end };
}

/**
 * Calls a function with each record, in order, up to the first that is not whole.
 * @returns where that begins; the length of the file: all are whole
 */
export function readRecords(file: Buffer, each: (bytes: Buffer) => void): number {
  let at = 0;
  for (let found = recordAt(file, at); found !== undefined; found = recordAt(file, at)) {
    each(found.bytes);
    at = found.end;
  }
  return at;
}

/** Never 0 of an empty record: its header would be eight zeros, which a file may end with. */
function checksum(length: Uint8Array, bytes: Uint8Array): number {
  const { crc32 } = process.getBuiltinModule('node:zlib') as unknown as {
    crc32: (data: Uint8Array, value?: number) => number;
  };
  return crc32(bytes, crc32(length, SEED));
}

const SEED = 0x64666f72;
