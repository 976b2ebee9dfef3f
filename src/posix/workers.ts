// The Workers of worker_threads that are in a forked process as they were in its parent.

/**
 * Gives them the id of the process that they are in now: each has cached process.pid when it started.
 * From outside of a Worker only the inspector reaches into it; what it evaluates runs before anything
 * else that the Worker is about to do in JavaScript.
 */
export function tellWorkers(pid: number): void {
  const { moduleLoadList } = process as { moduleLoadList?: readonly string[] };
  if (moduleLoadList?.includes('NativeModule worker_threads') === false) return;
  try {
    tell(pid, `(${tell})`);
  } catch (error) {
    const { message } = error as Error;
    process.emitWarning(`process.pid in Workers is that of the parent process: ${message}`, {
      code: 'DOUBLEFORK_WORKER_PID',
    });
  }
}

/**
 * Runs in each Worker, too, for the Workers of that: it must not use anything from outside.
 * @param self its own source
 */
function tell(pid: number, self: string): void {
  const { Session } = process.getBuiltinModule('node:inspector');
  const session = new Session();
  session.connect();
  const workers: string[] = [];
  // Those that are there already are told of before post() returns.
  session.on('NodeWorker.attachedToWorker', ({ params }) => workers.push(params.sessionId));
  session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  const define = `Object.defineProperty(process, 'pid', { value: ${pid}, enumerable: true, configurable: true })`;
  const expression = `${define}; ${self}(${pid}, ${JSON.stringify(self)})`;
  const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
  for (const sessionId of workers) {
    session.post('NodeWorker.sendMessageToWorker', { sessionId, message });
  }
  session.disconnect();
}
