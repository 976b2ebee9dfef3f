// Whether a frozen thread is at a place from which a copy of it can go on.
#ifndef DOUBLEFORK_FORK_QUIESCENCE_H_
#define DOUBLEFORK_FORK_QUIESCENCE_H_

#include <poll.h>

#include "fork/threads.h"

namespace doublefork {

// Whether the signal interrupted a blocking system call. Why it matters: a thread stopped in the
// midst of its work may hold a recursive mutex (V8's stack guard has one). Such a mutex remembers
// its owner's thread id, the copy of that thread has another, and nobody could ever unlock it:
// without this check one double fork in 200 under load hung for ever.
bool IsQuiescent(const Thread& thread);

// Whether it rests where threads wait for work: in an event loop, or until another thread wakes it.
bool AwaitsWork(const Thread& thread);

// A helper of V8's or of libuv's, without work: only another thread of this process can wake it. (A
// wait with a time-out is not restarted.)
//
// Such a thread must not stay frozen if the calling one is to run JavaScript: a collection wakes
// helpers, and glibc (up to 2.40) has pthread_cond_signal(3) wait until those that were woken
// before have left their wait. A supervisor hung there for ever after half a minute.
bool SleepsUntilWoken(const Thread& thread);

// Whether it rests in an event loop of its own.
bool WaitsForEvents(const Thread& thread);

// What it waits for in poll(2): the array, of `count`; nothing if it rests elsewhere.
const pollfd* PolledBy(const Thread& thread, unsigned long& count);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_QUIESCENCE_H_
