#include "fork/quiescence.h"

#include <errno.h>
#include <linux/futex.h>

#include <atomic>

#include "fork/arch.h"
#include "fork/restart.h"

namespace doublefork {
namespace {

// Nobody may have woken it since it was stopped: a Worker that waits for helpers in the midst of a
// collection holds a recursive mutex, and rests only as long as they still work.
bool StillWaits(const arch::Interrupted& at) {
  const long operation = at.arguments[1] & FUTEX_CMD_MASK;
  if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET) return false;
  const auto* const word = reinterpret_cast<const std::atomic<int>*>(at.arguments[0]);
  return word->load() == static_cast<int>(at.arguments[2]);
}

// A system call in which a thread can rest for ever, and that therefore it makes while it holds
// nothing which is meant to be held briefly. A thread at the door of any other call (futex wake,
// mprotect) may hold libc's or V8's locks. Only where the kernel does not tell that the thread
// slept.
bool IsBlockingCall(long number) {
  switch (number) {
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
    case SYS_poll:
    case SYS_select:
    case SYS_pause:
    case SYS_open:
    case SYS_accept:
#endif
    case SYS_epoll_pwait:
    case SYS_ppoll:
    case SYS_pselect6:
    case SYS_openat:
    case SYS_accept4:
    case SYS_connect:
    case SYS_read:
    case SYS_readv:
    case SYS_pread64:
    case SYS_preadv:
    case SYS_preadv2:
    case SYS_write:
    case SYS_writev:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_pwritev2:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_sendfile:
    case SYS_splice:
    case SYS_tee:
    case SYS_wait4:
    case SYS_waitid:
    case SYS_flock:
    case SYS_fcntl:
    case SYS_io_uring_enter:
    case SYS_io_getevents:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_msgrcv:
    case SYS_msgsnd:
    case SYS_mq_timedreceive:
    case SYS_mq_timedsend:
    case SYS_rt_sigtimedwait:
    case SYS_rt_sigsuspend:
    case SYS_clock_nanosleep:
    case SYS_nanosleep:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool IsQuiescent(const Thread& thread) {
  const arch::Interrupted at = arch::InterruptedAt(*thread.context);
  // The kernel moved the program counter back, to issue the call again after the handler
  // (SA_RESTART).
  if (arch::IsSyscall(at.pc)) {
    if (!HasEnteredCall(thread)) return false;
    if (at.number_or_result == SYS_futex) return StillWaits(at);
    return threads.TellsCalls() || IsBlockingCall(at.number_or_result);
  }
  // A call that is not restarted gave EINTR, and one that SettleCall() does not know.
  return at.number_or_result == -EINTR && arch::IsSyscall(at.pc - arch::kSyscallSize) &&
         HasEnteredCall(thread);
}

bool AwaitsWork(const Thread& thread) {
  const arch::Interrupted at = arch::InterruptedAt(*thread.context);
  const long number =
      arch::IsSyscall(at.pc) ? at.number_or_result : arch::NumberOfCallBefore(*thread.context);
#ifdef SYS_epoll_wait
  if (number == SYS_epoll_wait) return true;
#endif
  return number == SYS_futex || number == SYS_epoll_pwait;
}

bool SleepsUntilWoken(const Thread& thread) {
  const arch::Interrupted at = arch::InterruptedAt(*thread.context);
  return arch::IsSyscall(at.pc) && at.number_or_result == SYS_futex;
}

bool WaitsForEvents(const Thread& thread) {
  const arch::Interrupted at = arch::InterruptedAt(*thread.context);
  if (!arch::IsSyscall(at.pc)) return false;
#ifdef SYS_epoll_wait
  if (at.number_or_result == SYS_epoll_wait) return true;
#endif
  return at.number_or_result == SYS_epoll_pwait;
}

const pollfd* PolledBy(const Thread& thread, unsigned long& count) {
  const arch::Interrupted at = arch::InterruptedAt(*thread.context);
  bool polls = at.number_or_result == SYS_ppoll;
#ifdef SYS_poll
  polls = polls || at.number_or_result == SYS_poll;
#endif
  count = polls && arch::IsSyscall(at.pc) ? static_cast<unsigned long>(at.arguments[1]) : 0;
  return reinterpret_cast<const pollfd*>(at.arguments[0]);
}

}  // namespace doublefork
