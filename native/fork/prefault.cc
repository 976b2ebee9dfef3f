#include "fork/prefault.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "fork/proc.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace doublefork {
namespace {

constexpr size_t kMostCopied = 16 << 20;
// V8's heap is of chunks of 256 kB, which the kernel merges where they touch; a thread's stack, a
// large array or a WebAssembly memory is more.
constexpr size_t kLargestMapping = 4 << 20;

// Of pagemap, see proc(5).
constexpr uint64_t kPresent = 1ULL << 63;
constexpr uint64_t kExclusive = 1ULL << 56;  // this process alone has it

// Of a process's pagemap, the pages whose entries have these bits of `mask`.
struct Choice {
  const proc::File& pagemap;
  uint64_t mask;
  uint64_t bits;
};

// What one read of a pagemap tells of.
class Block {
 public:
  static constexpr size_t kMostPages = 512;

  // Returns of how many pages; 0: it cannot be told.
  size_t Read(const proc::File& pagemap, uintptr_t page_number, size_t pages) {
    const ssize_t got = pread(pagemap.fd(), entries_, std::min(pages, kMostPages) * kSize,
                              static_cast<off_t>(page_number * kSize));
    return got <= 0 ? 0 : static_cast<size_t>(got) / kSize;
  }
  bool Has(size_t index, const Choice& choice) const {
    return (entries_[index] & choice.mask) == choice.bits;
  }

 private:
  static constexpr size_t kSize = sizeof(uint64_t);
  uint64_t entries_[kMostPages];
};

// Advises the kernel of the pages of a mapping that are in both choices, at most of so many.
// Returns of how many it was.
size_t Populate(uintptr_t begin, uintptr_t end, const Choice& one, const Choice& other, int advice,
                size_t most) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  Block of_one;
  Block of_other;
  size_t done = 0;
  for (uintptr_t at = begin; at < end && done < most;) {
    const size_t wanted = of_one.Read(one.pagemap, at / page, (end - at) / page);
    const size_t count = of_other.Read(other.pagemap, at / page, wanted);
    if (count == 0) break;
    const auto is_meant = [&](size_t i) { return of_one.Has(i, one) && of_other.Has(i, other); };
    for (size_t i = 0; i < count;) {
      size_t next = i + 1;
      if (is_meant(i)) {
        while (next < count && is_meant(next)) ++next;
        const auto address = reinterpret_cast<void*>(at + i * page);
        if (madvise(address, (next - i) * page, advice) == 0) done += next - i;
      }
      i = next;
    }
    at += count * page;
  }
  return done;
}

}  // namespace

void Prefault(pid_t sibling) {
  const proc::File pagemap("/proc/self/pagemap");
  // What the program has run so far is what its supervisor has mapped.
  const proc::File parents(proc::Text<64>("/proc/", getppid(), "/pagemap").get());
  const proc::File siblings(proc::Text<64>("/proc/", sibling, "/pagemap").get());
  if (pagemap.fd() < 0 || parents.fd() < 0) return;
  const Choice shared = {pagemap, kPresent | kExclusive, kPresent};
  // Where nobody can tell what a sibling has written, all that it may have.
  const bool guesses = siblings.fd() < 0;
  const Choice written =
      guesses ? shared : Choice{siblings, kPresent | kExclusive, kPresent | kExclusive};
  const Choice run = {parents, kPresent, kPresent};
  size_t left = kMostCopied / static_cast<size_t>(sysconf(_SC_PAGESIZE));
  proc::Lines maps("/proc/self/maps");
  while (const char* line = maps.Next()) {
    const char* at = line;
    const uintptr_t begin = proc::ReadNumber(at, 16);
    const uintptr_t end = proc::ReadNumber(++at, 16);
    const char* const flags = ++at;
    const char* const name = strrchr(line, ' ') + 1;
    if (flags[0] != 'r' || flags[3] != 'p' || proc::StartsWith(name, "[v")) continue;
    if (flags[1] == 'w') {
      if (left == 0 || (guesses && end - begin > kLargestMapping)) continue;
      const size_t copied = Populate(begin, end, shared, written, MADV_POPULATE_WRITE, left);
      left -= std::min(left, copied);
    } else if (name[0] == '/') {
      Populate(begin, end, run, run, MADV_POPULATE_READ, SIZE_MAX);
    }
  }
}

}  // namespace doublefork
