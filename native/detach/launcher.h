// The process that the user started, from the fork until it exits: it waits for the daemon's word.
#ifndef DOUBLEFORK_DETACH_LAUNCHER_H_
#define DOUBLEFORK_DETACH_LAUNCHER_H_

#include <signal.h>
#include <sys/types.h>

namespace doublefork {

// SIGINT, SIGTERM, SIGHUP and SIGQUIT, by which a user or a terminal ends a waiting launcher.
constexpr int kEndingSignalCount = 4;

// What the launcher waits with. The memory may be the daemon's meanwhile (fork/move.h): this lies
// on the launcher's own stack.
struct LauncherWait {
  int fd;            // where the daemon's word comes from
  sigset_t blocked;  // while it waits

  // Waits in C, since the event loop belongs to the daemon now. Ends the process with the daemon's
  // code. Silence for `timeout_ms` (0: for ever) and a signal to the launcher end the daemon first,
  // so that no orphan stays.
  [[noreturn]] void Await(pid_t daemon, int timeout_ms) const;
};

// The pipe between launcher and daemon. The daemon writes one line, its exit code, and behind it
// what the user is to read; "0\n" means ready, and what is behind it goes to the standard output.
// End of file without a line: it died, unless it had announced that it becomes another program
// (program.h).
//
// The signals that would end the launcher are blocked while this lives: between the fork and the
// wait a Ctrl-C would leave an orphan.
class Launcher {
 public:
  Launcher();
  ~Launcher();
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  // 0, or the errno that left it without a pipe.
  int error() const { return error_; }

  // In the launcher, before its descriptors are closed: the program may have set the terminal raw
  // for its own input, but Ctrl-C has to work while the launcher waits, and in the shell after it.
  void RestoreTerminal();

  // Takes the signals that would end the launcher: it ends the daemon first. Await() does so
  // itself. Where other threads run on, and can be given them before that, it must be asked for
  // before the daemon is there.
  void CatchSignals();

  // In the launcher, for its wait.
  LauncherWait wait() const;

  // Closes the daemon's end, and waits.
  [[noreturn]] void Await(pid_t daemon, int timeout_ms);

  // In the daemon: the descriptor to write to, which is the caller's from now on.
  int BecomeDaemon();

  // The same, for a daemon that is to inherit it.
  int word_descriptor() const { return fds_[1]; }

 private:
  int fds_[2] = {-1, -1};
  int error_ = 0;
  int was_subreaper_ = 0;
  sigset_t old_mask_;
  bool caught_ = false;
  struct sigaction old_actions_[kEndingSignalCount];
};

}  // namespace doublefork

#endif  // DOUBLEFORK_DETACH_LAUNCHER_H_
