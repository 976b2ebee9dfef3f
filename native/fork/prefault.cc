#include "fork/prefault.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

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

// Advises the kernel of the pages of a mapping whose entries, in a process's pagemap, have these
// bits of `mask`, at most of so many. Returns of how many it was.
size_t Populate(int pagemap, uintptr_t begin, uintptr_t end, uint64_t mask, uint64_t bits,
                int advice, size_t most) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  uint64_t entries[512];
  size_t done = 0;
  for (uintptr_t at = begin; at < end && done < most;) {
    const size_t wanted = std::min<size_t>(std::size(entries), (end - at) / page);
    const off_t offset = static_cast<off_t>(at / page * sizeof *entries);
    const ssize_t got = pread(pagemap, entries, wanted * sizeof *entries, offset);
    if (got <= 0) break;
    const size_t count = static_cast<size_t>(got) / sizeof *entries;
    const auto is_meant = [&](size_t i) { return (entries[i] & mask) == bits; };
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

void Prefault() {
  const proc::File pagemap("/proc/self/pagemap");
  // What the program has run so far is what its supervisor has mapped.
  const proc::File parents(proc::Text<64>("/proc/", getppid(), "/pagemap").get());
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
      if (end - begin > kLargestMapping || pagemap.fd() < 0 || left == 0) continue;
      const size_t copied = Populate(pagemap.fd(), begin, end, kPresent | kExclusive, kPresent,
                                     MADV_POPULATE_WRITE, left);
      left -= std::min(left, copied);
    } else if (name[0] == '/' && parents.fd() >= 0) {
      Populate(parents.fd(), begin, end, kPresent, kPresent, MADV_POPULATE_READ, SIZE_MAX);
    }
  }
}

}  // namespace doublefork
