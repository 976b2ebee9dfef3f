// Gives the child kernel objects of its own where a plain copy would share them with the parent.
#ifndef DOUBLEFORK_FORK_SEPARATE_H_
#define DOUBLEFORK_FORK_SEPARATE_H_

#include <limits.h>
#include <uv.h>

#include <cstdint>

#include "fork/reason.h"
#include "fork/rings.h"
#include "fork/scratch.h"

namespace doublefork {

// eventfd, epoll, libuv's signal lock and the pipes by which threads wake each other are open file
// descriptions, which fork shares: parent and child would steal each other's wake-ups as long as
// both live.
class KernelObjects {
 public:
  // `parent_runs`: both use them from then on. Else only the child does.
  KernelObjects(uv_loop_t* main_loop, bool parent_runs)
      : main_loop_(main_loop), parent_runs_(parent_runs) {}

  // Before the clone, while all is frozen: taken in the child, the thawed parent may have consumed
  // a count already, and that lost wake-up hung 3 of 75 daemons at exit.
  bool TakeInventory(Reason& reason);

  // In the child, before any other thread runs.
  bool Separate(Reason& reason);

 private:
  struct EventFd {
    int fd;
    int flags;
    uint64_t count;
  };
  struct Epoll {
    int fd;
    int flags;
  };
  struct Registration {
    int epoll;
    int target;
    uint32_t events;
    uint64_t data;
  };
  struct PipeEnd {
    int fd;
    bool writable;
    bool blocking;
    bool close_on_exec;
    uint64_t inode;
  };
  // Both ends in this process, and one of its threads waits for what the other end says.
  struct WakePipe {
    PipeEnd reader;
    PipeEnd writer;
    int size;  // of what nobody has read
    char content[64];
  };

  bool ReadDescriptor(int folder, int fd, Reason& reason);
  bool ReadEventFd(int fd, Reason& reason);
  bool ReadEpoll(int fd, Reason& reason);
  bool ReadPipe(int fd, uint64_t inode, Reason& reason);
  bool IsForeignInotify(int fd, const char* link) const;
  const PipeEnd* OtherEnd(const PipeEnd& reader);
  bool FindSignalLock(Reason& reason);
  bool FindWakePipes(Reason& reason);
  bool NoteWakePipe(int fd, Reason& reason);
  bool NotePendingAsyncs(Reason& reason);
  bool RenewEventFds(Reason& reason);
  bool RenewEpolls(Reason& reason);
  static bool RenewPipe(const WakePipe& pipe, Reason& reason);
  bool RenewWakePipes(Reason& reason);
  bool RenewMainLoop(Reason& reason);

  uv_loop_t* const main_loop_;
  const bool parent_runs_;
  int first_epoll_ = INT_MAX;
  Scratch<EventFd> event_fds_;
  Scratch<Epoll> epolls_;
  Scratch<Registration> registrations_;
  Scratch<PipeEnd> pipe_ends_;
  Rings rings_;
  Scratch<uv_async_t*> pending_;
  Scratch<WakePipe> wake_pipes_;
};

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_SEPARATE_H_
