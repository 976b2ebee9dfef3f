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
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork/arch.h"
#include "fork/freeze.h"
#include "fork/heap.h"
#include "fork/revive.h"
#include "fork/separate.h"

namespace doublefork {
namespace {

// A pipe on which the child says that it came to life, or why not: fork() either gives two working
// processes or an error. If the child is killed on the way its end is closed for it.
class Report {
 public:
  Report() {
    const long error = arch::Syscall(SYS_pipe2, reinterpret_cast<long>(fds_), O_CLOEXEC);
    if (error < 0) error_ = static_cast<int>(-error);
  }
  ~Report() {
    for (int fd : fds_) Close(fd);
  }
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  int error() const { return error_; }

  void Send(const Reason& reason) {
    arch::Syscall(SYS_write, fds_[1], reinterpret_cast<long>(&reason), sizeof reason);
  }

  // The sentence in `reason` is a literal: its address means the same in both processes.
  void Receive(Reason& reason) {
    Close(fds_[1]);
    long got;
    do {
      got = arch::Syscall(SYS_read, fds_[0], reinterpret_cast<long>(&reason), sizeof reason);
    } while (got == -EINTR);
    if (got != sizeof reason) reason.Set(ECHILD, "the child was killed before it came to life");
  }

 private:
  static void Close(int& fd) {
    if (fd >= 0) arch::Syscall(SYS_close, fd);
    fd = -1;
  }

  int fds_[2] = {-1, -1};
  int error_ = 0;
};

// The kernel writes the new id where libc keeps it (CLONE_CHILD_SETTID), and clears it at the end
// of the thread, as it does for every other. Not libc's fork(): that would hand the stacks of the
// other threads to its free list.
long CloneProcess(int* tid_address) {
  return arch::Clone(CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, tid_address);
}

// The intermediate of a double fork does nothing but setsid and clone. It borrows the caller's
// memory for that (CLONE_VM | CLONE_VFORK, as posix_spawn(3) does) instead of copying it: so a
// double fork copies the process once, not twice. It is a process of its own all the same, the
// leader of the new session, and gone before the launcher goes on.
struct Intermediate {
  int* tid_address;
  jmp_buf daemon;
  long result;
  alignas(64) char stack[16384];
} intermediate;

int RunIntermediate(void*) {
  arch::Syscall(SYS_setsid);
  intermediate.result = CloneProcess(intermediate.tid_address);
  // The daemon owns a copy of all memory, the launcher's stack included, and goes on there.
  if (intermediate.result == 0) longjmp(intermediate.daemon, 1);
  arch::Syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

long CloneDaemon(int* tid_address) {
  intermediate.tid_address = tid_address;
  intermediate.result = -ECHILD;  // It may be killed before it has one.
  if (setjmp(intermediate.daemon) != 0) return 0;
  const pid_t pid = clone(RunIntermediate, intermediate.stack + sizeof intermediate.stack,
                          CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  if (pid < 0) return -errno;
  arch::Syscall(SYS_wait4, pid, 0, 0, 0);
  return intermediate.result;
}

long CloneGenerations(Generations generations, int* tid_address) {
  return generations == Generations::kDaemon ? CloneDaemon(tid_address) : CloneProcess(tid_address);
}

bool Confine(const Confinement* confinement, Reason& reason) {
  Failure failure;
  if (confinement == nullptr) return true;
  if (!confinement->Apply(failure)) return reason.Set(failure);
  if (confinement->nice()) {
    for (Thread* thread = FrozenBegin(); thread != FrozenEnd(); ++thread) {
      thread->nice = *confinement->nice();
    }
  }
  return true;
}

// The first steps of the new process.
void ComeToLife(const Confinement* confinement, Freeze& freeze, KernelObjects& objects,
                HiddenHeap& heap, Report& report, Reason& reason, void* robust_list,
                size_t robust_list_size) {
  RegisterOwnThread(robust_list, robust_list_size);
  if (!objects.Separate(reason) || !Confine(confinement, reason) || !ReviveThreads(reason)) {
    report.Send(reason);
    arch::Syscall(SYS_exit_group, 1);
  }
  report.Send(reason);
  freeze.Forget();
  heap.Hide();
}

}  // namespace

pid_t Fork(const ForkRequest& request, Reason& reason) {
  if (arch::Syscall(SYS_gettid) != arch::Syscall(SYS_getpid)) {
    reason.Set(EPERM, "fork() works from the main thread only");
    return -1;
  }
  if (!IsMachineFit(reason)) return -1;
  const BlockedSignals blocked;
  Freeze freeze;
  if (!freeze.Stop(request.timeout_ms, reason)) return -1;

  // A frozen parent may fork again, as a supervisor does: its children run beside each other. Only
  // a launcher has one child, and then ends.
  KernelObjects objects(request.main_loop, request.generations == Generations::kChild);
  HiddenHeap heap;
  Report report;
  if (report.error() != 0) {
    reason.Set(report.error(), "no pipe for the child's report");
    return -1;
  }
  if (!objects.TakeInventory(reason) || !heap.Unhide(reason)) return -1;

  void* robust_list = nullptr;
  size_t robust_list_size = 0;
  arch::Syscall(SYS_get_robust_list, 0, reinterpret_cast<long>(&robust_list),
                reinterpret_cast<long>(&robust_list_size));

  const long pid = CloneGenerations(request.generations, freeze.tid_address());
  if (pid == 0) {
    ComeToLife(request.confinement, freeze, objects, heap, report, reason, robust_list,
               robust_list_size);
    return 0;
  }
  if (pid < 0) {
    reason.Set(static_cast<int>(-pid), "the kernel refuses another process");
    return -1;
  }
  heap.Hide();
  report.Receive(reason);
  if (reason.error != 0) {
    arch::Syscall(SYS_wait4, pid, 0, 0, 0);
    return -1;
  }
  if (request.parent != Parent::kRuns) freeze.Keep(request.parent == Parent::kAlone);
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
  if (!freeze.Stop(timeout_ms, reason)) return false;
  if (!confinement.Apply(failure)) return reason.Set(failure);
  freeze.ThawAfter(act, &order);
  return order.failed.load() == 0 || reason.Set(order.failure);
}

}  // namespace doublefork
