// System calls that leave errno alone: the launcher may wait in memory that is the daemon's, its
// thread-local memory included (fork/move.h). Each gives -errno on failure.
#ifndef DOUBLEFORK_DETACH_QUIET_H_
#define DOUBLEFORK_DETACH_QUIET_H_

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "syscalls/raw.h"

namespace doublefork::quiet {

#ifdef DOUBLEFORK_HAS_RAW_SYSCALLS

inline long Read(int fd, void* buffer, size_t size) {
  return arch::Syscall(SYS_read, fd, reinterpret_cast<long>(buffer), static_cast<long>(size));
}

inline long Write(int fd, const void* buffer, size_t size) {
  return arch::Syscall(SYS_write, fd, reinterpret_cast<long>(buffer), static_cast<long>(size));
}

// ppoll(2) of one descriptor. Null: without end; with the signal mask as it is.
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

#ifndef __APPLE__
inline long Poll(int fd, short events, const timespec* timeout, const sigset_t* blocked) {
  pollfd entry = {fd, events, 0};
  const int result = ppoll(&entry, 1, timeout, blocked);
  return result < 0 ? -errno : result;
}
#endif

#endif

}  // namespace doublefork::quiet

#endif  // DOUBLEFORK_DETACH_QUIET_H_
