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

// Copies the pages of a mapping that are shared with the parent, at most so many. Returns how many
// it was.
size_t CopyPages(int pagemap, uintptr_t begin, uintptr_t end, size_t most) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  uint64_t entries[512];
  size_t copied = 0;
  for (uintptr_t at = begin; at < end && copied < most;) {
    const size_t wanted = std::min<size_t>(std::size(entries), (end - at) / page);
    const off_t offset = static_cast<off_t>(at / page * sizeof *entries);
    const ssize_t got = pread(pagemap, entries, wanted * sizeof *entries, offset);
    if (got <= 0) break;
    const size_t count = static_cast<size_t>(got) / sizeof *entries;
    const auto is_shared = [&](size_t i) {
      return (entries[i] & kPresent) != 0 && (entries[i] & kExclusive) == 0;
    };
    for (size_t i = 0; i < count;) {
      size_t next = i + 1;
      if (is_shared(i)) {
        while (next < count && is_shared(next)) ++next;
        const auto address = reinterpret_cast<void*>(at + i * page);
        if (madvise(address, (next - i) * page, MADV_POPULATE_WRITE) == 0) copied += next - i;
      }
      i = next;
    }
    at += count * page;
  }
  return copied;
}

}  // namespace

void Prefault() {
  const proc::File pagemap("/proc/self/pagemap");
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
      left -= std::min(left, CopyPages(pagemap.fd(), begin, end, left));
    } else if (name[0] == '/') {
      madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ);
    }
  }
}

}  // namespace doublefork
