#include "fork/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "fork/arch.h"
#include "fork/proc.h"
#include "fork/revive.h"
#include "syscalls/clock.h"

namespace doublefork {
namespace {

// SIGSETXID, libc's own: the one signal that it lets no thread block. Threads that sigfillset their
// mask, as Node's inspector thread does, are reached by it all the same.
constexpr int kSignal = 33;
constexpr size_t kSignalSetSize = 8;  // the kernel's sigset_t, not libc's

// A thread answers the signal as soon as the scheduler lets it, and the kernel: not in the midst of
// a write to a slow disk, for example. One that ends instead is no longer there; one that does
// neither blocks the signal by a raw system call. However little time is left, each gets this long.
constexpr int kLeastAnswerMs = 100;

// A thread that has not quiesced gets this long before it is stopped again.
constexpr long kPauseNanoseconds = 200'000;
// So many rounds later the others are let go too: the straggler may spin on what one of them holds.
constexpr int kRoundsBeforeThaw = 32;

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

// One table for the life of the process, reachable from a signal handler. It is never given back: a
// thread may be on its way out of the handler long after the thaw.
struct Table {
  Thread* threads = nullptr;
  size_t capacity = 0;
  std::atomic<size_t> size{0};
  std::atomic<int> entered{0};  // futex: how many have frozen so far
  std::atomic<int> unread{0};   // futex: how many entries revived threads have still to read
  long tid_offset = 0;          // of the thread id, from the thread pointer
  // What frozen threads do before they go on, and how many have still to do it (futex).
  void (*action)(const void*) = nullptr;
  const void* argument = nullptr;
  std::atomic<int> acting{0};
  bool dismissed = false;  // they do not go on at all
  bool kept = false;
  KernelSigaction old_action = {};
} table;

long FutexWait(std::atomic<int>& word, int value, const timespec* timeout) {
  return arch::Syscall(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAIT_PRIVATE, value,
                       reinterpret_cast<long>(timeout));
}

void FutexWake(std::atomic<int>& word) {
  arch::Syscall(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAKE_PRIVATE, 1);
}

void Pause(long nanoseconds) {
  const timespec pause = {0, nanoseconds};
  arch::Syscall(SYS_nanosleep, reinterpret_cast<long>(&pause), 0);
}

// What the handler may need below its frame.
constexpr size_t kHandlerRoom = 2048;

void Record(Thread& thread, const siginfo_t* info, const ucontext_t* context, char* frame) {
  thread.info = info;
  thread.context = context;
  thread.stack =
      reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(frame) - kHandlerRoom) & ~uintptr_t{63});
  thread.thread_pointer = arch::ThreadPointer();
  thread.tid_address = reinterpret_cast<int*>(thread.thread_pointer + table.tid_offset);
  arch::Syscall(SYS_get_robust_list, 0, reinterpret_cast<long>(&thread.robust_list),
                reinterpret_cast<long>(&thread.robust_list_size));
  // The raw call gives 20 - nice, so that no good result is negative.
  thread.nice = 20 - static_cast<int>(arch::Syscall(SYS_getpriority, PRIO_PROCESS, 0));
  thread.affinity_size = arch::Syscall(SYS_sched_getaffinity, 0, sizeof thread.affinity,
                                       reinterpret_cast<long>(thread.affinity));
}

void Act() {
  if (table.action == nullptr) return;
  const int old = errno;
  table.action(table.argument);
  errno = old;
  table.acting.fetch_sub(1);
  FutexWake(table.acting);
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
long Signal(pid_t process, pid_t tid) {
  siginfo_t info = {};
  info.si_signo = kSignal;
  info.si_code = SI_QUEUE;
  info.si_value.sival_ptr = &table;
  return arch::Syscall(SYS_rt_tgsigqueueinfo, process, tid, kSignal, reinterpret_cast<long>(&info));
}

bool IsOurs(const siginfo_t& info) {
  return info.si_code == SI_QUEUE && info.si_value.sival_ptr == &table;
}

// Runs on every other thread, on its own stack, with all signals masked. Only raw system calls: the
// thread may be anywhere, inside malloc too, and its errno is not ours.
void Handler(int number, siginfo_t* info, void* context) {
  if (!IsOurs(*info)) {  // libc's setuid(3), which waits until each thread has answered.
    if (table.old_action.IsHandler()) table.old_action.handler(number, info, context);
    return;
  }
  const pid_t tid = static_cast<pid_t>(arch::Syscall(SYS_gettid));
  const size_t size = table.size.load(std::memory_order_acquire);
  for (size_t i = 0; i < size; ++i) {
    Thread& thread = table.threads[i];
    int signalled = Thread::kSignalled;
    if (thread.tid != tid || !thread.state.compare_exchange_strong(signalled, Thread::kAnswering)) {
      continue;
    }
    const int ticket = thread.ticket.load();
    Record(thread, info, static_cast<const ucontext_t*>(context),
           static_cast<char*>(__builtin_frame_address(0)));
    thread.state.store(Thread::kFrozen);
    table.entered.fetch_add(1);
    FutexWake(table.entered);
    while (thread.ticket.load() == ticket) FutexWait(thread.ticket, ticket, nullptr);
    if (table.dismissed) Leave(thread);
    Act();
    return;
  }
  // Nobody waits for this thread: the freeze gave up before the signal came through.
}

void Release(Thread& thread) {
  thread.state.store(Thread::kRunning);
  thread.ticket.fetch_add(1);
  FutexWake(thread.ticket);
}

void ReleaseAll() {
  for (Thread* thread = FrozenBegin(); thread != FrozenEnd(); ++thread) {
    // One that has not answered yet is to find that nobody waits for it.
    int signalled = Thread::kSignalled;
    if (thread->state.compare_exchange_strong(signalled, Thread::kRunning)) continue;
    while (thread->state.load() == Thread::kAnswering) Pause(kPauseNanoseconds);
    if (thread->state.load() == Thread::kFrozen && !thread->kept) Release(*thread);
  }
}

bool InstallHandler() {
  const KernelSigaction action = {Handler, SA_SIGINFO | SA_RESTART | arch::kRestorerFlag,
                                  arch::Restorer(), ~uint64_t{0}};
  // Known before it is replaced: libc may use the signal at any moment.
  KernelSigaction old;
  arch::Syscall(SYS_rt_sigaction, kSignal, 0, reinterpret_cast<long>(&old), kSignalSetSize);
  if (old.handler == Handler) return true;
  table.old_action = old;
  return arch::Syscall(SYS_rt_sigaction, kSignal, reinterpret_cast<long>(&action), 0,
                       kSignalSetSize) >= 0;
}

void RestoreHandler() {
  arch::Syscall(SYS_rt_sigaction, kSignal, reinterpret_cast<long>(&table.old_action), 0,
                kSignalSetSize);
}

// Where the thread id is kept, as a distance from the thread pointer: the same for every thread of
// one libc. PR_GET_TID_ADDRESS needs a kernel with checkpoint support, and user-mode emulation
// answers it for itself, so its word is checked and the control block searched otherwise.
bool FindTidOffset(int*& address) {
  char* const pointer = arch::ThreadPointer();
  const int tid = static_cast<int>(arch::Syscall(SYS_gettid));
  if (table.tid_offset != 0) {
    address = reinterpret_cast<int*>(pointer + table.tid_offset);
    if (*address == tid) return true;
  }
  int* told = nullptr;
  arch::Syscall(SYS_prctl, PR_GET_TID_ADDRESS, reinterpret_cast<long>(&told));
  const long distance = reinterpret_cast<char*>(told) - pointer;
  if (told != nullptr && distance >= arch::kControlBlockFirst &&
      distance < arch::kControlBlockLast && *told == tid) {
    address = told;
    table.tid_offset = distance;
    return true;
  }
  for (long at = arch::kControlBlockFirst; at < arch::kControlBlockLast; at += sizeof(int)) {
    if (*reinterpret_cast<int*>(pointer + at) != tid) continue;
    address = reinterpret_cast<int*>(pointer + at);
    table.tid_offset = at;
    return true;
  }
  return false;
}

void ReadName(int folder, pid_t tid, char (&name)[16]) {
  const proc::Text<32> path("", tid, "/comm");
  const long length = proc::ReadFile(path.get(), name, sizeof name, folder);
  name[length > 0 && name[length - 1] == '\n' ? length - 1 : length < 0 ? 0 : length] = '\0';
}

// The list of threads in /proc does not tell: while one ends the kernel passes over another that
// lives (about once in 2000 times when several end).
bool HasEnded(pid_t process, pid_t tid) {
  return arch::Syscall(SYS_tgkill, process, tid, 0) == -ESRCH;
}

// Brings the table up to date with the kernel's list of threads and signals the new ones. How many
// have come or ended since the last time, or -errno.
int SignalNewcomers() {
  const pid_t process = static_cast<pid_t>(arch::Syscall(SYS_getpid));
  const pid_t self = static_cast<pid_t>(arch::Syscall(SYS_gettid));
  const size_t known = table.size.load();
  int changes = 0;
  const auto signal = [&](Thread& thread) {
    thread.state.store(Thread::kSignalled);
    ++changes;
    const long error = Signal(process, thread.tid);
    if (error < 0) thread.state.store(Thread::kGone);
    return error == -EAGAIN ? -ENOBUFS : 0;
  };
  const int error = proc::ForEachNumber("/proc/self/task", [&](int tid, int folder) {
    if (tid == self) return 0;
    for (size_t i = 0; i < table.size.load(); ++i) {
      Thread& thread = table.threads[i];
      if (thread.tid != tid || thread.state.load() == Thread::kGone) continue;
      return thread.state.load() == Thread::kRunning ? signal(thread) : 0;
    }
    char name[sizeof Thread::name];
    ReadName(folder, tid, name);
    // io_uring's workers are listed as threads, but are the kernel's own and run no handler.
    if (proc::StartsWith(name, "iou-")) return 0;
    const size_t size = table.size.load();
    if (size == table.capacity) return -EAGAIN;
    Thread& thread = table.threads[size];
    thread.tid = tid;
    thread.kept = false;
    memcpy(thread.name, name, sizeof name);
    table.size.store(size + 1, std::memory_order_release);
    return signal(thread);
  });
  if (error < 0) return error;
  for (size_t i = 0; i < known; ++i) {
    Thread& thread = table.threads[i];
    if (thread.state.load() == Thread::kGone || !HasEnded(process, thread.tid)) continue;
    thread.state.store(Thread::kGone);
    ++changes;
  }
  return changes;
}

Thread* FirstWithoutAnswer() {
  for (Thread* thread = FrozenBegin(); thread != FrozenEnd(); ++thread) {
    const int state = thread->state.load();
    if (state == Thread::kSignalled || state == Thread::kAnswering) return thread;
  }
  return nullptr;
}

// A system call in which a thread can rest for ever, and that therefore it makes while it holds
// nothing which is meant to be held briefly. A thread at the door of any other call (futex wake,
// mprotect) may hold libc's or V8's locks.
bool IsBlockingCall(const arch::Interrupted& at) {
  switch (at.number_or_result) {
    case SYS_futex: {
      const long operation = at.arguments[1] & FUTEX_CMD_MASK;
      if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET) return false;
      // Nobody may have woken it since it was stopped: a Worker that waits for helpers in the midst
      // of a collection holds a recursive mutex, and rests only as long as they still work.
      const auto* const word = reinterpret_cast<const std::atomic<int>*>(at.arguments[0]);
      return word->load() == static_cast<int>(at.arguments[2]);
    }
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
    case SYS_poll:
    case SYS_select:
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
    case SYS_rt_sigtimedwait:
    case SYS_rt_sigsuspend:
    case SYS_clock_nanosleep:
    case SYS_nanosleep:
      return true;
    default:
      return false;
  }
}

// Whether the signal interrupted a blocking system call. Why it matters: a thread stopped in the
// midst of its work may hold a recursive mutex (V8's stack guard has one). Such a mutex remembers
// its owner's thread id, the copy of that thread has another, and nobody could ever unlock it:
// without this check one double fork in 200 under load hung for ever.
bool IsQuiescent(const Thread& thread) {
  const arch::Interrupted at = arch::InterruptedAt(*thread.context);
  // The kernel moved the program counter back, to issue the call again after the handler
  // (SA_RESTART).
  if (arch::IsSyscall(at.pc)) return IsBlockingCall(at);
  // Calls that are not restarted (epoll_wait, futex with a timeout) gave EINTR; libuv and libc go
  // on.
  return at.number_or_result == -EINTR && arch::IsSyscall(at.pc - arch::kSyscallSize);
}

// A helper of V8's or of libuv's, without work: only another thread of this process can wake it. (A
// wait with a time-out is not restarted.)
//
// Such a thread must not stay frozen if the calling one is to run JavaScript: a collection wakes
// helpers, and glibc (up to 2.40) has pthread_cond_signal(3) wait until those that were woken
// before have left their wait. A supervisor hung there for ever after half a minute.
bool SleepsUntilWoken(const Thread& thread) {
  const arch::Interrupted at = arch::InterruptedAt(*thread.context);
  return arch::IsSyscall(at.pc) && at.number_or_result == SYS_futex;
}

bool Refuse(Reason& reason, int error, const char* what, const Thread* thread = nullptr) {
  if (thread != nullptr) {
    reason.tid = thread->tid;
    memcpy(reason.thread, thread->name, sizeof reason.thread);
    if (thread->state.load() == Thread::kFrozen)
      reason.at = arch::InterruptedAt(*thread->context).pc;
  }
  return reason.Set(error, what);
}

// Waits until every signalled thread is in the handler, and none has come or ended meanwhile.
bool Assemble(int64_t deadline, Reason& reason) {
  for (;;) {
    const int changes = SignalNewcomers();
    if (changes == -EAGAIN)
      return Refuse(reason, EBUSY, "threads are created faster than they can be stopped");
    if (changes == -ENOBUFS)
      return Refuse(reason, EAGAIN, "no signal can be queued for a thread (RLIMIT_SIGPENDING)");
    if (changes < 0) return Refuse(reason, -changes, "/proc/self/task cannot be read");
    if (FirstWithoutAnswer() == nullptr) {
      if (changes == 0) return true;
      continue;
    }
    if (NowMs() >= deadline) {
      return Refuse(reason, EBUSY, "a thread did not take the signal that stops it",
                    FirstWithoutAnswer());
    }
    // The time-out serves threads that end instead of answering.
    const timespec look_again = {0, 1'000'000};
    while (FirstWithoutAnswer() != nullptr) {
      const int now = table.entered.load();
      if (FirstWithoutAnswer() == nullptr) break;
      if (FutexWait(table.entered, now, &look_again) == -ETIMEDOUT) break;
    }
  }
}

bool MakeRoom() {
  size_t count = 0;
  proc::ForEachNumber("/proc/self/task", [&](int, int) {
    ++count;
    return 0;
  });
  const size_t wanted = count * 2 + 64;
  if (table.capacity < wanted) {
    const size_t bytes = (wanted * sizeof(Thread) + 4095) & ~size_t{4095};
    const long address = arch::Syscall(SYS_mmap, 0, static_cast<long>(bytes),
                                       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address < 0) return false;
    table.size.store(0);
    table.threads = reinterpret_cast<Thread*>(address);
    table.capacity = bytes / sizeof(Thread);
  }
  table.size.store(0);
  return true;
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

void BeginReading() { table.unread.fetch_add(1); }

void FinishReading() {
  table.unread.fetch_sub(1);
  FutexWake(table.unread);
}

bool AreThreadsKept() { return table.kept; }

Thread* FrozenBegin() { return table.threads; }
Thread* FrozenEnd() { return table.threads + table.size.load(); }

bool Freeze::Stop(int timeout_ms, Reason& reason) {
  if (!FindTidOffset(tid_address_)) {
    return Refuse(reason, ENOTSUP, "libc's place for the thread id was not found");
  }
  for (int unread = table.unread.load(); unread > 0; unread = table.unread.load()) {
    FutexWait(table.unread, unread, nullptr);
  }
  // Threads that were kept are looking at their entries.
  if (!table.kept && !MakeRoom()) {
    return Refuse(reason, ENOMEM, "no memory for the table of threads");
  }
  if (!InstallHandler()) return Refuse(reason, ENOTSUP, "no handler can be set for signal 33");
  stopped_ = true;

  const int64_t deadline = NowMs() + timeout_ms;
  for (int round = 1;; ++round) {
    if (!Assemble(std::max(deadline, NowMs() + kLeastAnswerMs), reason)) break;
    const Thread* straggler = nullptr;
    const bool last = NowMs() >= deadline;
    const bool thaw = round % kRoundsBeforeThaw == 0;
    for (Thread* thread = FrozenBegin(); thread != FrozenEnd(); ++thread) {
      if (thread->state.load() != Thread::kFrozen || thread->kept) continue;
      if (IsQuiescent(*thread)) continue;
      straggler = thread;
      if (last) break;
      // The quiescent stay where they are: so each thread needs to be met resting once, not all of
      // them at the same moment.
      if (!thaw) Release(*thread);
    }
    if (straggler == nullptr) return true;
    if (last) {
      Refuse(reason, EBUSY, "a thread did not come to rest in a system call", straggler);
      break;
    }
    if (thaw) ReleaseAll();
    Pause(kPauseNanoseconds);
  }
  Thaw();
  return false;
}

void Freeze::Thaw() {
  if (!stopped_) return;
  stopped_ = false;
  ReleaseAll();
  if (!table.kept) RestoreHandler();
}

void Freeze::ThawAfter(void (*action)(const void*), const void* argument) {
  int frozen = 0;
  for (Thread* thread = FrozenBegin(); thread != FrozenEnd(); ++thread) {
    if (thread->state.load() == Thread::kFrozen && !thread->kept) ++frozen;
  }
  table.acting.store(frozen);
  table.argument = argument;
  table.action = action;
  Thaw();
  for (int left = table.acting.load(); left > 0; left = table.acting.load()) {
    FutexWait(table.acting, left, nullptr);
  }
  table.action = nullptr;
}

void Freeze::Keep(bool helpers_run) {
  // Once: a helper that is at work by now remains one.
  const bool chosen = helpers_run && table.kept;
  for (Thread* thread = FrozenBegin(); thread != FrozenEnd() && !chosen; ++thread) {
    if (thread->state.load() != Thread::kFrozen) continue;
    if (!helpers_run || !SleepsUntilWoken(*thread)) thread->kept = true;
  }
  table.kept = true;
  Thaw();
}

void Freeze::Dismiss() {
  table.dismissed = true;
  for (Thread* thread = FrozenBegin(); thread != FrozenEnd(); ++thread) {
    if (thread->state.load() != Thread::kFrozen) continue;
    thread->alive.store(1);
    thread->ticket.fetch_add(1);
    FutexWake(thread->ticket);
  }
  for (Thread* thread = FrozenBegin(); thread != FrozenEnd(); ++thread) {
    if (thread->state.load() != Thread::kFrozen) continue;
    while (thread->alive.load() != 0) {
      // Not a private futex: it is the kernel that wakes.
      arch::Syscall(SYS_futex, reinterpret_cast<long>(&thread->alive), FUTEX_WAIT, 1, 0);
    }
  }
}

void Freeze::NoteIds(pid_t Thread::*id) {
  *tid_address_ = static_cast<int>(arch::Syscall(SYS_gettid));
  for (Thread* thread = FrozenBegin(); thread != FrozenEnd(); ++thread) {
    if (thread->state.load() == Thread::kFrozen) *thread->tid_address = thread->*id;
  }
}

void Freeze::NoteNewIds() { NoteIds(&Thread::new_tid); }

void Freeze::TakeBack() {
  NoteIds(&Thread::tid);
  table.unread.store(0);
}

void Freeze::Forget() {
  stopped_ = false;
  table.kept = false;
  table.dismissed = false;
  table.size.store(0);
  RestoreHandler();
}

}  // namespace doublefork
