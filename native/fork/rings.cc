#include "fork/rings.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fork/arch.h"
#include "fork/proc.h"

namespace doublefork {
namespace {

// How long libuv lets the kernel's thread of a ring wait for requests before it sleeps, in ms.
constexpr unsigned kPollIdleMs = 10;

// Newer than some headers: IORING_SETUP_NO_MMAP and IORING_SETUP_NO_SQARRAY.
constexpr unsigned kNoMmap = 1U << 14;
constexpr unsigned kNoIndexArray = 1U << 16;

// "SqHead:\t2", "SqMask:\t0xff": the number, if the line has that name.
bool Field(const char* line, const char* name, uint64_t& value) {
  if (!proc::StartsWith(line, name)) return false;
  const char* at = line + strlen(name) + 1;
  const bool hexadecimal = proc::StartsWith(at, "0x");
  if (hexadecimal) at += 2;
  value = proc::ReadNumber(at, hexadecimal ? 16 : 10);
  return true;
}

}  // namespace

long Rings::Map(const Mapping& mapping, int flags, long fd, uint64_t offset) {
  return arch::Syscall(SYS_mmap, static_cast<long>(mapping.begin), static_cast<long>(mapping.size),
                       PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, static_cast<long>(offset));
}

// With a ring as memory, the ring's addresses are the new one's.
long Rings::SetUp(unsigned entries, unsigned flags, io_uring_params& params, const Ring* memory) {
  params = {};
  params.flags = flags;
  if ((flags & IORING_SETUP_SQPOLL) != 0) params.sq_thread_idle = kPollIdleMs;
  if (memory != nullptr) {
    // user_addr, the last field of each; older headers have it as reserved.
    const uint64_t queues = memory->queues.begin;
    const uint64_t submissions = memory->submissions.begin;
    memcpy(reinterpret_cast<char*>(&params.cq_off + 1) - sizeof queues, &queues, sizeof queues);
    memcpy(reinterpret_cast<char*>(&params.sq_off + 1) - sizeof submissions, &submissions,
           sizeof submissions);
  }
  return arch::Syscall(SYS_io_uring_setup, entries, reinterpret_cast<long>(&params));
}

Scratch<Rings::Ring> Rings::in_own_memory_;

bool Rings::Note(int fd, Reason& reason) {
  proc::Lines info(proc::Text<64>("/proc/self/fdinfo/", fd).get());
  Ring ring = {};
  ring.fd = fd;
  uint64_t submitted = 0;
  uint64_t taken = 0;
  uint64_t completed = 0;
  uint64_t consumed = 0;
  uint64_t mask = 0;
  while (const char* line = info.Next()) {
    Field(line, "ino:", ring.inode);
    Field(line, "SqTail:", submitted);
    Field(line, "SqHead:", taken);
    Field(line, "CqTail:", completed);
    Field(line, "CqHead:", consumed);
    Field(line, "SqMask:", mask);
    if (proc::StartsWith(line, "SqThread:")) ring.polled_by_kernel = strchr(line, '-') == nullptr;
  }
  if (info.error() < 0) return reason.Set(-info.error(), "/proc/self/fdinfo cannot be read");
  ring.entries = static_cast<unsigned>(mask) + 1;
  if (ring.inode == 0 || mask == 0) {
    return reason.Set(ENOTSUP, "this kernel does not describe io_uring in /proc/self/fdinfo");
  }
  if (submitted != taken || submitted != completed || completed != consumed) {
    return reason.Set(EBUSY, "file operations are in flight on an io_uring (UV_USE_IO_URING)");
  }
  return rings_.Push(ring) || reason.Set(ENOMEM, "no memory for the list of rings");
}

bool Rings::FindMappings(Reason& reason) {
  if (rings_.size() == 0) return true;
  proc::Lines maps("/proc/self/maps");
  while (const char* line = maps.Next()) {
    // "7f0268c69000-7f0268c6d000 rw-s 10000000 00:10 222012    anon_inode:[io_uring]"
    const char* at = line;
    const uintptr_t begin = proc::ReadNumber(at, 16);
    const uintptr_t end = proc::ReadNumber(++at, 16);
    at = strchr(at + 1, ' ');
    const uint64_t offset = proc::ReadNumber(at, 16);
    at = strchr(at + 1, ' ');
    const uint64_t inode = proc::ReadNumber(at, 10);
    for (Ring& ring : rings_) {
      if (ring.inode != inode || strstr(at, "[io_uring]") == nullptr) continue;
      const Mapping mapping = {begin, end - begin};
      (offset == IORING_OFF_SQES ? ring.submissions : ring.queues) = mapping;
    }
  }
  if (maps.error() < 0) return reason.Set(-maps.error(), "/proc/self/maps cannot be read");
  for (const Ring& known : in_own_memory_) {
    for (Ring& ring : rings_) {
      if (ring.inode != known.inode) continue;
      ring.queues = known.queues;
      ring.submissions = known.submissions;
    }
  }
  return true;
}

bool Rings::ArePolled() {
  for (const Ring& ring : rings_) {
    if (ring.polled_by_kernel) return true;
  }
  return false;
}

bool Rings::Renew(Reason& reason) {
  for (const Ring& ring : rings_) {
    // Not mapped as libuv does: somebody else's, and only theirs to renew.
    if (ring.queues.size == 0 || ring.submissions.size == 0) continue;
    if (!RenewOne(ring, reason)) return false;
  }
  return true;
}

// A ring may have an index array, which libuv fills once and for all with slot i for request i.
// From Linux 6.6 on it asks for rings without. The memory of the old ring tells which it was.
bool Rings::HasIndexArray(const Ring& ring, size_t offset) {
  if (offset + ring.entries * sizeof(uint32_t) > ring.queues.size) return false;
  const auto* const indices = reinterpret_cast<const uint32_t*>(ring.queues.begin + offset);
  for (uint32_t i = 0; i < ring.entries; ++i) {
    if (indices[i] != i) return false;
  }
  return true;
}

// The kernel's memory at the old addresses, or where it lets no one choose the address (Linux 6.4)
// our own, given to the ring.
long Rings::Create(const Ring& ring, unsigned flags) {
  io_uring_params params;
  const long fd = SetUp(ring.entries, flags, params);
  if (fd < 0) return fd;
  long error = Map(ring.queues, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
  if (error >= 0) error = Map(ring.submissions, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
  if (error >= 0) return fd;
  arch::Syscall(SYS_close, fd);

  constexpr int kOwnMemory = MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE;
  error = Map(ring.queues, kOwnMemory, -1, 0);
  if (error >= 0) error = Map(ring.submissions, kOwnMemory, -1, 0);
  if (error < 0) return error;
  const long own = SetUp(ring.entries, flags | kNoMmap, params, &ring);
  if (own < 0) return own;
  struct stat status;
  arch::Syscall(SYS_fstat, own, reinterpret_cast<long>(&status));
  Ring fresh = ring;
  fresh.inode = status.st_ino;
  return in_own_memory_.Push(fresh) ? own : -ENOMEM;
}

bool Rings::RenewOne(const Ring& ring, Reason& reason) {
  unsigned flags = ring.polled_by_kernel ? IORING_SETUP_SQPOLL : 0;
  io_uring_params params;
  const long probe = SetUp(ring.entries, 0, params);
  if (probe >= 0) arch::Syscall(SYS_close, probe);
  const bool has_array = HasIndexArray(ring, params.sq_off.array);
  if (!has_array) flags |= kNoIndexArray;

  const long fd = Create(ring, flags);
  if (fd < 0) return reason.Set(static_cast<int>(-fd), "an io_uring cannot be renewed");
  if (has_array) {
    auto* const indices = reinterpret_cast<uint32_t*>(ring.queues.begin + params.sq_off.array);
    for (uint32_t i = 0; i < ring.entries; ++i) indices[i] = i;
  }
  const long error = arch::Syscall(SYS_dup3, fd, ring.fd, O_CLOEXEC);
  arch::Syscall(SYS_close, fd);
  return error >= 0 || reason.Set(static_cast<int>(-error), "an io_uring cannot be renewed");
}

}  // namespace doublefork
