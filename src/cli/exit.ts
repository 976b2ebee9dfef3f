// Exit codes: those of sh(1) for programs that do not run, of LSB for the rest.

const OF_CODE: Readonly<Record<string, number>> = { ENOENT: 127, EACCES: 126, ENOTSUP: 126 };

export const EXIT = {
  ok: 0,
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** Of an error. */
  of(error: unknown): number {
    const { code, syscall } = error as NodeJS.ErrnoException;
    return (syscall === 'execve' && code !== undefined && OF_CODE[code]) || EXIT.failed;
  },
};
