// Signal 33 stops a thread: in its handler the thread records what it is, and waits.
#ifndef DOUBLEFORK_FORK_STOP_SIGNAL_H_
#define DOUBLEFORK_FORK_STOP_SIGNAL_H_

#include <cstdint>

#include "fork/threads.h"

namespace doublefork {

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

namespace stop_signal {

// libc's own handler of the signal is kept and served meanwhile.
bool InstallHandler();
void RestoreHandler();

// Has a thread stop. 0; -ENOBUFS if the kernel queues no more signals, -ENOTSUP if it queues none
// (seccomp(2)). A thread that is no longer there is noted as gone.
int Send(Thread& thread);
// Waits until none of them owes an answer, for about a millisecond: one that ends does not answer.
void AwaitAnswers();

// Lets a frozen thread leave the handler.
void Release(Thread& thread);
// A frozen thread stays so for good. It answers libc all the same.
void Keep(Thread& thread);
// Lets all go, but for those that are kept. One that has not answered yet will find that nobody
// waits for it.
void ReleaseAll();
// The same; each runs the action first. Returns when all have.
void ReleaseAllAfter(void (*action)(const void*), const void* argument);
// The frozen threads end in the handler, the kept ones too. Returns when all are off their stacks.
void EndAll();
// In a process whose frozen threads are another's: nobody is to end any more.
void ForgetEnding();

}  // namespace stop_signal
}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_STOP_SIGNAL_H_
