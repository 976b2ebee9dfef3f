/** How often to begin anew. The full load is the default suite's: tools/matrix.mjs. */
export declare const ROUNDS: number;
/** In front of the programs: end(pid, file) kills a daemon and waits until its lock is gone. */
export declare const TOOLS = "\n  const { Pidfile } = doublefork;\n  const [, dir] = process.argv;\n  const pause = () => posix.poll([], 1);\n  const stay = () => { for (;;) posix.poll([], 60_000); };\n  const end = (pid, file) => {\n    posix.kill(pid, 'SIGKILL');\n    while (Pidfile.inspect(file).state !== 'stale') pause();\n  };\n";
