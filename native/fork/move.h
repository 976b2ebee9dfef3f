// Moves the process into another one: daemon(7)'s two forks, with nothing lost on the way.
#ifndef DOUBLEFORK_FORK_MOVE_H_
#define DOUBLEFORK_FORK_MOVE_H_

#include <sys/types.h>
#include <uv.h>

#include "confine/confinement.h"
#include "fork/handshake.h"
#include "fork/reason.h"

namespace doublefork {

// What is left of the process, the launcher, goes on here: on a stack of its own, without any other
// thread, and with all signals blocked.
class LauncherTask {
 public:
  // It may share all memory with the daemon, the thread-local too, but not the descriptors, which
  // it is to close: what the daemon closes would stay open otherwise for as long as this process
  // waits; a port in use, a peer that waits for the end. Until it calls LetGo(), it may use what
  // the caller has prepared, this object too. From then on it must change nothing but its own
  // stack, call nothing that may set errno, and never return.
  [[noreturn]] virtual void Run(pid_t daemon, Handshake& handshake) = 0;

 protected:
  ~LauncherTask() = default;
};

struct MoveRequest {
  uv_loop_t* main_loop;
  int timeout_ms;  // for the other threads to come to rest
  // The daemon gets a copy of the memory. Else it takes the memory itself, and a launcher that
  // keeps what the daemon has given up would be in its hands: root, for one; and so would the
  // daemon be in those of a debugger that is attached to the launcher.
  bool copies_memory;
  // Applied in the daemon while it has one thread; the others inherit it.
  const Confinement& confinement;
  LauncherTask& task;
};

// Gives 0 in the daemon, the child of a session leader that is gone: same threads, same
// descriptors, same record locks. With a reason all the same, it must say so to the launcher and
// end. In the caller -1, with the reason, when nothing has changed. Asks for
// PR_SET_CHILD_SUBREAPER.
int MoveProcess(const MoveRequest& request, Reason& reason);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_MOVE_H_
