#include "fork/heap.h"

#include <errno.h>

#include "fork/arch.h"
#include "fork/proc.h"

namespace doublefork {
namespace {

struct Flags {
  bool hidden = false;  // dc: VM_DONTCOPY
  bool device = false;  // io, pf: memory that is not the kernel's to copy
};

Flags ParseFlags(const char* flags) {
  Flags result;
  while (*flags != '\0') {
    while (*flags == ' ') ++flags;
    if (proc::StartsWith(flags, "dc")) result.hidden = true;
    if (proc::StartsWith(flags, "io") || proc::StartsWith(flags, "pf")) result.device = true;
    while (*flags != ' ' && *flags != '\0') ++flags;
  }
  return result;
}

// Calls `visit(begin, end, flags)` for each mapping that hides from fork, up to the first false.
template <typename F>
bool ForEachMapping(Reason& reason, F&& visit) {
  proc::Lines smaps("/proc/self/smaps");
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool any = false;
  while (const char* line = smaps.Next()) {
    if (proc::StartsWith(line, "VmFlags:")) {
      any = true;
      if (!visit(begin, end, ParseFlags(line + 8))) return false;
    } else if (line[0] < 'A' || line[0] > 'Z') {  // "55d0c0a00000-55d0c0b00000 rw-p ..."
      begin = proc::ReadNumber(line, 16);
      ++line;
      end = proc::ReadNumber(line, 16);
    }
  }
  if (smaps.error() < 0) return reason.Set(-smaps.error(), "/proc/self/smaps cannot be read");
  if (!any) return reason.Set(ENOTSUP, "this kernel's /proc/self/smaps has no VmFlags");
  return true;
}

bool IsCopyable(const Flags& flags, Reason& reason) {
  if (!flags.hidden || !flags.device) return true;
  return reason.Set(ENOTSUP, "a mapping of device memory cannot be copied to a child");
}

}  // namespace

bool HiddenHeap::Unhide(Reason& reason) {
  const bool listed = ForEachMapping(reason, [&](uintptr_t begin, uintptr_t end, Flags flags) {
    if (!IsCopyable(flags, reason)) return false;
    if (!flags.hidden) return true;
    return ranges_.Push({begin, end}) || reason.Set(ENOMEM, "no memory for the list of mappings");
  });
  if (!listed) return false;
  visible_ = true;
  for (const Range& range : ranges_) {
    const long error = arch::Syscall(SYS_madvise, static_cast<long>(range.begin),
                                     static_cast<long>(range.end - range.begin), MADV_DOFORK);
    if (error < 0) {
      return reason.Set(static_cast<int>(-error),
                        "a hidden mapping cannot be made visible to fork");
    }
  }
  return true;
}

void HiddenHeap::Hide() {
  if (!visible_) return;
  visible_ = false;
  for (const Range& range : ranges_) {
    arch::Syscall(SYS_madvise, static_cast<long>(range.begin),
                  static_cast<long>(range.end - range.begin), MADV_DONTFORK);
  }
}

bool MappingsAreReadable(Reason& reason) {
  return ForEachMapping(
      reason, [&](uintptr_t, uintptr_t, Flags flags) { return IsCopyable(flags, reason); });
}

}  // namespace doublefork
