#include "fork/restart.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <climits>

#include "fork/arch.h"

// Newer than some headers.
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

namespace doublefork {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMillisecond = 1'000'000;

// Where a call's timeout is, and of what kind.
struct Timeout {
  enum Kind {
    kNotRestarted,  // a call that is not among them
    kNone,          // none, a point in time, a setting of the socket, or the kernel counts it down
    kMilliseconds,  // the argument itself
    kTimespec,      // the argument points to it
    kSleep,         // the same, and the next argument to where the kernel writes what is left
  };
  Kind kind;
  int argument = 0;
};

Timeout TimeoutOf(const Call& call) {
  switch (call.number) {
#ifdef SYS_poll
    case SYS_poll:
      return {Timeout::kMilliseconds, 2};
    case SYS_epoll_wait:
      return {Timeout::kMilliseconds, 3};
    case SYS_select:
    case SYS_pause:
    case SYS_accept:
#endif
#ifdef SYS_recv
    case SYS_recv:
    case SYS_send:
#endif
    case SYS_ppoll:     // The kernel writes what is left where the timeout was.
    case SYS_pselect6:  // The same.
    case SYS_rt_sigsuspend:
    case SYS_semop:
    case SYS_msgrcv:
    case SYS_msgsnd:
    case SYS_io_uring_enter:
    // SO_RCVTIMEO, SO_SNDTIMEO. Such a connect(2) goes on waiting.
    case SYS_accept4:
    case SYS_connect:
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
      return {Timeout::kNone};
    case SYS_epoll_pwait:
      return {Timeout::kMilliseconds, 3};
    case SYS_epoll_pwait2:
    case SYS_semtimedop:
      return {Timeout::kTimespec, 3};
    case SYS_rt_sigtimedwait:
      return {Timeout::kTimespec, 2};
    case SYS_io_getevents:
#ifdef SYS_io_pgetevents
    case SYS_io_pgetevents:
#endif
      return {Timeout::kTimespec, 4};
    case SYS_nanosleep:
      return {Timeout::kSleep, 0};
    case SYS_clock_nanosleep:
      if ((call.arguments[1] & TIMER_ABSTIME) != 0) return {Timeout::kNone};
      return {Timeout::kSleep, 2};
    case SYS_futex:
      switch (call.arguments[1] & FUTEX_CMD_MASK) {
        case FUTEX_WAIT:
          return {Timeout::kTimespec, 3};
        case FUTEX_WAIT_BITSET:
          return {Timeout::kNone};
        default:
          return {Timeout::kNotRestarted};
      }
    default:
      return {Timeout::kNotRestarted};
  }
}

// What a thread waits for since a freeze has interrupted it, for the next one. That shortens the
// timeout further, and does not begin from the start: a program that forks often would let nobody
// sleep to the end.
struct Wait {
  const char* thread;  // its thread pointer, which is the same in a copy
  // As the thread issues it again. The kernel does not tell if the next look at the thread finds it
  // on its way there.
  Call again;
  uintptr_t pc;
  uintptr_t sp;
  int64_t end;         // CLOCK_MONOTONIC, in ns
  int milliseconds;    // the argument, or
  timespec remaining;  // what it points to
};

// A thread may read its entry at any time: none is given back or moved.
struct Waits {
  static constexpr size_t kCount = 100;
  Wait waits[kCount];
  Waits* next;
};
Waits* waits = nullptr;

bool IsListed(const char* thread_pointer) {
  for (const Thread& thread : threads) {
    if (thread.IsFrozen() && thread.thread_pointer == thread_pointer) return true;
  }
  return false;
}

// The thread's own. Null: it has none.
Wait* FindWait(const Thread& thread) {
  for (Waits* block = waits; block != nullptr; block = block->next) {
    for (Wait& wait : block->waits) {
      if (wait.thread == thread.thread_pointer) return &wait;
    }
  }
  return nullptr;
}

// One of a thread that is no more, or of none yet. Null if there is no memory.
Wait* FindUnusedWait() {
  for (Waits* block = waits; block != nullptr; block = block->next) {
    for (Wait& wait : block->waits) {
      if (wait.thread == nullptr || !IsListed(wait.thread)) return &wait;
    }
  }
  const long address = arch::Syscall(SYS_mmap, 0, sizeof(Waits), PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address < 0) return nullptr;
  auto* const block = reinterpret_cast<Waits*>(address);
  block->next = waits;
  waits = block;
  return &block->waits[0];
}

// The thread's own, or a new one. Null if there is no memory.
Wait* WaitOf(const Thread& thread) {
  if (Wait* const own = FindWait(thread); own != nullptr) return own;
  Wait* const wait = FindUnusedWait();
  if (wait == nullptr) return nullptr;
  *wait = {};
  wait->thread = thread.thread_pointer;
  return wait;
}

int64_t Now() {
  timespec now = {};
  arch::Syscall(SYS_clock_gettime, CLOCK_MONOTONIC, reinterpret_cast<long>(&now));
  return now.tv_sec * kSecond + now.tv_nsec;
}

// The argument that stands for what is left of `nanoseconds`, which began now unless `goes_on`.
int64_t Remaining(Wait& wait, const Thread& thread, bool goes_on, int64_t nanoseconds) {
  const int64_t now = Now();
  if (!goes_on) wait.end = nanoseconds > INT64_MAX - now ? INT64_MAX : now + nanoseconds;
  wait.pc = thread.call.pc;
  wait.sp = thread.call.sp;
  return std::max<int64_t>(wait.end - now, 0);
}

void Shorten(Thread& thread, int argument) {
  const int given = static_cast<int>(thread.call.arguments[argument]);
  Wait* const wait = given <= 0 ? nullptr : WaitOf(thread);
  if (wait == nullptr) return;
  const bool goes_on =
      wait->milliseconds == given && wait->pc == thread.call.pc && wait->sp == thread.call.sp;
  const int64_t left = Remaining(*wait, thread, goes_on, given * kMillisecond);
  int milliseconds = static_cast<int>((left + kMillisecond - 1) / kMillisecond);
  // Another number than the program's own, by which the wait is known again.
  if (!goes_on && milliseconds == given) milliseconds += given == INT_MAX ? -1 : 1;
  wait->milliseconds = milliseconds;
  arch::SetArgument(*thread.context, argument, milliseconds);
}

void ShortenTimespec(Thread& thread, int argument) {
  const auto* const given = reinterpret_cast<const timespec*>(thread.call.arguments[argument]);
  Wait* const wait = given == nullptr ? nullptr : WaitOf(thread);
  if (wait == nullptr) return;
  const int64_t nanoseconds =
      given->tv_sec >= INT64_MAX / kSecond ? INT64_MAX : given->tv_sec * kSecond + given->tv_nsec;
  const int64_t left = Remaining(*wait, thread, given == &wait->remaining, nanoseconds);
  wait->remaining = {static_cast<time_t>(left / kSecond), static_cast<long>(left % kSecond)};
  arch::SetArgument(*thread.context, argument, reinterpret_cast<long>(&wait->remaining));
}

// Whether the thread was stopped behind the call in which it was seen to sleep.
bool IsBehind(const Thread& thread, const unsigned char* after) {
  return thread.call.pc == reinterpret_cast<uintptr_t>(after) &&
         thread.call.sp == arch::StackPointer(*thread.context);
}

// A process that has given up privileges cannot read how its threads sleep (prctl(2),
// PR_SET_DUMPABLE), and a thread may have gone to sleep between that look and the signal.
void ReadCallFromRegisters(Thread& thread, const unsigned char* pc) {
  thread.call.number = Call::kNone;
  if (!arch::kKeepsArguments || !arch::ShowsEntry(*thread.context, pc)) return;
  thread.call.number = arch::NumberOfCallBefore(*thread.context);
  for (int i = 0; i < 6; ++i) thread.call.arguments[i] = arch::Argument(*thread.context, i);
  thread.call.sp = arch::StackPointer(*thread.context);
  thread.call.pc = reinterpret_cast<uintptr_t>(pc);
}

// A thread that an earlier freeze has sent back into its call is known by the registers: those that
// the call leaves alone are as they were then.
void RecallCall(Thread& thread, const unsigned char* pc) {
  const Wait* const wait = FindWait(thread);
  thread.call.number = Call::kNone;
  if (wait == nullptr || wait->again.number == Call::kNone) return;
  if (!arch::ShowsEntry(*thread.context, pc)) return;
  if (wait->again.pc != reinterpret_cast<uintptr_t>(pc) ||
      wait->again.sp != arch::StackPointer(*thread.context)) {
    return;
  }
  for (int i = arch::kKeepsArguments ? 0 : 1; i < 6; ++i) {
    if (wait->again.arguments[i] != arch::Argument(*thread.context, i)) return;
  }
  thread.call = wait->again;
}

// For RecallCall().
void NoteIssuedAgain(const Thread& thread) {
  Wait* const wait = WaitOf(thread);
  if (wait == nullptr) return;
  wait->again = thread.call;
  for (int i = arch::kKeepsArguments ? 0 : 1; i < 6; ++i) {
    wait->again.arguments[i] = arch::Argument(*thread.context, i);
  }
}

}  // namespace

bool HasEnteredCall(const Thread& thread) {
  const arch::Interrupted at = arch::InterruptedAt(*thread.context);
  const bool restarts = arch::IsSyscall(at.pc);
  const unsigned char* const after = restarts ? at.pc + arch::kSyscallSize : at.pc;
  if (!arch::ShowsEntry(*thread.context, after)) return false;
  if (!threads.TellsCalls()) return true;
  return thread.call.number != Call::kNone && IsBehind(thread, after) &&
         (!restarts || thread.call.number == at.number_or_result);
}

void SettleCall(Thread& thread) {
  if (thread.settled || !thread.IsFrozen()) return;
  thread.settled = true;
  const arch::Interrupted at = arch::InterruptedAt(*thread.context);
  // At a call: it restarts.
  if (arch::IsSyscall(at.pc) || at.number_or_result != -EINTR ||
      !arch::IsSyscall(at.pc - arch::kSyscallSize)) {
    return;
  }
  if (thread.call.number == Call::kNone || !IsBehind(thread, at.pc)) {
    ReadCallFromRegisters(thread, at.pc);
    if (thread.call.number == Call::kNone) RecallCall(thread, at.pc);
  }
  // EINTR must be the result of the call that the thread slept in.
  if (thread.call.number == Call::kNone || !IsBehind(thread, at.pc)) return;
  const Timeout timeout = TimeoutOf(thread.call);
  if (timeout.kind == Timeout::kNotRestarted) return;
  arch::IssueAgain(*thread.context, thread.call.number, thread.call.arguments[0]);
  switch (timeout.kind) {
    case Timeout::kMilliseconds:
      Shorten(thread, timeout.argument);
      break;
    case Timeout::kSleep:
      if (const long left = thread.call.arguments[timeout.argument + 1]; left != 0) {
        arch::SetArgument(*thread.context, timeout.argument, left);
        break;
      }
      [[fallthrough]];
    case Timeout::kTimespec:
      ShortenTimespec(thread, timeout.argument);
      break;
    case Timeout::kNone:
    case Timeout::kNotRestarted:
      break;
  }
  NoteIssuedAgain(thread);
}

}  // namespace doublefork
