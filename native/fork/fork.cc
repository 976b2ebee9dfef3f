// The protocol, top to bottom: freeze, inventory, un-hide, clone, separate, revive.
//
// Why a plain fork(2) does not do: V8 hides its heap from it, and of all threads only the caller's
// comes along, while the locks that the others held stay locked for ever. So here the heap is made
// visible, the others are stopped where they hold nothing that matters, and each is brought to life
// again in the child. The docs say more: docs/fork.md.
//
// From the freeze to the thaw nothing may call malloc or stdio, in the parent and in the child: a
// frozen thread may be inside of either.
#include "fork/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pipe.h"
#include "base/report.h"
#include "fork/arch.h"
#include "fork/freeze.h"
#include "fork/heap.h"
#include "fork/holder.h"
#include "fork/owned_locks.h"
#include "fork/revive.h"
#include "fork/separate.h"
#include "fork/stop_signal.h"

namespace doublefork {
namespace {

// The kernel writes the new id where libc keeps it (CLONE_CHILD_SETTID), and clears it at the end
// of the thread, as it does for every other. Not libc's fork(): that would hand the stacks of the
// other threads to its free list.
long CloneProcess(int* tid_address) {
  return arch::Clone(CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, tid_address);
}

// The first steps of the new process.
void StartChild(Freeze& freeze, KernelObjects& objects, const OwnedLocks& locks, HiddenHeap& heap,
                const ForkRequest& request, int report, Birth& birth, void* robust_list,
                size_t robust_list_size) {
  RegisterOwnThread(robust_list, robust_list_size);
  if (request.held == HeldThreads::kForSpare) NameSpare();
  // Before the threads, and before the parent goes on: nobody sees the one without the other.
  if (request.makes_holder) birth.holder = MakeHolder(freeze.tid_address());
  if (!objects.Separate(birth.reason) || !CreateThreads(request.held, birth.reason)) {
    Send(report, birth);
    arch::Syscall(SYS_exit_group, 1);
  }
  Send(report, birth);
  locks.PassOn();
  OpenGate();
  freeze.Forget();
  heap.Hide();
}

}  // namespace

pid_t Fork(const ForkRequest& request, Birth& birth) {
  Reason& reason = birth.reason;
  if (arch::Syscall(SYS_gettid) != arch::Syscall(SYS_getpid)) {
    reason.Set(EPERM, "fork() works from the main thread only");
    return -1;
  }
  if (!IsMachineFit(reason)) return -1;
  const BlockedSignals blocked;
  Freeze freeze;
  if (!freeze.Stop(request.timeout_ms, reason)) return -1;

  KernelObjects objects(request.main_loop, true);
  HiddenHeap heap;
  // fork() either gives two working processes or an error.
  Pipe report;
  if (report.error() != 0) {
    reason.Set(report.error(), "no pipe for the child's report");
    return -1;
  }
  OwnedLocks locks;
  if (!objects.TakeInventory(reason) || HasTimers(reason) || !locks.Find(reason) ||
      !heap.Unhide(reason))
    return -1;

  void* robust_list = nullptr;
  size_t robust_list_size = 0;
  arch::Syscall(SYS_get_robust_list, 0, reinterpret_cast<long>(&robust_list),
                reinterpret_cast<long>(&robust_list_size));

  const long pid = CloneProcess(freeze.tid_address());
  if (pid == 0) {
    StartChild(freeze, objects, locks, heap, request, report.writer(), birth, robust_list,
               robust_list_size);
    return 0;
  }
  if (pid < 0) {
    reason.Set(static_cast<int>(-pid), "the kernel refuses another process");
    return -1;
  }
  heap.Hide();
  report.CloseWriter();
  AwaitReport(report.reader(), static_cast<pid_t>(pid));
  if (!Receive(report.reader(), birth)) {
    reason.Set(ECHILD, "the child was killed before it came to life");
  }
  if (reason.error != 0) {
    arch::Syscall(SYS_wait4, pid, 0, 0, 0);
    return -1;
  }
  if (request.parent != Parent::kRuns) freeze.Keep(request.parent == Parent::kMainThread);
  return static_cast<pid_t>(pid);
}

bool ConfineEverywhere(const Confinement& confinement, int timeout_ms, Reason& reason) {
  // Read by the other threads as they leave the handler.
  struct Order {
    const Confinement* confinement;
    std::atomic<int> failed{0};
    Failure failure;
  } order;
  order.confinement = &confinement;
  const auto act = [](const void* argument) {
    auto& order = *static_cast<Order*>(const_cast<void*>(argument));
    Failure failure;
    if (order.confinement->ApplyToThread(failure)) return;
    if (order.failed.fetch_add(1) == 0) order.failure = failure;
  };
  Failure failure;
  const BlockedSignals blocked;
  Freeze freeze;
  if (!freeze.Stop(timeout_ms, reason, false)) return false;
  if (!confinement.Apply(failure)) {
    reason = failure;
    return false;
  }
  freeze.ThawAfter(act, &order);
  if (order.failed.load() == 0) return true;
  reason = order.failure;
  return false;
}

}  // namespace doublefork
