// statx(2) past libc: musl has it since 1.2.5 only. By itself, as <linux/stat.h> and <sys/stat.h>
// may both define what it fills in.

#include "logger/birth.h"

#ifdef __linux__

#include <linux/fcntl.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace doublefork::logger {

uint64_t BirthOf(int fd) {
  struct statx status;
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_MTIME, &status) != 0) return 0;
  const bool is_known = (status.stx_mask & STATX_BTIME) != 0;
  return static_cast<uint64_t>((is_known ? status.stx_btime : status.stx_mtime).tv_sec);
}

}  // namespace doublefork::logger

#endif  // __linux__
