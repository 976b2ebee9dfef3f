#include "fork/descriptor_table.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "fork/arch.h"
#include "fork/proc.h"

namespace doublefork {
namespace {

constexpr long kCloseRange = 436;  // missing from older headers
constexpr long kUnshare = 2;       // CLOSE_RANGE_UNSHARE
constexpr long kLast = ~0U;

}  // namespace

bool CanLeaveDescriptors() {
  // Neither of these does anything. A range that ends before it begins is refused as such by a
  // kernel that has the call.
  return arch::Syscall(kCloseRange, 1, 0, kUnshare) == -EINVAL ||
         arch::Syscall(SYS_unshare, 0) == 0;
}

long LeaveDescriptors() {
  // A range in which there is none.
  if (arch::Syscall(kCloseRange, kLast, kLast, kUnshare) == 0) return 0;
  return arch::Syscall(SYS_unshare, CLONE_FILES);
}

void CloseDescriptors(int kept) {
  constexpr int kFirst = STDERR_FILENO + 1;
  if (arch::Syscall(kCloseRange, kept + 1, kLast, 0) == 0) {
    if (kept > kFirst) arch::Syscall(kCloseRange, kFirst, kept - 1, 0);
    return;
  }
  proc::ForEachNumber("/proc/self/fd", [&](int fd, int folder) {
    if (fd >= kFirst && fd != folder && fd != kept) arch::Syscall(SYS_close, fd);
    return 0;
  });
}

}  // namespace doublefork
