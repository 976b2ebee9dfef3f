#include "fork/stop_signal.h"

#include <errno.h>
#include <sys/resource.h>

#include "fork/arch.h"
#include "fork/futex.h"
#include "fork/restart.h"
#include "fork/revive.h"

namespace doublefork {
namespace {

// SIGSETXID, libc's own: the one signal that it lets no thread block. Threads that sigfillset their
// mask, as Node's inspector thread does, are reached by it all the same.
constexpr int kSignal = 33;
constexpr size_t kSignalSetSize = 8;  // the kernel's sigset_t, not libc's

// What the handler may need below its frame.
constexpr size_t kHandlerRoom = 2048;

constexpr long kPauseNanoseconds = 200'000;

struct KernelSigaction {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;

  bool IsHandler() const {
    const auto value = reinterpret_cast<uintptr_t>(handler);
    return value != reinterpret_cast<uintptr_t>(SIG_DFL) &&
           value != reinterpret_cast<uintptr_t>(SIG_IGN);
  }
};

KernelSigaction old_action = {};

std::atomic<int> answers{0};  // futex: how many threads have frozen so far

// What frozen threads do before they go on, and how many have still to do it (futex).
struct {
  void (*action)(const void*) = nullptr;
  const void* argument = nullptr;
  std::atomic<int> left{0};
} errand;

bool ending = false;  // they do not go on at all

void Record(Thread& thread, const siginfo_t* info, ucontext_t* context, char* frame) {
  thread.info = info;
  thread.context = context;
  thread.stack =
      reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(frame) - kHandlerRoom) & ~uintptr_t{63});
  thread.thread_pointer = arch::ThreadPointer();
  thread.tid_address = TidAddress(thread.thread_pointer);
  arch::Syscall(SYS_get_robust_list, 0, reinterpret_cast<long>(&thread.robust_list),
                reinterpret_cast<long>(&thread.robust_list_size));
  // The raw call gives 20 - nice, so that no good result is negative.
  thread.nice = 20 - static_cast<int>(arch::Syscall(SYS_getpriority, PRIO_PROCESS, 0));
  thread.policy.Read(0);
  thread.affinity_size = arch::Syscall(SYS_sched_getaffinity, 0, sizeof thread.affinity,
                                       reinterpret_cast<long>(thread.affinity));
}

void RunErrand() {
  if (errand.action == nullptr) return;
  const int old = errno;
  errand.action(errand.argument);
  errno = old;
  errand.left.fetch_sub(1);
  FutexWake(errand.left);
}

// The end of a thread whose stack another process goes on with.
[[noreturn]] void Leave(Thread& thread) {
  UnregisterOwnThread();
  arch::Syscall(SYS_set_tid_address, reinterpret_cast<long>(&thread.alive));
  arch::Syscall(SYS_exit, 0);
  __builtin_unreachable();
}

// What libc sends has si_code SI_TKILL, and its handler passes over all else: so a signal of ours
// that comes through after the handler was put back does no harm.
siginfo_t Mark() {
  siginfo_t info = {};
  info.si_signo = kSignal;
  info.si_code = SI_QUEUE;
  info.si_value.sival_ptr = &threads;
  return info;
}

bool IsOurs(const siginfo_t& info) {
  return info.si_code == SI_QUEUE && info.si_value.sival_ptr == &threads;
}

// A thread that is stopped for good has libc's handler run on top of this one: setuid(3) waits for
// the answer of every thread that there is.
void AllowOwnSignal() {
  const uint64_t own = uint64_t{1} << (kSignal - 1);
  arch::Syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, reinterpret_cast<long>(&own), 0, kSignalSetSize);
}

// Runs on every other thread, on its own stack, with all signals masked. Only raw system calls: the
// thread may be anywhere, inside malloc too, and its errno is not ours.
void Handler(int number, siginfo_t* info, void* context) {
  if (!IsOurs(*info)) {  // libc's setuid(3), which waits until each thread has answered.
    if (old_action.IsHandler()) old_action.handler(number, info, context);
    return;
  }
  const pid_t tid = static_cast<pid_t>(arch::Syscall(SYS_gettid));
  for (Thread& thread : threads) {
    int signalled = Thread::kSignalled;
    if (thread.tid != tid || !thread.state.compare_exchange_strong(signalled, Thread::kAnswering)) {
      continue;
    }
    int ticket = thread.ticket.load();
    Record(thread, info, static_cast<ucontext_t*>(context),
           static_cast<char*>(__builtin_frame_address(0)));
    thread.state.store(Thread::kFrozen);
    answers.fetch_add(1);
    FutexWake(answers);
    for (;;) {
      while (thread.ticket.load() == ticket) FutexWait(thread.ticket, ticket);
      if (!thread.kept) break;
      ticket = thread.ticket.load();
      AllowOwnSignal();
    }
    if (ending) Leave(thread);
    RunErrand();
    return;
  }
  // Nobody waits for this thread: the freeze gave up before the signal came through.
}

bool AnyOwesAnswer() {
  for (const Thread& thread : threads) {
    if (thread.OwesAnswer()) return true;
  }
  return false;
}

}  // namespace

BlockedSignals::BlockedSignals() {
  const uint64_t all = ~uint64_t{0};
  arch::Syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&all),
                reinterpret_cast<long>(&old_), kSignalSetSize);
}

BlockedSignals::~BlockedSignals() {
  arch::Syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&old_), 0, kSignalSetSize);
}

namespace stop_signal {

bool InstallHandler() {
  // SA_ONSTACK, as libc's own has it: Go's goroutines run on stacks too small for a signal frame.
  const KernelSigaction action = {Handler,
                                  SA_SIGINFO | SA_RESTART | SA_ONSTACK | arch::kRestorerFlag,
                                  arch::Restorer(), ~uint64_t{0}};
  // Known before it is replaced: libc may use the signal at any moment.
  KernelSigaction old;
  arch::Syscall(SYS_rt_sigaction, kSignal, 0, reinterpret_cast<long>(&old), kSignalSetSize);
  if (old.handler == Handler) return true;
  old_action = old;
  return arch::Syscall(SYS_rt_sigaction, kSignal, reinterpret_cast<long>(&action), 0,
                       kSignalSetSize) >= 0;
}

void RestoreHandler() {
  arch::Syscall(SYS_rt_sigaction, kSignal, reinterpret_cast<long>(&old_action), 0, kSignalSetSize);
}

int Send(Thread& thread) {
  thread.settled = false;
  thread.state.store(Thread::kSignalled);
  const siginfo_t info = Mark();
  const long error = arch::Syscall(SYS_rt_tgsigqueueinfo, arch::Syscall(SYS_getpid), thread.tid,
                                   kSignal, reinterpret_cast<long>(&info));
  if (error >= 0) return 0;
  if (error == -ESRCH) {
    thread.state.store(Thread::kGone);
    return 0;
  }
  thread.state.store(Thread::kRunning);
  return error == -EAGAIN ? -ENOBUFS : -ENOTSUP;
}

void AwaitAnswers() {
  const timespec timeout = {0, 1'000'000};
  while (AnyOwesAnswer()) {
    const int now = answers.load();
    if (!AnyOwesAnswer() || FutexWait(answers, now, &timeout) == -ETIMEDOUT) return;
  }
}

void Release(Thread& thread) {
  SettleCall(thread);
  thread.state.store(Thread::kRunning);
  thread.ticket.fetch_add(1);
  FutexWake(thread.ticket);
}

void Keep(Thread& thread) {
  thread.kept = true;
  thread.ticket.fetch_add(1);  // It takes notice of that, and waits on.
  FutexWake(thread.ticket);
}

void ReleaseAll() {
  for (Thread& thread : threads) {
    int signalled = Thread::kSignalled;
    if (thread.state.compare_exchange_strong(signalled, Thread::kRunning)) continue;
    while (thread.state.load() == Thread::kAnswering) Pause(kPauseNanoseconds);
    if (thread.IsFrozen() && !thread.kept) Release(thread);
  }
}

void ReleaseAllAfter(void (*action)(const void*), const void* argument) {
  int frozen = 0;
  for (const Thread& thread : FrozenThreads()) frozen += thread.kept ? 0 : 1;
  errand.left.store(frozen);
  errand.argument = argument;
  errand.action = action;
  ReleaseAll();
  for (int left = errand.left.load(); left > 0; left = errand.left.load()) {
    FutexWait(errand.left, left);
  }
  errand.action = nullptr;
}

void EndAll() {
  ending = true;
  for (Thread& thread : FrozenThreads()) {
    thread.alive.store(1);
    thread.ticket.fetch_add(1);
    FutexWake(thread.ticket);
  }
  for (Thread& thread : FrozenThreads()) {
    while (thread.alive.load() != 0) {
      // Not a private futex: it is the kernel that wakes.
      arch::Syscall(SYS_futex, reinterpret_cast<long>(&thread.alive), FUTEX_WAIT, 1, 0);
    }
  }
}

void ForgetEnding() { ending = false; }

}  // namespace stop_signal
}  // namespace doublefork
