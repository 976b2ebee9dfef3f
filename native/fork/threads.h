// The list of the other threads of the process, and what is known of each.
#ifndef DOUBLEFORK_FORK_THREADS_H_
#define DOUBLEFORK_FORK_THREADS_H_

#include <sched.h>
#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace doublefork {

// The system call in which a thread sleeps, as /proc/self/task/N/syscall tells it.
struct Call {
  static constexpr long kNone = -1;  // it runs, or nobody tells

  long number = kNone;
  long arguments[6];
  uintptr_t sp;
  uintptr_t pc;  // behind the instruction that entered it
};

// sched_attr of sched_setattr(2), in its first version, which every kernel knows.
struct SchedulingPolicy {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;

  static constexpr uint32_t kSize = 48;

  // Of a thread, 0: the calling one.
  void Read(pid_t tid);
  bool IsLike(const SchedulingPolicy& other) const {
    return policy == other.policy && priority == other.priority && flags == other.flags &&
           runtime == other.runtime && deadline == other.deadline && period == other.period;
  }
};

// Everything that a copy of a thread needs, recorded by the thread itself in the handler that froze
// it, on its own stack.
struct Thread {
  enum State : int { kRunning, kSignalled, kAnswering, kFrozen, kGone };

  std::atomic<pid_t> tid;  // the handler looks for its own
  pid_t new_tid;           // of the thread that CreateThreads() has made of it
  std::atomic<int> state;
  // Moves on when the thread may leave the handler. It never goes back: a thread that is slow to
  // leave must not mistake a later freeze for its own.
  std::atomic<int> ticket;
  std::atomic<bool> kept;  // frozen for good
  const char* own;         // what it has of its own, and its copy could not; null: nothing
  int gate;                // how far that of the new process has to be open for it: revive.cc
  // futex: the kernel clears it when the thread that was dismissed is off its stack.
  std::atomic<int> alive;

  Call call;     // before it was signalled
  bool settled;  // its call was made fit to be issued again: restart.h

  const siginfo_t* info;
  ucontext_t* context;
  char* stack;  // below which nothing is in use, not even while the thread waits in the handler
  char* thread_pointer;
  int* tid_address;
  void* robust_list;
  size_t robust_list_size;
  int nice;
  SchedulingPolicy policy;
  char name[16];
  long affinity_size;  // bytes, as the kernel filled them
  unsigned long affinity[128 / sizeof(unsigned long)];

  bool IsFrozen() const { return state.load() == kFrozen; }
  // Signalled, and not yet in the handler.
  bool OwesAnswer() const {
    const int now = state.load();
    return now == kSignalled || now == kAnswering;
  }
};

// One for the life of the process, reachable from a signal handler. Its memory is never given back:
// a thread may be on its way out of the handler long after the thaw.
class ThreadList {
 public:
  Thread* begin() { return threads_; }
  Thread* end() { return threads_ + size_.load(std::memory_order_acquire); }

  void Clear() { size_.store(0); }
  // Room for more threads than there are now, in an empty list. False: the kernel has no memory.
  bool MakeRoom();
  // At the start of a freeze: what the calling thread may do now, which the others are compared
  // with, and what it may read of them.
  void NoteCaller();
  // Brings the list up to date with the kernel's and calls `signal` for each thread that runs. How
  // many have come or ended since the last time, or -errno; -EAGAIN: there is no room for more.
  int Update(int (*signal)(Thread& thread));
  // Whether the last Update() has seen every thread. The kernel's list is not read in one moment: a
  // thread that comes meanwhile, while another ends, may be missed.
  bool IsComplete() const;
  // Whether the kernel tells in which call a thread sleeps: Thread::call.
  bool TellsCalls() const { return tells_calls_; }

 private:
  Thread* threads_ = nullptr;
  size_t capacity_ = 0;
  std::atomic<size_t> size_{0};
  bool tells_calls_ = false;
  char status_[4096];  // of the calling thread
  int seen_ = 0;       // entries of the kernel's list
};

extern ThreadList threads;

// Those of them that are frozen now: for (Thread& thread : FrozenThreads()).
class FrozenThreads {
 public:
  class Iterator {
   public:
    Iterator(Thread* at, Thread* end) : at_(at), end_(end) { Skip(); }
    Thread& operator*() const { return *at_; }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }
    void operator++() {
      ++at_;
      Skip();
    }

   private:
    void Skip() {
      while (at_ != end_ && !at_->IsFrozen()) ++at_;
    }
    Thread* at_;
    Thread* end_;
  };

  Iterator begin() const { return {threads.begin(), threads.end()}; }
  Iterator end() const { return {threads.end(), threads.end()}; }
};

// Where libc and the kernel keep a thread's id, as a distance from its thread pointer: the same for
// every thread of one libc. Found once; false if it cannot be.
bool FindTidAddress(int*& address);
int* TidAddress(char* thread_pointer);

// Around the time in which a revived thread still needs its entry: the list is not used again
// before.
void BeginReading();
void FinishReading();
void AwaitReaders();
// There are none: those that were to read are gone.
void ForgetReaders();

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_THREADS_H_
