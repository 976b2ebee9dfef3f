// Brings the threads of the parent to life in its child.
#ifndef DOUBLEFORK_FORK_REVIVE_H_
#define DOUBLEFORK_FORK_REVIVE_H_

#include "fork/reason.h"

namespace doublefork {

// For the thread that was cloned, before anything else: what the kernel does not pass on to a
// child.
void RegisterOwnThread(void* robust_list, unsigned long robust_list_size);

// The opposite, for a thread whose memory is another process's from now on: the kernel writes there
// no more, neither while it runs nor when it ends.
void UnregisterOwnThread();

// Which threads do not go on with the new process. Helpers always do: those of V8 and libuv that
// sleep until they are given work, which JavaScript needs.
enum class HeldThreads {
  kNone,
  // For a copy that is for one thing only. What was in the midst of something waits for
  // ReleaseThreads(), so that JavaScript can first see to the Workers among them; and a thread that
  // waits for an event loop of its own, as a Worker does, is not made: its timers would go off in
  // two processes.
  kForCopy,
  // For a process that is not to be the program yet: all of them wait for ReleaseThreads().
  kForSpare,
};

// Makes a thread of this process for each that Freeze recorded. False, with the reason, when the
// kernel refuses one; the process is of no use then.
//
// They go on at OpenGate(), but for those that are held.
bool CreateThreads(HeldThreads held, Reason& reason);

// Has the calling thread, and so the process, a name that tells whoever lists processes what it
// waits for, until ReleaseThreads().
void NameSpare();

// They go on from the system calls in which they were interrupted.
void OpenGate();

// The rest of them.
void ReleaseThreads();

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_REVIVE_H_
