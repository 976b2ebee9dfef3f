// Locks that remember the id of the thread that holds them, which the copy of a thread has not.
#ifndef DOUBLEFORK_FORK_OWNED_LOCKS_H_
#define DOUBLEFORK_FORK_OWNED_LOCKS_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "fork/reason.h"
#include "fork/scratch.h"
#include "fork/threads.h"

namespace doublefork {

// glibc's recursive and error-checking mutexes and its read-write locks let only their owner unlock
// them. A thread may hold one while it sleeps: SQLite waits for another process's lock so, with its
// database locked. Nothing tells which locks there are: the memory is searched for what looks like
// one that a frozen thread holds. That takes about a millisecond for 10 MB, so it is done only if a
// thread sleeps elsewhere than where pools of threads and event loops wait for work.
class OwnedLocks {
 public:
  // Before the clone, while all are frozen.
  bool Find(Reason& reason);
  // In the new process, once it has its threads and before they run: the locks are theirs.
  void PassOn() const;

 private:
  struct Owner {
    int* word;             // where the lock has the owner's id
    const Thread* thread;  // null: the calling one
  };

  bool SearchMapping(uintptr_t begin, uintptr_t end, int pagemap, Reason& reason);
  bool Search(const char* begin, const char* end, Reason& reason);
  bool IsAnyOf(pid_t id, const Thread*& thread) const;

  pid_t self_ = 0;
  pid_t least_ = 0;
  pid_t most_ = 0;
  Scratch<Owner> owners_;
};

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_OWNED_LOCKS_H_
