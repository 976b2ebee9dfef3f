// Preloaded: kills a process just before or after one of the two in a handover says something. The file of $KILL says
// which: { message, when, pid }, where pid 0 is the one that says it. It is heeded once.

const fs = require('node:fs');
const { writeSync } = fs;

/** @returns {{ message: string, when: 'before' | 'after', pid: number } | undefined} */
function order(text) {
  try {
    const found = JSON.parse(fs.readFileSync(process.env.KILL, 'utf8'));
    if (text !== `${found.message}\n` && !text.startsWith(`{"word":"${found.message}"`))
      return undefined;
    // Whoever takes it away is the one.
    fs.unlinkSync(process.env.KILL);
    return found;
  } catch {
    return undefined;
  }
}

fs.writeSync = (fd, data, ...others) => {
  const text = data.toString();
  const found = /^(\{"word":|take\n$|go\n$)/.test(text) ? order(text) : undefined;
  const kill = () => process.kill(found.pid || process.pid, 'SIGKILL');
  if (found?.when === 'before') kill();
  const size = writeSync(fd, data, ...others);
  if (found?.when === 'after') kill();
  return size;
};
