// Who the daemon is and what it may do: limits, root folder, groups, user, capabilities.
#ifndef DOUBLEFORK_CONFINE_CONFINEMENT_H_
#define DOUBLEFORK_CONFINE_CONFINEMENT_H_

#include <napi.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/failure.h"

namespace doublefork {

// Plain data, complete before the fork. Applying it allocates nothing and takes no lock: both
// engines do so in the new process, where other threads are frozen or missing. What needs root
// comes first; a step that fails ends it, and the process must not go on then.
class Confinement {
 public:
  Confinement() = default;
  // From what src/detach/confinement.ts makes; undefined: nothing is to change.
  explicit Confinement(const Napi::Value& value);

  // What all threads of a process share: limits, oom_score_adj(5), the root and working folder.
  bool ApplyToProcess(Failure& failure) const;
  // What the kernel keeps for each thread: nice value, groups, user, capabilities. Threads that are
  // created later have them too.
  bool ApplyToThread(Failure& failure) const;
  bool Apply(Failure& failure) const { return ApplyToProcess(failure) && ApplyToThread(failure); }

  // In a process with many threads, where libc alone can reach them: not for what libc cannot do.
  bool ApplyByLibc(Failure& failure) const;

  bool changes_root() const { return !root_.empty(); }
  // Whether there is anything that this process may do and the confined one may not; limits aside.
  bool gives_up_privileges() const {
    return changes_root() || groups_ || gid_ || uid_ || capabilities_ || no_new_privileges_;
  }
  // Of every thread, if it is to change.
  const std::optional<int>& nice() const { return nice_; }

 private:
  struct Limit {
    int resource;
    rlimit value;
  };

  bool ChangeRoot(Failure& failure) const;
  bool ChangeUser(Failure& failure) const;
  bool LimitCapabilities(Failure& failure) const;
  bool RestrictBounding(Failure& failure) const;
  bool IsIrrevocable(Failure& failure) const;

  std::vector<Limit> limits_;
  std::string oom_score_adj_;  // empty: unchanged
  std::optional<int> nice_;
  std::string root_;  // empty: unchanged
  std::optional<std::vector<gid_t>> groups_;
  std::optional<gid_t> gid_;
  std::optional<uid_t> uid_;
  std::optional<uint64_t> capabilities_;  // one bit for each that is kept
  bool no_new_privileges_ = false;
};

// Whether the process has rights that it could give up: it is root, or has another's ids besides
// its own, or capabilities.
bool HasPrivileges();

}  // namespace doublefork

#endif  // DOUBLEFORK_CONFINE_CONFINEMENT_H_
