// The Workers of worker_threads that are in a forked process as they were in its parent.

/**
 * Gives them the id of the process that they are in now: each has cached process.pid when it started.
 * From outside of a Worker only the inspector reaches into it; what it evaluates runs before anything
 * else that the Worker is about to do in JavaScript.
 */
export function tellWorkers(pid: number): void {
  if (!mayHaveWorkers()) return;
  const define = `Object.defineProperty(process, 'pid', { value: ${pid}, enumerable: true, configurable: true })`;
  try {
    evaluate(define, `(${evaluate})`);
  } catch (error) {
    const { message } = error as Error;
    process.emitWarning(`process.pid in Workers is that of the parent process: ${message}`, {
      code: 'DOUBLEFORK_WORKER_PID',
    });
  }
}

/** Has them wait for ever, each as soon as it is about to run JavaScript. @throws if there is no inspector */
export function stopWorkers(): void {
  if (!mayHaveWorkers()) return;
  evaluate('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)', `(${evaluate})`);
}

/** Loads what {@link stopWorkers} needs, if there may be any: here once, and not in every copy. */
export function prepareToStopWorkers(): void {
  if (mayHaveWorkers()) process.getBuiltinModule('node:inspector');
}

function mayHaveWorkers(): boolean {
  const { moduleLoadList } = process as { moduleLoadList?: readonly string[] };
  return moduleLoadList?.includes('NativeModule worker_threads') !== false;
}

/**
 * Has each Worker run code. This function runs in each of them, too, for the Workers of that: it must not
 * use anything from outside.
 * @param self its own source
 */
function evaluate(code: string, self: string): void {
  const { Session } = process.getBuiltinModule('node:inspector');
  const session = new Session();
  session.connect();
  const workers: string[] = [];
  // Those that are there already are told of before post() returns.
  session.on('NodeWorker.attachedToWorker', ({ params }) => workers.push(params.sessionId));
  session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  const expression = `${self}(${JSON.stringify(code)}, ${JSON.stringify(self)}); ${code}`;
  const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
  for (const sessionId of workers) {
    session.post('NodeWorker.sendMessageToWorker', { sessionId, message });
  }
  session.disconnect();
}
