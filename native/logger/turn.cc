#include "logger/turn.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace doublefork::logger {
namespace {

// A record lock, fcntl(2): unlike flock(2)'s no child has it, too.
bool Lock(int fd, short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return fcntl(fd, F_SETLK, &lock) == 0;
}

constexpr timespec kPause = {0, 1000000};

}  // namespace

bool Turn::Open() {
  fd_ = static_cast<int>(syscall(SYS_memfd_create, "doublefork-turn", 1U /* MFD_CLOEXEC */));
  return fd_ >= 0;
}

bool Turn::Begin() {
  // Not F_SETLKW: once the lock is free the writer of the next holder may get it before this one,
  // which nobody would end then.
  while (count_.load() == known_) {
    if (Lock(fd_, F_WRLCK)) return count_.load() == known_;
    if (errno != EAGAIN && errno != EACCES) return false;
    nanosleep(&kPause, nullptr);
  }
  return false;
}

void Turn::End() {
  // First: whoever gets the lock sees it.
  known_ = count_.fetch_add(1) + 1;
  Lock(fd_, F_UNLCK);
}

}  // namespace doublefork::logger

#endif
