// Stops every other thread of the process at a place from which a copy of it can go on.
#ifndef DOUBLEFORK_FORK_FREEZE_H_
#define DOUBLEFORK_FORK_FREEZE_H_

#include "fork/reason.h"
#include "fork/threads.h"

namespace doublefork {

// The other threads, frozen from Stop() until Thaw() or the end of the scope. Signals are blocked
// on the calling thread meanwhile.
class Freeze {
 public:
  Freeze() = default;
  ~Freeze() { Thaw(); }
  Freeze(const Freeze&) = delete;
  Freeze& operator=(const Freeze&) = delete;

  // False, with the reason and every thread running again, when one cannot be stopped in time.
  // If they are to be copied, also when one has privileges of its own, with ENOTSUP.
  bool Stop(int timeout_ms, Reason& reason, bool to_copy = true);
  // Lets them go on, but for those that an earlier call has kept.
  void Thaw();
  // The same, once each has run an action. Only async-signal-safe calls in it. Returns when all
  // have.
  void ThawAfter(void (*action)(const void*), const void* argument);
  // The threads stay as they are for good; a later Stop() of this process finds them so. With
  // `helpers_run`, those go on that sleep until the calling thread has work for them.
  void Keep(bool helpers_run);
  // They end, without a trace in the memory. Returns when all have.
  void Dismiss();
  // For the process that the threads were cloned into: the frozen ones are another's, or gone.
  void Forget();
  // Undoes what cloning them has changed in the memory, after that process has ended.
  void TakeBack();
  // In that process, when the frozen ones are gone: if they were killed, the kernel has cleared the
  // ids that libc keeps.
  void NoteNewIds();

  // The address at which libc and the kernel keep the calling thread's id.
  int* tid_address() const { return tid_address_; }

 private:
  bool stopped_ = false;
  int* tid_address_ = nullptr;
};

// Whether threads of this process were kept (Freeze::Keep()).
bool AreThreadsKept();

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_FREEZE_H_
