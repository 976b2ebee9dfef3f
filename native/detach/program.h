// A daemon that becomes another program, by execve(2), cannot say that it is ready.
#ifndef DOUBLEFORK_DETACH_PROGRAM_H_
#define DOUBLEFORK_DETACH_PROGRAM_H_

#include <limits.h>
#include <sys/types.h>
#include <time.h>

#include <cstdint>

#include "base/message.h"

namespace doublefork {

// What the launcher knows of it. The daemon announces it with a line of its own, in front of the
// one with the exit code, which then only comes if the execve(2) fails:
//
//   >SETTLE_MS LOG_OFFSET SAY_LENGTH SAYLOG_PATH\n
//
// End of file, since the pipe is close-on-exec, means that the program runs.
class Program {
 public:
  // Takes the announcement, if there is one. Returns what is behind it. (The daemon writes it in
  // one piece, at most PIPE_BUF, so that it is read in one piece.)
  const char* Read(const char* at, const char* end);

  bool announced() const { return announced_; }

  // The program runs.
  void Begin(pid_t pid);

  // Looks whether it has died at once. If so, the user is told how, and what it has written to its
  // log, and what it has started is ended; then the launcher exits. If it lives, the user is told
  // SAY, and the launcher exits as well. Returns if it is too early to tell.
  //
  // "At once" is within SETTLE_MS; and if by then it has neither come to rest nor been busy for
  // long, until it has: on a machine that is starting up a program may wait longer for its first
  // turn. With SETTLE_MS 0 it is before it has come to sleep for the first time, which an
  // interpreter does before it has read a line of the program.
  void Look();

  // Between two looks.
  const timespec& pause() const;

 private:
  // Whether it has had its turn.
  bool HasRun(int64_t now);
  // `death`: nullptr if nobody knows.
  [[noreturn]] void Fail(const Death* death) const;
  [[noreturn]] void Succeed() const;
  void PrintLog() const;

  bool announced_ = false;
  pid_t pid_ = 0;
  pid_t group_ = 0;
  clockid_t busy_ = CLOCK_MONOTONIC;
  int64_t busy_deadline_ = 0;
  int64_t deadline_ = 0;
  int64_t idle_since_ = 0;  // 0: it is not
  int64_t idle_busy_ms_ = 0;
  int settle_ms_ = 0;
  off_t log_offset_ = 0;
  size_t say_length_ = 0;
  char say_[PIPE_BUF] = "";
  char log_[PATH_MAX] = "";
};

}  // namespace doublefork

#endif  // DOUBLEFORK_DETACH_PROGRAM_H_
