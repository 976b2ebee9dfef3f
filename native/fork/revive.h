// Brings the threads of the parent to life in its child.
#ifndef DOUBLEFORK_FORK_REVIVE_H_
#define DOUBLEFORK_FORK_REVIVE_H_

#include "fork/reason.h"

namespace doublefork {

// For the thread that was cloned, before anything else: what the kernel does not pass on to a
// child.
void RegisterOwnThread(void* robust_list, unsigned long robust_list_size);

// Each thread that Freeze recorded goes on in this process from the system call in which it was
// interrupted. False, with the reason, when the kernel refuses one; the process is of no use then.
bool ReviveThreads(Reason& reason);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_REVIVE_H_
