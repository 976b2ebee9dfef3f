// Page faults taken ahead of need.
#ifndef DOUBLEFORK_FORK_PREFAULT_H_
#define DOUBLEFORK_FORK_PREFAULT_H_

#include <sys/types.h>

namespace doublefork {

// A child of fork(2) takes a fault for each page that it writes first, which copies it, and for
// each stretch of code that it runs first, which the kernel leaves out of the child's page tables:
// half of the time in which a new worker comes to its first answer. A process that has nothing else
// to do takes them before. The code that its parent has run costs no memory. Of pages to be written
// those are copied that `sibling`, a child of the same parent that does what this one is to do, has
// written since it was forked, at most 16 MB. 0, or where its pagemap cannot be read: those of
// mappings that are not large, where what is new and what changes is.
//
// Linux 5.14 (MADV_POPULATE_READ); nothing happens before.
void Prefault(pid_t sibling);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_PREFAULT_H_
