#include "logger/turn.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace doublefork::logger {
namespace {

// A record lock, fcntl(2): unlike flock(2)'s no child has it, too.
bool Lock(int fd, int command, short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  int result;
  do {
    result = fcntl(fd, command, &lock);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

}  // namespace

bool Turn::Open() {
  fd_ = static_cast<int>(syscall(SYS_memfd_create, "doublefork-turn", 1U /* MFD_CLOEXEC */));
  return fd_ >= 0;
}

bool Turn::Begin() { return Lock(fd_, F_SETLKW, F_WRLCK) && count_.load() == known_; }

void Turn::End() {
  // First: whoever gets the lock sees it.
  known_ = count_.fetch_add(1) + 1;
  Lock(fd_, F_SETLK, F_UNLCK);
}

}  // namespace doublefork::logger

#endif
