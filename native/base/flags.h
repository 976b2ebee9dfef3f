// Descriptors that are close-on-exec from the first moment: between pipe(2) and fcntl(2) another
// thread may fork, and what that starts would hold the pipe open.
#ifndef DOUBLEFORK_BASE_FLAGS_H_
#define DOUBLEFORK_BASE_FLAGS_H_

#include <fcntl.h>
#include <unistd.h>

namespace doublefork {

#ifdef __linux__

inline int Pipe2(int fds[2], int flags) { return pipe2(fds, flags); }

#else

// O_CLOEXEC and O_NONBLOCK.
inline int SetFlags(int fd, int flags) {
  if ((flags & O_CLOEXEC) != 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return -1;
  return (flags & O_NONBLOCK) != 0 ? fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) : 0;
}

inline int Pipe2(int fds[2], int flags) {
  return pipe(fds) < 0 || SetFlags(fds[0], flags) < 0 || SetFlags(fds[1], flags) < 0 ? -1 : 0;
}

#endif

}  // namespace doublefork

#endif  // DOUBLEFORK_BASE_FLAGS_H_
