// The files of a log: the one that is written, and those that it was rotated to, by the logger or by logrotate(8).

import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from '../builtin/fs.js';
import { basename, dirname, join } from '../builtin/path.js';

/** app.log.20261125T224130.123456Z, app.log.1, app.log-20261125; each also with .gz. */
const ROTATED = /^(\.\d{8}T\d{6}\.\d{6}Z|\.\d+|-\d{8}(-?\d+)?)(\.gz)?$/;

/** The files that a log was rotated to, newest first. */
export function archivesOf(path: string): string[] {
  const name = basename(path);
  const directory = dirname(path);
  const names = readdirSync(directory).filter(
    (each) => each.startsWith(name) && ROTATED.test(each.slice(name.length)),
  );
  const all = new Set(names);
  return (
    names
      // Half compressed: the whole one is still there.
      .filter((each) => !(each.endsWith('.gz') && all.has(each.slice(0, -'.gz'.length))))
      .map((each) => ({ file: join(directory, each), time: timeOf(join(directory, each)) }))
      .sort((a, b) => b.time - a.time || (a.file < b.file ? 1 : -1))
      .map(({ file }) => file)
  );
}

/** The last change of its content: compression keeps it. 0: it is gone meanwhile. */
const timeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const CHUNK = 65_536;

/**
 * The lines of a file, without their ends. A last one that has no end is one, too.
 * @param length of it; default: all
 */
export function* linesOf(file: string, length = Number.POSITIVE_INFINITY): Generator<string> {
  let rest = Buffer.alloc(0);
  for (const chunk of chunksOf(file, length)) {
    let from = 0;
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      yield bytes.toString('utf8', from, end);
      from = end + 1;
    }
    rest = Buffer.from(bytes.subarray(from));
  }
  if (rest.length > 0) yield rest.toString('utf8');
}

function* chunksOf(file: string, length: number): Generator<Buffer> {
  if (file.endsWith('.gz')) {
    const { gunzipSync } = process.getBuiltinModule('node:zlib');
    yield gunzipSync(readFileSync(file));
    return;
  }
  const fd = openSync(file, 'r');
  try {
    for (let left = length; left > 0; ) {
      const buffer = Buffer.alloc(Math.min(CHUNK, left));
      const size = readSync(fd, buffer, 0, buffer.length, null);
      if (size === 0) return;
      left -= size;
      yield buffer.subarray(0, size);
    }
  } finally {
    closeSync(fd);
  }
}
