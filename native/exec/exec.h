// The second way to make a daemon: fork, setsid, fork, execve; and a worker: fork, execve. A fresh
// image runs the program from its start until the call that made it is reached again.
#ifndef DOUBLEFORK_EXEC_EXEC_H_
#define DOUBLEFORK_EXEC_EXEC_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/failure.h"
#include "confine/confinement.h"

namespace doublefork {

// Everything that the new process needs, ready before the fork: behind it nothing may be allocated.
struct Image {
  Confinement confinement;
  std::string path;
  std::string cwd;  // empty: where the launcher is
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  // The new process writes its own id behind these `NAME=...` texts, which have room for it.
  std::vector<std::string> with_pid;
  // Descriptors that it keeps, beside 0-2, and those of 0-2 that lead nowhere until it says so.
  std::vector<int> kept;
  std::vector<int> null_fds;
  // Inherited descriptors that it does not keep.
  std::vector<int> closed;
  int null_fd = -1;  // open on /dev/null
};

// The new process's id, or -1 with the reason, and then nothing of it is left.
pid_t Launch(Image& image, Failure& failure);

// The same for a process of this session, in a process group of its own: a successor, which is
// init's child from the start, and not its predecessor's.
pid_t SpawnOrphan(Image& image, Failure& failure);

// A child of this process, with a process group of its own, that ends when this one does (Linux).
// `procs`: the cgroup.procs of a control group that it enters, or -1.
// Its id, or -1 with the reason. With both it could not become the image: it has ended, and is to
// be reaped. Blocks signals before: until the execve their handlers would run in the child.
pid_t Spawn(Image& image, int procs, Failure& failure);

}  // namespace doublefork

#endif  // DOUBLEFORK_EXEC_EXEC_H_
