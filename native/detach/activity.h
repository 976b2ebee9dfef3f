// What a program and all that it has started are doing: the only thing that can be seen of a
// program that says nothing.
#ifndef DOUBLEFORK_DETACH_ACTIVITY_H_
#define DOUBLEFORK_DETACH_ACTIVITY_H_

#include <sys/types.h>

#include <cstdint>

namespace doublefork {

struct Activity {
  bool known = false;   // False where there is no /proc that tells.
  bool idle = true;     // Every thread waits for something: none runs, or could, or reads a disk.
  int64_t busy_ms = 0;  // Processor time, that of children which have ended included.
};

// Of a process and its descendants. Async-signal-safe.
Activity ActivityOf(pid_t pid);

}  // namespace doublefork

#endif  // DOUBLEFORK_DETACH_ACTIVITY_H_
