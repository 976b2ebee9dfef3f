// futex(2) by raw system calls, on words that only this process uses.
#ifndef DOUBLEFORK_FORK_FUTEX_H_
#define DOUBLEFORK_FORK_FUTEX_H_

#include <linux/futex.h>
#include <time.h>

#include <atomic>

#include "fork/arch.h"

namespace doublefork {

// Sleeps while the word has that value. 0 or -errno; it may wake without cause.
inline long FutexWait(std::atomic<int>& word, int value, const timespec* timeout = nullptr) {
  return arch::Syscall(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAIT_PRIVATE, value,
                       reinterpret_cast<long>(timeout));
}

inline void FutexWake(std::atomic<int>& word, int waiters = 1) {
  arch::Syscall(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAKE_PRIVATE, waiters);
}

inline void Pause(long nanoseconds) {
  const timespec pause = {0, nanoseconds};
  arch::Syscall(SYS_nanosleep, reinterpret_cast<long>(&pause), 0);
}

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_FUTEX_H_
