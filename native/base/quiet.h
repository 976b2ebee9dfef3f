// System calls that leave errno alone: the launcher may wait in memory that is the daemon's, its
// thread-local memory included (fork/move.h). Each gives -errno on failure.
#ifndef DOUBLEFORK_BASE_QUIET_H_
#define DOUBLEFORK_BASE_QUIET_H_

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/flags.h"
#include "base/raw.h"

namespace doublefork::quiet {

#ifdef DOUBLEFORK_HAS_RAW_SYSCALLS

inline long Read(int fd, void* buffer, size_t size) {
  return arch::Syscall(SYS_read, fd, reinterpret_cast<long>(buffer), static_cast<long>(size));
}

inline long Write(int fd, const void* buffer, size_t size) {
  return arch::Syscall(SYS_write, fd, reinterpret_cast<long>(buffer), static_cast<long>(size));
}

inline long MakePipe(int fds[2], int flags) {
  return arch::Syscall(SYS_pipe2, reinterpret_cast<long>(fds), flags);
}

inline void Close(int fd) { arch::Syscall(SYS_close, fd); }

inline long Wait(pid_t pid, int* status, int options) {
  return arch::Syscall(SYS_wait4, pid, reinterpret_cast<long>(status), options, 0);
}

inline void Sleep(const timespec& time) {
  arch::Syscall(SYS_nanosleep, reinterpret_cast<long>(&time), 0);
}

// ppoll(2) of one descriptor, or of none: -1. Null: without end; with the signal mask as it is.
inline long Poll(int fd, short events, const timespec* timeout, const sigset_t* blocked) {
  constexpr long kSignalSetSize = 8;  // the kernel's sigset_t, not libc's
  pollfd entry = {fd, events, 0};
  timespec left = timeout == nullptr ? timespec{} : *timeout;  // The kernel counts it down.
  return arch::Syscall(SYS_ppoll, reinterpret_cast<long>(&entry), 1,
                       timeout == nullptr ? 0 : reinterpret_cast<long>(&left),
                       reinterpret_cast<long>(blocked), kSignalSetSize);
}

#else  // No process shares its memory there.

inline long Read(int fd, void* buffer, size_t size) {
  const ssize_t result = read(fd, buffer, size);
  return result < 0 ? -errno : result;
}

inline long Write(int fd, const void* buffer, size_t size) {
  const ssize_t result = write(fd, buffer, size);
  return result < 0 ? -errno : result;
}

inline long MakePipe(int fds[2], int flags) { return Pipe2(fds, flags) < 0 ? -errno : 0; }

inline void Close(int fd) { close(fd); }

inline long Wait(pid_t pid, int* status, int options) {
  const pid_t result = waitpid(pid, status, options);
  return result < 0 ? -errno : result;
}

inline void Sleep(const timespec& time) { nanosleep(&time, nullptr); }

#ifdef __APPLE__  // has no ppoll(2)
inline long Poll(int fd, short events, const timespec* timeout, const sigset_t* blocked) {
  fd_set set;
  FD_ZERO(&set);
  if (fd >= 0) FD_SET(fd, &set);
  fd_set* const read = events == POLLIN ? &set : nullptr;
  fd_set* const write = events == POLLOUT ? &set : nullptr;
  const int result = pselect(fd + 1, read, write, nullptr, timeout, blocked);
  return result < 0 ? -errno : result;
}
#else
inline long Poll(int fd, short events, const timespec* timeout, const sigset_t* blocked) {
  pollfd entry = {fd, events, 0};
  const int result = ppoll(&entry, 1, timeout, blocked);
  return result < 0 ? -errno : result;
}
#endif

#endif

}  // namespace doublefork::quiet

#endif  // DOUBLEFORK_BASE_QUIET_H_
