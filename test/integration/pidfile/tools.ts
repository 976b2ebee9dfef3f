/** How often to begin anew. The full load is the default suite's: tools/matrix.mjs. */
export const ROUNDS = Number(process.env.DOUBLEFORK_LOAD ?? 500) / 10;

/** In front of the programs: end(pid, file) kills a daemon and waits until its lock is gone. */
export const TOOLS = `
  const { Pidfile } = doublefork;
  const [, dir] = process.argv;
  const pause = () => posix.poll([], 1);
  const stay = () => { for (;;) posix.poll([], 60_000); };
  const end = (pid, file) => {
    posix.kill(pid, 'SIGKILL');
    while (Pidfile.inspect(file).state !== 'stale') pause();
  };
`;
