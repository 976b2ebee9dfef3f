#include "fork/holder.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <atomic>

#include "base/clock.h"
#include "fork/arch.h"
#include "fork/futex.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

namespace doublefork {
namespace {

#if defined(__x86_64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#else
constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// How long the memory stays once its process has ended: freed at once, it would take one of two
// processors from the next worker.
constexpr timespec kAfterTheEnd = {0, 50'000'000};
constexpr long kLookAgainNanoseconds = 20'000;
constexpr int kStartMs = 1000;

// The two have one memory, so the word and the stack are one.
enum State : int { kStarting, kHolds, kFailed };
std::atomic<int> state{kStarting};
alignas(16) char stack[16384];

// Waiting is all that is left, and ending. Not even other operations of futex(2).
bool Confine() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 4, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_WAIT, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof filter / sizeof *filter, filter};
  return arch::Syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         arch::Syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
                       reinterpret_cast<long>(&program)) == 0;
}

void Wait(const int* word, int value, const timespec* timeout) {
  // Not FUTEX_PRIVATE_FLAG: the kernel wakes without it when it clears a thread's id.
  arch::Syscall(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAIT, value,
                reinterpret_cast<long>(timeout));
}

// With all signals blocked. Nothing here may touch the thread pointer, which is the other's.
int Hold(void* argument) {
  const auto* const id = static_cast<const std::atomic<int>*>(argument);
  const int of_process = id->load();
  arch::Syscall(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>("memory-holder"));
  // The filter's penalty would write a core file of memory that is not its own.
  constexpr rlimit kNone = {0, 0};
  arch::Syscall(SYS_setrlimit, RLIMIT_CORE, reinterpret_cast<long>(&kNone));
  if (arch::Syscall(SYS_close_range, 0, ~0U, 0) != 0 || !Confine()) {
    state.store(kFailed);
    arch::Syscall(SYS_exit_group, 1);
  }
  state.store(kHolds);
  while (id->load() == of_process) {
    Wait(reinterpret_cast<const int*>(id), of_process, nullptr);
  }
  constexpr int kNobodyWakes = 0;
  Wait(&kNobodyWakes, kNobodyWakes, &kAfterTheEnd);
  arch::Syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

}  // namespace

pid_t MakeHolder(int* tid_address) {
  state.store(kStarting);
  const int pid = clone(Hold, stack + sizeof stack, CLONE_VM | CLONE_PARENT | SIGCHLD, tid_address);
  if (pid < 0) return 0;
  // It cannot wake anybody any more once it holds.
  const int64_t deadline = NowMs() + kStartMs;
  while (state.load() == kStarting && NowMs() < deadline) Pause(kLookAgainNanoseconds);
  if (state.load() == kHolds) return pid;
  arch::Syscall(SYS_kill, pid, SIGKILL);
  return 0;
}

}  // namespace doublefork
