#include "fork/heap.h"

#include <errno.h>
#include <unistd.h>

#include "fork/arch.h"
#include "fork/proc.h"

namespace doublefork {
namespace {

constexpr const char* kNoMemory = "no memory for the list of mappings";

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

bool IsCopyable(const Flags& flags, Reason& reason) {
  if (!flags.hidden || !flags.device) return true;
  return reason.Set(ENOTSUP, "a mapping of device memory cannot be copied to a child");
}

long Advise(uintptr_t begin, uintptr_t end, int advice) {
  return arch::Syscall(SYS_madvise, static_cast<long>(begin), static_cast<long>(end - begin),
                       advice);
}

// The lines of /proc/self/maps: "7f0268c69000-7f0268c6d000 rw-s 10000000 00:10 222012   name".
class Maps {
 public:
  bool Next(uintptr_t& begin, uintptr_t& end) {
    const char* line = lines_.Next();
    if (line == nullptr) return false;
    name_ = strrchr(line, ' ') + 1;
    begin = proc::ReadNumber(line, 16);
    end = proc::ReadNumber(++line, 16);
    return true;
  }
  // The kernel's own, which take no advice: they are copied as they are.
  bool IsSpecial() const {
    return proc::StartsWith(name_, "[v") || proc::StartsWith(name_, "anon_inode:[io_uring]");
  }
  int error() const { return lines_.error(); }

 private:
  proc::Lines lines_{"/proc/self/maps"};
  const char* name_ = nullptr;
};

}  // namespace

bool HiddenHeap::Unhide(Reason& reason) {
  visible_ = true;
  if (FindCandidates(reason) && FindHidden(reason) && MakeVisible(reason)) return true;
  Reason ignored;
  FindHidden(ignored);  // What the probes have made visible hides again.
  Hide();
  return false;
}

// Which mappings hide from fork, only smaps says, and to write that the kernel visits every page:
// with 45 MB it takes longer than the clone, with 500 MB ten times as long as this. So each mapping
// is probed: one page of it is made visible. Where that changed something the page's flags differ
// from the others' now, and the kernel had to split the mapping.
bool HiddenHeap::FindCandidates(Reason& reason) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  bool refused = false;
  Maps maps;
  Range range;
  while (maps.Next(range.begin, range.end)) {
    if (maps.IsSpecial()) continue;
    const long error = Advise(range.begin, range.begin + page, MADV_DOFORK);
    // It has to be split for this, and may be one too many: vm.max_map_count.
    if (error == -EAGAIN) return reason.Set(ENOMEM, "too many mappings (vm.max_map_count)");
    // Gone since it was listed: the list of candidates itself, which has moved to grow.
    if (error == -ENOMEM) continue;
    refused |= error < 0;
    // A mapping of one page shows nothing; it stays visible, which costs a later fork one page.
    if (error < 0 || range.end - range.begin == page) continue;
    if (!candidates_.Push(range)) return reason.Set(ENOMEM, kNoMemory);
  }
  if (maps.error() < 0) return reason.Set(-maps.error(), "/proc/self/maps cannot be read");
  // Device memory takes no such advice, hidden or not. Where there is some, smaps must tell.
  return !refused || MappingsAreReadable(reason);
}

bool HiddenHeap::FindHidden(Reason& reason) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  Maps maps;
  Range* candidate = candidates_.begin();
  uintptr_t begin;
  uintptr_t end;
  while (maps.Next(begin, end)) {
    while (candidate != candidates_.end() && candidate->begin + page < begin) ++candidate;
    if (candidate == candidates_.end()) break;
    if (candidate->begin + page != begin) continue;
    if (!ranges_.Push(*candidate)) return reason.Set(ENOMEM, kNoMemory);
  }
  return maps.error() == 0 || reason.Set(-maps.error(), "/proc/self/maps cannot be read");
}

bool HiddenHeap::MakeVisible(Reason& reason) {
  for (const Range& range : ranges_) {
    const long error = Advise(range.begin, range.end, MADV_DOFORK);
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
  for (const Range& range : ranges_) Advise(range.begin, range.end, MADV_DONTFORK);
}

bool MappingsAreReadable(Reason& reason) {
  proc::Lines smaps("/proc/self/smaps");
  bool any = false;
  while (const char* line = smaps.Next()) {
    if (!proc::StartsWith(line, "VmFlags:")) continue;
    any = true;
    if (!IsCopyable(ParseFlags(line + 8), reason)) return false;
  }
  if (smaps.error() < 0) return reason.Set(-smaps.error(), "/proc/self/smaps cannot be read");
  return any || reason.Set(ENOTSUP, "this kernel's /proc/self/smaps has no VmFlags");
}

}  // namespace doublefork
