// The pipe between a process and the one that it makes. Only async-signal-safe calls, and none that
// sets errno: the memory may belong to both (fork/move.h).
#ifndef DOUBLEFORK_BASE_PIPE_H_
#define DOUBLEFORK_BASE_PIPE_H_

#include <errno.h>
#include <fcntl.h>

#include <type_traits>

#include "base/quiet.h"

namespace doublefork {

// Both ends close-on-exec, and closed when this goes out of scope.
class Pipe {
 public:
  Pipe() {
    const long error = quiet::MakePipe(fds_, O_CLOEXEC);
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
    if (fd >= 0) quiet::Close(fd);
    fd = -1;
  }

  int fds_[2] = {-1, -1};
  int error_ = 0;
};

// A new process tells how it fares. Small enough for a pipe to take it in one piece.
template <typename T>
void Send(int fd, const T& message) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 512);
  quiet::Write(fd, &message, sizeof message);
}

// False if the other end was closed without one: whoever had it has ended.
template <typename T>
bool Receive(int fd, T& message) {
  long got;
  do {
    got = quiet::Read(fd, &message, sizeof message);
  } while (got == -EINTR);
  return got == sizeof message;
}

}  // namespace doublefork

#endif  // DOUBLEFORK_BASE_PIPE_H_
