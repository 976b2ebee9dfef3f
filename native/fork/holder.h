// A process that has the memory of another one and does nothing, so that the other's end is heard
// of before its memory is freed.
#ifndef DOUBLEFORK_FORK_HOLDER_H_
#define DOUBLEFORK_FORK_HOLDER_H_

#include <sys/types.h>

namespace doublefork {

// The kernel tells a parent that its child has ended when it has freed the child's memory: 3 ms at
// 30 MB, 23 ms at 300 MB. If one more process has that memory, it tells at once, and the memory is
// freed when that one ends, which is when nobody waits for it.
//
// Makes one for this process, as a child of its parent: the program never sees it among its own. It
// ends a moment after this process has, or has become another program by execve(2).
//
// It has the ids and capabilities that this process has now, also when the program gives them up,
// in memory that the program can write. So there is nothing that it could do with them: it has no
// descriptor, and a filter for system calls (seccomp(2)) that lets it wait and end, before the
// program runs. Where there is no such filter, or no close_range(2) (Linux before 5.9), there is no
// holder.
//
// `tid_address`: where the kernel clears this thread's id at its end. Only raw system calls. 0:
// there is none.
pid_t MakeHolder(int* tid_address);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_HOLDER_H_
