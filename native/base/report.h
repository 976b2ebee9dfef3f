// Waiting for what a new child has to report.
#ifndef DOUBLEFORK_BASE_REPORT_H_
#define DOUBLEFORK_BASE_REPORT_H_

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>

namespace doublefork {

// Returns when there is something to read, or the other end is closed. All signals are blocked
// meanwhile, and nobody else knows of the child yet: one that somebody stops on its way would stop
// this process, too. So it is let go on. Only async-signal-safe calls.
inline void AwaitReport(int fd, pid_t child) {
  constexpr int kLookMs = 100;
  pollfd report = {fd, POLLIN, 0};
  for (;;) {
    const int ready = poll(&report, 1, kLookMs);
    if (ready > 0 || (ready < 0 && errno != EINTR)) return;
    siginfo_t info = {};
    if (waitid(P_PID, child, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child) {
      kill(child, SIGCONT);
    }
  }
}

}  // namespace doublefork

#endif  // DOUBLEFORK_BASE_REPORT_H_
