#include "fork/freeze.h"

#include <errno.h>
#include <string.h>

#include <algorithm>

#include "base/clock.h"
#include "fork/arch.h"
#include "fork/futex.h"
#include "fork/quiescence.h"
#include "fork/restart.h"
#include "fork/stop_signal.h"

namespace doublefork {
namespace {

// A thread answers the signal as soon as the scheduler lets it, and the kernel: not in the midst of
// a write to a slow disk, for example. One that ends instead is no longer there; one that does
// neither blocks the signal by a raw system call. However little time is left, each gets this long.
constexpr int kLeastAnswerMs = 100;

// A thread that has not quiesced gets this long before it is stopped again, at least: as long as it
// took to stop it, too. Where many want the processor, that is how long it waits for its turn, and
// stopped again before that it would never get anything done.
constexpr long kPauseNanoseconds = 200'000;

constexpr int64_t kLongestPauseMs = 100;

constexpr const char* kRestless = "a thread did not come to rest in a system call";
constexpr const char* kRestlessHint =
    "it computes, or the machine is busy: call when it is idle, or allow more time";
// So many rounds later the others are let go too: the straggler may spin on what one of them holds.
constexpr int kRoundsBeforeThaw = 32;

constexpr const char* kNoRoom = "no memory for the list of threads";

bool kept = false;  // threads of this process, for good

bool Refuse(Reason& reason, int error, const char* what, const Thread* thread = nullptr) {
  if (thread != nullptr) {
    reason.tid = thread->tid;
    memcpy(reason.thread, thread->name, sizeof reason.thread);
    if (thread->IsFrozen()) reason.at = arch::InterruptedAt(*thread->context).pc;
  }
  return reason.Set(error, what);
}

const Thread* FirstWithoutAnswer() {
  for (const Thread& thread : threads) {
    if (thread.OwesAnswer()) return &thread;
  }
  return nullptr;
}

const Thread* FirstWithOwn() {
  for (const Thread& thread : threads) {
    if (thread.own != nullptr && thread.state.load() != Thread::kGone) return &thread;
  }
  return nullptr;
}

// A thread in a sandbox is not even stopped: what the handler calls may be what ends it.
int SendToPeer(Thread& thread) {
  return thread.own != nullptr ? -EXDEV : stop_signal::Send(thread);
}

// Waits until every signalled thread is in the handler, and none has come or ended meanwhile.
bool Assemble(int64_t deadline, bool to_copy, Reason& reason) {
  for (;;) {
    const int changes = threads.Update(to_copy ? SendToPeer : stop_signal::Send);
    const Thread* const awaited = FirstWithoutAnswer();
    if (changes == -ENOBUFS)
      return Refuse(reason, EAGAIN, "no signal can be queued for a thread (RLIMIT_SIGPENDING)");
    if (changes == -EXDEV) return Refuse(reason, ENOTSUP, FirstWithOwn()->own, FirstWithOwn());
    if (changes == -ENOTSUP)
      return Refuse(reason, ENOTSUP, "no signal can be queued for a thread (seccomp)");
    if (changes < 0 && changes != -EAGAIN)
      return Refuse(reason, -changes, "/proc/self/task cannot be read");
    if (changes == 0 && awaited == nullptr && threads.IsComplete()) return true;
    if (NowMs() >= deadline) {
      if (awaited != nullptr) {
        reason.hint = "it blocks the signal, or the machine is busy: allow more time";
        return Refuse(reason, EBUSY, "a thread did not take the signal that stops it", awaited);
      }
      return Refuse(reason, EBUSY, "threads are created faster than they can be stopped");
    }
    if (changes == -EAGAIN) {
      // Threads that were kept are looking at their entries.
      if (kept) return Refuse(reason, EBUSY, "there are too many threads beside the stopped ones");
      stop_signal::ReleaseAll();
      if (!threads.MakeRoom()) return Refuse(reason, ENOMEM, kNoRoom);
    } else if (awaited != nullptr) {
      stop_signal::AwaitAnswers();
    } else if (changes == 0) {
      Pause(kPauseNanoseconds);  // for the thread that was missed
    }
  }
}

}  // namespace

bool AreThreadsKept() { return kept; }

bool Freeze::Stop(int timeout_ms, Reason& reason, bool to_copy) {
  if (!FindTidAddress(tid_address_)) {
    return Refuse(reason, ENOTSUP, "libc's place for the thread id was not found");
  }
  AwaitReaders();
  threads.NoteCaller();
  // Threads that were kept are looking at their entries.
  if (!kept && !threads.MakeRoom()) {
    return Refuse(reason, ENOMEM, kNoRoom);
  }
  if (!stop_signal::InstallHandler()) {
    return Refuse(reason, ENOTSUP, "no handler can be set for signal 33");
  }
  stopped_ = true;

  const int64_t deadline = NowMs() + timeout_ms;
  for (int round = 1;; ++round) {
    const int64_t began = NowMs();
    if (!Assemble(std::max(deadline, NowMs() + kLeastAnswerMs), to_copy, reason)) break;
    const Thread* straggler = nullptr;
    const bool last = NowMs() >= deadline;
    const bool thaw = round % kRoundsBeforeThaw == 0;
    for (Thread& thread : FrozenThreads()) {
      if (thread.kept) continue;
      SettleCall(thread);
      if (IsQuiescent(thread)) continue;
      straggler = &thread;
      if (last) break;
      // The quiescent stay where they are: so each thread needs to be met resting once, not all of
      // them at the same moment.
      if (!thaw) stop_signal::Release(thread);
    }
    if (straggler == nullptr) return true;
    if (last) {
      Refuse(reason, EBUSY, kRestless, straggler);
      reason.hint = kRestlessHint;
      break;
    }
    const int64_t now = NowMs();
    if (thaw) stop_signal::ReleaseAll();
    const int64_t pause_ms = std::min({now - began, deadline - now, kLongestPauseMs});
    Pause(std::max(kPauseNanoseconds, static_cast<long>(pause_ms) * 1'000'000));
  }
  Thaw();
  return false;
}

void Freeze::Thaw() {
  if (!stopped_) return;
  stopped_ = false;
  stop_signal::ReleaseAll();
  if (!kept) stop_signal::RestoreHandler();
}

void Freeze::ThawAfter(void (*action)(const void*), const void* argument) {
  stop_signal::ReleaseAllAfter(action, argument);
  Thaw();
}

void Freeze::Keep(bool helpers_run) {
  // Once: a helper that is at work by now remains one.
  const bool chosen = helpers_run && kept;
  for (Thread& thread : FrozenThreads()) {
    if (!chosen && (!helpers_run || !SleepsUntilWoken(thread))) stop_signal::Keep(thread);
  }
  kept = true;
  Thaw();
}

void Freeze::Dismiss() { stop_signal::EndAll(); }

void Freeze::NoteNewIds() {
  *tid_address_ = static_cast<int>(arch::Syscall(SYS_gettid));
  for (Thread& thread : FrozenThreads()) *thread.tid_address = thread.new_tid;
}

void Freeze::TakeBack() {
  *tid_address_ = static_cast<int>(arch::Syscall(SYS_gettid));
  for (Thread& thread : FrozenThreads()) *thread.tid_address = thread.tid;
  ForgetReaders();
}

void Freeze::Forget() {
  stopped_ = false;
  kept = false;
  stop_signal::ForgetEnding();
  threads.Clear();
  stop_signal::RestoreHandler();
}

}  // namespace doublefork
