#include "fork/owned_locks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>

#include "fork/arch.h"
#include "fork/proc.h"
#include "fork/quiescence.h"

namespace doublefork {
namespace {

// glibc's own, part of its ABI.
using Mutex = __pthread_mutex_s;
using RwLock = __pthread_rwlock_arch_t;

constexpr int kKindMask = 127;            // without flags for how it is locked
constexpr unsigned int kWriteLocked = 3;  // PTHREAD_RWLOCK_WRPHASE | PTHREAD_RWLOCK_WRLOCKED

// In a container ids are as small as any other number: every field must fit.
bool IsHeld(const Mutex& mutex) {
  constexpr unsigned int kMost = 65536;
  const int kind = mutex.__kind & kKindMask;
  // 2: others wait for it. Only a recursive one counts. Only a robust one is in a list.
  return (mutex.__lock == 1 || mutex.__lock == 2) && mutex.__nusers >= 1 &&
         mutex.__nusers < kMost && mutex.__list.__prev == nullptr &&
         mutex.__list.__next == nullptr &&
         ((kind == PTHREAD_MUTEX_RECURSIVE && mutex.__count >= 1 && mutex.__count < kMost) ||
          (kind == PTHREAD_MUTEX_ERRORCHECK && mutex.__count == 0));
}

bool IsHeld(const RwLock& lock) {
  // 1: held, 3: and somebody waits.
  const auto is_held = [](unsigned int futex) { return futex == 1 || futex == 3; };
  constexpr unsigned int kKinds = 3;
  return (lock.__readers & kWriteLocked) == kWriteLocked && is_held(lock.__wrphase_futex) &&
         is_held(lock.__writers_futex) && lock.__pad3 == 0 && lock.__pad4 == 0 &&
         lock.__shared == 0 && lock.__pad2 == 0 && lock.__flags < kKinds;
}

}  // namespace

bool OwnedLocks::IsAnyOf(pid_t id, const Thread*& thread) const {
  thread = nullptr;
  if (id == self_) return true;
  for (const Thread& frozen : FrozenThreads()) {
    if (frozen.tid != id) continue;
    thread = &frozen;
    return true;
  }
  return false;
}

bool OwnedLocks::Find(Reason& reason) {
  bool any = false;
  self_ = least_ = most_ = static_cast<pid_t>(arch::Syscall(SYS_gettid));
  for (const Thread& thread : FrozenThreads()) {
    least_ = std::min<pid_t>(least_, thread.tid);
    most_ = std::max<pid_t>(most_, thread.tid);
    any = any || (!thread.kept && !AwaitsWork(thread));
  }
  if (!any) return true;
  const proc::File pagemap("/proc/self/pagemap");
  proc::Lines maps("/proc/self/maps");
  while (const char* line = maps.Next()) {
    // "7f0268c69000-7f0268c6d000 rw-p 10000000 00:10 222012    name"
    const uintptr_t begin = proc::ReadNumber(line, 16);
    const uintptr_t end = proc::ReadNumber(++line, 16);
    if (!proc::StartsWith(line, " rw") || line[4] != 'p') continue;
    if (!SearchMapping(begin, end, pagemap.fd(), reason)) return false;
  }
  return maps.error() == 0 || reason.Set(-maps.error(), "/proc/self/maps cannot be read");
}

// Only pages that are there: to look at another would make it, or end the process where a file was
// cut short. A process that has given up privileges may not ask for those that were swapped out.
bool OwnedLocks::SearchMapping(uintptr_t begin, uintptr_t end, int pagemap, Reason& reason) {
  constexpr uint64_t kPresent = uint64_t{1} << 63;
  constexpr uint64_t kPresentOrSwapped = uint64_t{3} << 62;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  uint64_t entries[512];
  for (uintptr_t at = begin; at < end;) {
    size_t pages = std::min((end - at) / page, sizeof entries / sizeof *entries);
    if (pagemap >= 0) {
      const long got = arch::Syscall(SYS_pread64, pagemap, reinterpret_cast<long>(entries),
                                     static_cast<long>(pages * sizeof *entries),
                                     static_cast<long>(at / page * sizeof *entries));
      if (got <= 0) return reason.Set(EIO, "/proc/self/pagemap cannot be read");
      pages = static_cast<size_t>(got) / sizeof *entries;
    } else {
      unsigned char resident[sizeof entries / sizeof *entries];
      const long error =
          arch::Syscall(SYS_mincore, static_cast<long>(at), static_cast<long>(pages * page),
                        reinterpret_cast<long>(resident));
      if (error < 0) return reason.Set(static_cast<int>(-error), "mincore(2) failed");
      for (size_t i = 0; i < pages; ++i) entries[i] = (resident[i] & 1) != 0 ? kPresent : 0;
    }
    for (size_t i = 0; i < pages;) {
      size_t next = i;
      while (next < pages && (entries[next] & kPresentOrSwapped) != 0) ++next;
      if (next > i && !Search(reinterpret_cast<const char*>(at + i * page),
                              reinterpret_cast<const char*>(at + next * page), reason)) {
        return false;
      }
      i = next + 1;
    }
    at += pages * page;
  }
  return true;
}

// A lock that lies across two runs of pages is not found: both are aligned to less than a page, but
// one that is in use has all of its pages there.
bool OwnedLocks::Search(const char* begin, const char* end, Reason& reason) {
  constexpr const char* kNoMemory = "no memory for the list of locks";
  const auto range = static_cast<uint32_t>(most_ - least_);
  const auto least = static_cast<uint32_t>(least_);
  for (const char* at = begin; at < end; at += sizeof(uint64_t)) {
    const uint32_t id = *reinterpret_cast<const uint32_t*>(at);
    if (id - least > range) continue;
    const Thread* thread;
    if (!IsAnyOf(static_cast<pid_t>(id), thread)) continue;
    bool held = false;
    if (const char* const mutex = at - offsetof(Mutex, __owner);
        mutex >= begin && mutex + sizeof(Mutex) <= end) {
      held = IsHeld(*reinterpret_cast<const Mutex*>(mutex));
    }
    if (const char* const lock = at - offsetof(RwLock, __cur_writer);
        !held && lock >= begin && lock + sizeof(RwLock) <= end) {
      held = IsHeld(*reinterpret_cast<const RwLock*>(lock));
    }
    int* const word = reinterpret_cast<int*>(const_cast<char*>(at));
    if (held && !owners_.Push({word, thread})) return reason.Set(ENOMEM, kNoMemory);
  }
  return true;
}

void OwnedLocks::PassOn() const {
  const int self = static_cast<int>(arch::Syscall(SYS_gettid));
  for (const Owner& owner : owners_) {
    if (owner.thread == nullptr) {
      *owner.word = self;
    } else if (owner.thread->new_tid != 0) {  // It may not have been brought to life.
      *owner.word = owner.thread->new_tid;
    }
  }
}

}  // namespace doublefork
