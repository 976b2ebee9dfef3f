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
