// What a daemon and its launcher say to each other until the daemon may go on.
#ifndef DOUBLEFORK_FORK_HANDSHAKE_H_
#define DOUBLEFORK_FORK_HANDSHAKE_H_

#include <sys/types.h>

#include <atomic>

#include "fork/reason.h"

namespace doublefork {

// In memory that both have, whether the rest of theirs is one or two. Not a pipe: they have one
// table of descriptors at first (move.cc), in which no end of a pipe closes when one of them dies.
// Only raw system calls, and none that sets errno.
class Handshake {
 public:
  Handshake();
  // For the process that this returns to. The other one does not touch it any more.
  ~Handshake();
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;

  // 0, or the errno that left it without memory.
  int error() const { return error_; }

  // In the daemon: it lives, or why not. Waits until it may go on; false: it must not.
  bool Report(const Reason& reason);

  // In the launcher: waits for that. False, with the reason, if the daemon refuses, or has died.
  // One that somebody stops on its way is let go on: nobody else knows of it, and nothing would end
  // the wait.
  bool AwaitReport(pid_t daemon, Reason& reason);
  // What comes of it. The memory is the daemon's alone after this.
  void LetGo() { Decide(kGo); }
  void Abandon() { Decide(kAbandoned); }

 private:
  enum State : int { kStarting, kAlive, kRefused, kGo, kAbandoned };
  struct Page {
    std::atomic<int> state;
    Reason reason;
  };

  void Decide(State state);
  bool IsLauncherGone() const;

  Page* page_ = nullptr;
  int error_ = 0;
  pid_t launcher_;
  int launcher_pidfd_;  // -1 before Linux 5.3
};

// Waits until a child has ended. One that somebody stops is let go on.
void AwaitEnd(pid_t child);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_HANDSHAKE_H_
