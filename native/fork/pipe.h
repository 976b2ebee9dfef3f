// The pipe between a process and the one that it makes, by raw system calls.
#ifndef DOUBLEFORK_FORK_PIPE_H_
#define DOUBLEFORK_FORK_PIPE_H_

#include <errno.h>
#include <fcntl.h>

#include "fork/arch.h"
#include "fork/reason.h"

namespace doublefork {

// Both ends close-on-exec, and closed when this goes out of scope.
class Pipe {
 public:
  Pipe() {
    const long error = arch::Syscall(SYS_pipe2, reinterpret_cast<long>(fds_), O_CLOEXEC);
    if (error < 0) error_ = static_cast<int>(-error);
  }
  ~Pipe() {
    CloseReader();
    CloseWriter();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // 0, or the errno that left it without ends.
  int error() const { return error_; }
  int reader() const { return fds_[0]; }
  int writer() const { return fds_[1]; }
  void CloseReader() { Close(fds_[0]); }
  void CloseWriter() { Close(fds_[1]); }
  // It is closed already.
  void ForgetWriter() { fds_[1] = -1; }

 private:
  static void Close(int& fd) {
    if (fd >= 0) arch::Syscall(SYS_close, fd);
    fd = -1;
  }

  int fds_[2] = {-1, -1};
  int error_ = 0;
};

// A new process says that it came to life, or why not. (The sentence in `reason` is a literal: its
// address means the same in both.)
inline void SendReason(int fd, const Reason& reason) {
  arch::Syscall(SYS_write, fd, reinterpret_cast<long>(&reason), sizeof reason);
}

// If it is killed on the way, its end of the pipe is closed for it.
inline void ReceiveReason(int fd, Reason& reason) {
  long got;
  do {
    got = arch::Syscall(SYS_read, fd, reinterpret_cast<long>(&reason), sizeof reason);
  } while (got == -EINTR);
  if (got != sizeof reason) reason.Set(ECHILD, "the child was killed before it came to life");
}

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_PIPE_H_
