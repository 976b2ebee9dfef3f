// System calls that the kernel does not issue again after a signal handler.
#ifndef DOUBLEFORK_FORK_RESTART_H_
#define DOUBLEFORK_FORK_RESTART_H_

#include "fork/threads.h"

namespace doublefork {

// poll(2), nanosleep(2) and their like give EINTR after any handler, whatever SA_RESTART says:
// signal(7), "Interruption of system calls and library functions by signal handlers". The signal
// that freezes is none of the program's, and code that has no handlers takes EINTR for the end. So
// the call of a frozen thread is set up to be issued again, for the time that is left of its
// timeout: about as long as it has slept already is added once, where the kernel does not tell how
// long that was.
void SettleCall(Thread& thread);

// Whether the thread has entered the call behind which it was stopped. True as well where it cannot
// be known: where neither a register nor the kernel tells.
bool HasEnteredCall(const Thread& thread);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_RESTART_H_
