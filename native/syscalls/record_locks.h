#ifndef DOUBLEFORK_SYSCALLS_RECORD_LOCKS_H_
#define DOUBLEFORK_SYSCALLS_RECORD_LOCKS_H_

#include <string>
#include <vector>

namespace doublefork {

// A file on which this process holds record locks (fcntl(2)).
struct LockedFile {
  int fd;  // through which it took them
  std::string path;
};

// Linux; elsewhere nothing tells.
std::vector<LockedFile> LockedFiles();

}  // namespace doublefork

#endif  // DOUBLEFORK_SYSCALLS_RECORD_LOCKS_H_
