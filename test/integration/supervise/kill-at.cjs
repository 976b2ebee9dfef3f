// Preloaded: kills a process just before or after a message goes from a keeper to an image or back. A
// file beside the control socket says which: { message, when, pid }, where pid 0 is the one that sends it. It is heeded once.

const fs = require('node:fs');
const { writeSync } = fs;
const file = `${process.env.CONTROL}.kill`;

/** @returns {{ message: string, when: 'before' | 'after', pid: number } | undefined} */
function order(text) {
  try {
    const found = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (!text.includes(`":"${found.message}"`)) return undefined;
    // Whoever takes it away is the one.
    fs.unlinkSync(file);
    return found;
  } catch {
    return undefined;
  }
}

fs.writeSync = (fd, data, ...others) => {
  const text = Buffer.isBuffer(data) ? data.toString() : '';
  const found = text.startsWith('{"v":1,') ? order(text) : undefined;
  const kill = () => process.kill(found.pid || process.pid, 'SIGKILL');
  if (found?.when === 'before') kill();
  const size = writeSync(fd, data, ...others);
  if (found?.when === 'after') kill();
  return size;
};
