// io_uring rings of libuv's loops: memory and a descriptor that parent and child would share.
#ifndef DOUBLEFORK_FORK_RINGS_H_
#define DOUBLEFORK_FORK_RINGS_H_

#include <linux/io_uring.h>

#include <cstddef>
#include <cstdint>

#include "fork/reason.h"
#include "fork/scratch.h"

namespace doublefork {

// From Node 22 on each loop has a ring, through which it changes its epoll. Used by two processes,
// one would carry out the other's requests. uv_loop_fork() renews the main loop's; this renews them
// all, those of Workers' loops in place.
class Rings {
 public:
  // Notes a ring. It must be idle: a request in flight completes in one process only.
  bool Note(int fd, Reason& reason);
  // Before the clone, after the last Note(): where the rings are mapped.
  bool FindMappings(Reason& reason);
  // Whether a thread of the kernel's serves one. It ends with the ring's maker.
  bool ArePolled();
  // In the child: new rings of the same size under the old numbers, at the old addresses.
  bool Renew(Reason& reason);

 private:
  struct Mapping {
    uintptr_t begin;
    size_t size;
  };
  struct Ring {
    int fd;
    uint64_t inode;
    unsigned entries;
    bool polled_by_kernel;
    Mapping queues;
    Mapping submissions;
  };

  // Those that have memory of ours, which /proc/self/maps does not tell from other memory.
  static Scratch<Ring> in_own_memory_;

  static long Map(const Mapping& mapping, int flags, long fd, uint64_t offset);
  static long SetUp(unsigned entries, unsigned flags, io_uring_params& params,
                    const Ring* memory = nullptr);
  static bool HasIndexArray(const Ring& ring, size_t offset);
  static long Create(const Ring& ring, unsigned flags);
  static bool RenewOne(const Ring& ring, Reason& reason);

  Scratch<Ring> rings_;
};

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_RINGS_H_
