// Makes the process as large as MEGABYTES says, with small objects that stay alive, as a program's
// own data would.

const target = Number(process.env.MEGABYTES) * 2 ** 20;
const kept = [];

export function fill() {
  for (let id = 0; process.memoryUsage.rss() < target; ) {
    for (const end = id + 5000; id < end; id++) kept.push({ id, name: `object ${id}`, tags: [id] });
  }
  return kept;
}

/**
 * Waits until V8's helpers are done with what fill() gave them to compile and to collect. A fork waits
 * for work in flight, some 2 ms here; a bare clone does not, and its child would hang.
 */
export async function rest() {
  for (let busy = true; busy; ) {
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { user, system } = process.cpuUsage(before);
    busy = user + system > 2000;
  }
}
