// The table of descriptors, which two processes may have together (CLONE_FILES).
#ifndef DOUBLEFORK_FORK_DESCRIPTOR_TABLE_H_
#define DOUBLEFORK_FORK_DESCRIPTOR_TABLE_H_

namespace doublefork {

// Whether this process may leave a table to another one, found out without leaving it: kernels
// before 5.9 lack one of the two calls, and filters of containers forbid the other.
bool CanLeaveDescriptors();

// Leaves the table to the other process, with the record locks, which belong to the table; goes on
// with a copy of it. 0, or -errno when nothing has changed.
long LeaveDescriptors();

// Closes all from 3 on but `kept`, in a table of this process's own.
void CloseDescriptors(int kept);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_DESCRIPTOR_TABLE_H_
