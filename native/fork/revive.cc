#include "fork/revive.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <atomic>

#include "fork/arch.h"
#include "fork/futex.h"
#include "fork/quiescence.h"
#include "fork/threads.h"

// Exported by glibc 2.35 and later; absent from older ones, which register no such area.
extern "C" {
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));
}

namespace doublefork {
namespace {

// rseq(2): the kernel writes the processor number there for sched_getcpu(3) and malloc's caches. A
// thread made with CLONE_VM starts without the registration.
struct RseqArea {
  char* begin;
  unsigned size;

  explicit RseqArea(char* thread_pointer) : begin(nullptr), size(0) {
    if (&__rseq_size == nullptr || &__rseq_offset == nullptr || __rseq_size == 0) return;
    begin = thread_pointer + __rseq_offset;
    // glibc 2.40 tells the size of the features in use there; what it registers is at least 32
    // bytes.
    size = __rseq_size < 32 ? 32 : __rseq_size;
  }
  long Call(int flags) const {
    return arch::Syscall(SYS_rseq, reinterpret_cast<long>(begin), size, flags,
                         arch::kRseqSignature);
  }
};

void RegisterRseq(char* thread_pointer) {
  const RseqArea area(thread_pointer);
  if (area.begin == nullptr) return;
  const long error = area.Call(0);
  // EBUSY: it was registered already, which a clone without CLONE_VM inherits. Any other failure:
  // libc must ask the kernel each time (RSEQ_CPU_ID_REGISTRATION_FAILED in the second word).
  if (error < 0 && error != -EBUSY) reinterpret_cast<int*>(area.begin)[1] = -2;
}

// How far the gate is open: which threads go on. (A futex.)
enum Gate : int {
  // None, until every new thread exists. Were one refused, those before it would have run on in a
  // process that is said never to have been.
  kClosed,
  kOpen,
  kOpenForAll,  // those too that were held back
};
std::atomic<int> gate{kClosed};

// What the main thread was called before NameSpare().
struct {
  bool is_set = false;
  char own[16];
} name_as_spare;

// A thread begins here, on its own stack, below the handler that froze it.
int Continue(void* argument) {
  const Thread& thread = *static_cast<const Thread*>(argument);
  arch::Syscall(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>(thread.name));
  // Raising the priority again may be forbidden; it was this thread's before, so nothing is gained
  // by refusing to run without it.
  arch::Syscall(SYS_setpriority, PRIO_PROCESS, 0, thread.nice);
  if (thread.affinity_size > 0) {
    arch::Syscall(SYS_sched_setaffinity, 0, thread.affinity_size,
                  reinterpret_cast<long>(thread.affinity));
  }
  const siginfo_t* const info = thread.info;
  const ucontext_t* const context = thread.context;
  const int needed = thread.gate;
  for (int now = gate.load(); now < needed; now = gate.load()) FutexWait(gate, now);
  // Not before: in a move (move.cc) the memory has been another thread's until now.
  arch::Syscall(SYS_set_robust_list, reinterpret_cast<long>(thread.robust_list),
                static_cast<long>(thread.robust_list_size));
  RegisterRseq(thread.thread_pointer);
  FinishReading();
  arch::ReturnFromSignal(info, context);
}

}  // namespace

void RegisterOwnThread(void* robust_list, unsigned long robust_list_size) {
  arch::Syscall(SYS_set_robust_list, reinterpret_cast<long>(robust_list),
                static_cast<long>(robust_list_size));
  RegisterRseq(arch::ThreadPointer());
}

void UnregisterOwnThread() {
  constexpr long kRobustListHead = 3 * sizeof(void*);
  constexpr int kUnregister = 1;  // RSEQ_FLAG_UNREGISTER
  arch::Syscall(SYS_set_robust_list, 0, kRobustListHead);
  arch::Syscall(SYS_set_tid_address, 0);
  const RseqArea area(arch::ThreadPointer());
  if (area.begin != nullptr) area.Call(kUnregister);
}

bool CreateThreads(HeldThreads held, Reason& reason) {
  // What pthread_create(3) asks for. The id is written for the parent's sake, before the thread
  // runs; it is cleared, and joiners woken, when the thread ends.
  constexpr int kFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                         CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  gate.store(kClosed);
  // V8's scheduler of delayed tasks has a loop too, and is the first thread that has one: Node
  // makes it before anything of the program runs, and the kernel lists threads in the order of
  // their birth.
  bool is_first_loop = true;
  SchedulingPolicy own;
  own.Read(0);
  for (Thread& thread : FrozenThreads()) {
    thread.gate = kOpen;
    thread.new_tid = 0;
    if (held != HeldThreads::kNone) {
      const bool has_loop = WaitsForEvents(thread);
      const bool is_scheduler = has_loop && is_first_loop;
      if (is_scheduler) is_first_loop = false;
      if (has_loop && !is_scheduler && held == HeldThreads::kForCopy) continue;
      if (!is_scheduler && !SleepsUntilWoken(thread)) thread.gate = kOpenForAll;
    }
    BeginReading();
    // Nobody waits for the thread to run: it comes up beside the rest of the fork, and whoever
    // needs it finds it asleep or awake, as ever.
    const int tid = clone(Continue, thread.stack, kFlags, &thread, thread.tid_address,
                          thread.thread_pointer, thread.tid_address);
    if (tid < 0) return reason.Set(errno, "the child's threads cannot be created");
    thread.new_tid = tid;
    if (thread.policy.IsLike(own)) continue;
    thread.policy.nice = thread.nice;
    const long error =
        arch::Syscall(SYS_sched_setattr, tid, reinterpret_cast<long>(&thread.policy), 0);
    if (error < 0) {
      return reason.Set(static_cast<int>(-error),
                        "a thread's scheduling policy cannot be given to the child's");
    }
  }
  return true;
}

void NameSpare() {
  arch::Syscall(SYS_prctl, PR_GET_NAME, reinterpret_cast<long>(name_as_spare.own));
  arch::Syscall(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>("spare-worker"));
  name_as_spare.is_set = true;
}

void OpenGate() {
  gate.store(kOpen);
  FutexWake(gate, INT_MAX);
}

void ReleaseThreads() {
  if (name_as_spare.is_set) {
    arch::Syscall(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>(name_as_spare.own));
    name_as_spare.is_set = false;
  }
  gate.store(kOpenForAll);
  FutexWake(gate, INT_MAX);
}

}  // namespace doublefork
