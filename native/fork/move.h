// Moves the process into another one: daemon(7)'s two forks, with nothing copied.
#ifndef DOUBLEFORK_FORK_MOVE_H_
#define DOUBLEFORK_FORK_MOVE_H_

#include <sys/types.h>
#include <uv.h>

#include "confine/confinement.h"
#include "fork/reason.h"

namespace doublefork {

// What lets the daemon go on: the launcher closes what it has of its descriptors. What the daemon
// closes would stay open otherwise for as long as the launcher waits; a port in use, a peer that
// waits for the end.
class CloseDescriptors {
 public:
  explicit CloseDescriptors(int pipe) : pipe_(pipe) {}
  // All from 3 on.
  void CloseAllBut(int kept) const;

 private:
  int pipe_;  // the daemon waits for its end of file
};

// What is left of the process, the launcher, goes on here: on a stack of its own, without any other
// thread, and with all signals blocked.
class LauncherTask {
 public:
  // It shares all memory with the daemon, the thread-local too. Until it lets go, it may use what
  // the caller has prepared, this object too. From then on it must change nothing but its own
  // stack, call nothing that may set errno, and never return.
  [[noreturn]] virtual void Run(pid_t daemon, CloseDescriptors close_descriptors) = 0;

 protected:
  ~LauncherTask() = default;
};

struct MoveRequest {
  uv_loop_t* main_loop;
  int timeout_ms;  // for the other threads to come to rest
  // Applied in the daemon while it has one thread; the others inherit it.
  const Confinement& confinement;
  LauncherTask& task;
};

// Gives 0 in the daemon, the child of a session leader that is gone: same memory, same threads,
// same descriptors. With a reason all the same, it must say so to the launcher and end. In the
// caller -1, with the reason, when nothing has changed. Asks for PR_SET_CHILD_SUBREAPER.
int MoveProcess(const MoveRequest& request, Reason& reason);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_MOVE_H_
