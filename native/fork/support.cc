// What this machine must have for the fork engine, checked without changing anything.
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>

#include "fork/arch.h"
#include "fork/fork.h"
#include "fork/heap.h"
#include "fork/proc.h"

namespace doublefork {
namespace {

// CET and GCS keep a second stack of return addresses, which the kernel would not let a revived
// thread share with its frame: Documentation/arch/x86/shstk.rst.
bool HasShadowStack() {
  unsigned long enabled = 0;
#if defined(__x86_64__)
  constexpr long kStatus = 0x5005;  // ARCH_SHSTK_STATUS, Linux 6.6
  const long error = arch::Syscall(SYS_arch_prctl, kStatus, reinterpret_cast<long>(&enabled));
#else
  constexpr long kStatus = 74;  // PR_GET_SHADOW_STACK_STATUS, Linux 6.13
  const long error = arch::Syscall(SYS_prctl, kStatus, reinterpret_cast<long>(&enabled));
#endif
  return error == 0 && (enabled & 1) != 0;
}

}  // namespace

bool IsMachineFit(Reason& reason) {
  if (HasShadowStack()) return reason.Set(ENOTSUP, "a shadow stack is in use (CET or GCS)");
  if (proc::File("/proc/self/task", O_DIRECTORY).fd() < 0) {
    return reason.Set(ENOTSUP, "/proc is not mounted or not readable");
  }
  // As after unshare --pid without --mount-proc: the thread ids there are not those of this
  // process.
  char link[16] = {};
  arch::Syscall(SYS_readlinkat, AT_FDCWD, reinterpret_cast<long>("/proc/self"),
                reinterpret_cast<long>(link), sizeof link - 1);
  const char* digits = link;
  if (static_cast<long>(proc::ReadNumber(digits, 10)) != arch::Syscall(SYS_getpid)) {
    return reason.Set(ENOTSUP, "/proc belongs to another pid namespace");
  }
  return true;
}

bool HasTimers(Reason& reason) {
  char text[8];
  if (proc::ReadFile("/proc/self/timers", text, sizeof text) <= 0) return false;
  reason.Set(ENOTSUP, "a timer of timer_create(2) is not the child's");
  return true;
}

bool IsTraced() {
  proc::Lines status("/proc/self/status");
  while (const char* line = status.Next()) {
    if (!proc::StartsWith(line, "TracerPid:")) continue;
    const char* tracer = line + sizeof "TracerPid:" - 1;
    return proc::ReadNumber(tracer, 10) != 0;
  }
  return false;
}

bool IsForkSupported(Reason& reason) { return IsMachineFit(reason) && MappingsAreReadable(reason); }

}  // namespace doublefork
