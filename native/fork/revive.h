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

// Makes a thread of this process for each that Freeze recorded. False, with the reason, when the
// kernel refuses one; the process is of no use then.
bool CreateThreads(Reason& reason);

// They go on from the system calls in which they were interrupted.
void OpenGate();

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_REVIVE_H_
