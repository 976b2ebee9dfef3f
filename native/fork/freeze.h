// Stops every other thread of the process at a place from which a copy of it can go on.
#ifndef DOUBLEFORK_FORK_FREEZE_H_
#define DOUBLEFORK_FORK_FREEZE_H_

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "fork/reason.h"

namespace doublefork {

// Everything that a copy of a thread needs, recorded by the thread itself in the handler that froze
// it, on its own stack.
struct Thread {
  enum State : int { kRunning, kSignalled, kAnswering, kFrozen, kGone };

  pid_t tid;
  pid_t new_tid;  // of the thread that CreateThreads() has made of it
  std::atomic<int> state;
  // Moves on when the thread may leave the handler. It never goes back: a thread that is slow to
  // leave must not mistake a later freeze for its own.
  std::atomic<int> ticket;
  bool kept;  // frozen for good
  // futex: the kernel clears it when the thread that was dismissed is off its stack.
  std::atomic<int> alive;

  const siginfo_t* info;
  const ucontext_t* context;
  char* stack;  // below which nothing is in use, not even while the thread waits in the handler
  char* thread_pointer;
  int* tid_address;
  void* robust_list;
  size_t robust_list_size;
  int nice;
  char name[16];
  long affinity_size;  // bytes, as the kernel filled them
  unsigned long affinity[128 / sizeof(unsigned long)];
};

// All signals blocked on the calling thread for as long as this lives. By a raw call: libc keeps
// signals 32 and 33 out of reach.
class BlockedSignals {
 public:
  BlockedSignals();
  ~BlockedSignals();
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  uint64_t old_;
};

// The other threads, frozen from Stop() until Thaw() or the end of the scope. Signals are blocked
// on the calling thread meanwhile.
class Freeze {
 public:
  Freeze() = default;
  ~Freeze() { Thaw(); }
  Freeze(const Freeze&) = delete;
  Freeze& operator=(const Freeze&) = delete;

  // False, with the reason and every thread running again, when one cannot be stopped in time.
  bool Stop(int timeout_ms, Reason& reason);
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
  void NoteIds(pid_t Thread::*id);

  bool stopped_ = false;
  int* tid_address_ = nullptr;
};

// Around the time in which a revived thread still needs its entry: the table is not used again
// before.
void BeginReading();
void FinishReading();

// Whether threads of this process were kept (Freeze::Keep()).
bool AreThreadsKept();

// The threads that are frozen now.
Thread* FrozenBegin();
Thread* FrozenEnd();

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_FREEZE_H_
