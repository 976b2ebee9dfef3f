// fork() that keeps Node alive: the child is a copy of the process with every thread in it.
#ifndef DOUBLEFORK_FORK_FORK_H_
#define DOUBLEFORK_FORK_FORK_H_

#include <sys/types.h>
#include <uv.h>

#include "confine/confinement.h"
#include "fork/reason.h"
#include "fork/revive.h"

namespace doublefork {

enum class Parent {
  kRuns,        // the threads of the parent go on
  kFrozen,      // they never run again: the caller only waits and exits
  kMainThread,  // it goes on, and of the others only those that help the caller do: V8's and
                // libuv's pools
};

struct ForkRequest {
  uv_loop_t* main_loop;
  Parent parent;
  int timeout_ms;  // for the other threads to come to rest
  HeldThreads held;
  bool makes_holder;  // for the child's memory: see MakeHolder()
};

// What a child tells its parent.
struct Birth {
  Reason reason;     // why it could not come to life
  pid_t holder = 0;  // of its memory; 0: there is none
};

// 0 in the child, its process id in the parent, -1 with the reason when nothing has changed.
pid_t Fork(const ForkRequest& request, Birth& birth);

// Confines this process with all its threads, which must come to rest for it. False, with the
// reason: some may be confined then and others not, and the process must end.
bool ConfineEverywhere(const Confinement& confinement, int timeout_ms, Reason& reason);

// Whether Fork() can work here, without side effects: Fork() asks the first, which is cheap, and
// finds out the rest on its way.
bool IsMachineFit(Reason& reason);
// Whether there are timers of timer_create(2), which no child has.
bool HasTimers(Reason& reason);
bool IsForkSupported(Reason& reason);
// Whether a debugger, or another tracer, is attached to this process: ptrace(2).
bool IsTraced();

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_FORK_H_
