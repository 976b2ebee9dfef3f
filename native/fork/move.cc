// The protocol, top to bottom: freeze, setsid between two clones, come to life, dismiss, go on.
//
// The launcher of a daemon runs nothing of the program any more, it waits and exits. So the daemon
// needs no copy of its memory: it takes the memory itself (CLONE_VM, as posix_spawn(3) does for a
// moment). That takes the same time for any heap, and what a copy has to mend never breaks: the
// heap that V8 hides from a fork is there, no wake-up and no random number can come twice, and
// epolls, eventfds and rings have one user, as before.
//
// What must be seen to instead: as long as the launcher lives, two processes are in one memory. It
// stays out of the daemon's way on a stack of its own, and the kernel must not write there what the
// end of a launcher's thread would mean (CLEARTID, robust lists, rseq).
#include "fork/move.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

#include "fork/arch.h"
#include "fork/fork.h"
#include "fork/freeze.h"
#include "fork/pipe.h"
#include "fork/proc.h"
#include "fork/revive.h"
#include "fork/rings.h"
#include "fork/separate.h"

namespace doublefork {
namespace {

// Static: the launcher's is in use for as long as the launcher is, and never again.
alignas(64) char launcher_stack[64 * 1024];
alignas(64) char intermediate_stack[8 * 1024];
alignas(64) char daemon_stack[8 * 1024];

// What a refusal must put back: the daemon has shared it with its launcher.
class SharedState {
 public:
  SharedState()
      : dumpable_(arch::Syscall(SYS_prctl, PR_GET_DUMPABLE)),
        length_(proc::ReadFile(kPath, oom_score_adj_, sizeof oom_score_adj_)) {}

  void Restore() const {
    if (dumpable_ == 1) arch::Syscall(SYS_prctl, PR_SET_DUMPABLE, 1);
    char now[sizeof oom_score_adj_];
    const long length = proc::ReadFile(kPath, now, sizeof now);
    if (length_ <= 0 || (length == length_ && memcmp(now, oom_score_adj_, length) == 0)) return;
    const proc::File file(kPath, O_WRONLY);
    arch::Syscall(SYS_write, file.fd(), reinterpret_cast<long>(oom_score_adj_), length_);
  }

 private:
  static constexpr const char* kPath = "/proc/self/oom_score_adj";
  const long dumpable_;
  char oom_score_adj_[16] = {};
  const long length_;
};

class Departure {
 public:
  Departure(Freeze& freeze, const MoveRequest& request, Reason& reason)
      : freeze_(freeze), request_(request), reason_(reason), objects_(request.main_loop) {
    arch::Syscall(SYS_get_robust_list, 0, reinterpret_cast<long>(&robust_list_),
                  reinterpret_cast<long>(&robust_list_size_));
    arch::Syscall(SYS_sigaltstack, 0, reinterpret_cast<long>(&signal_stack_));
  }

  int Run();

 private:
  enum class Role { kNobody, kDaemon, kRefused };

  static void Launch();
  static int RunIntermediate(void* self);
  static int RunDaemon(void* self);

  pid_t Clone();
  void BecomeLauncher();
  void ComeToLife();
  bool Confine();

  Freeze& freeze_;
  const MoveRequest& request_;
  Reason& reason_;
  // The kernel's threads that serve a ring (UV_USE_IO_URING) are its maker's, and end with the
  // launcher. Then the daemon makes all such objects anew, as a copy does.
  bool separates_ = false;
  KernelObjects objects_;
  Pipe alive_;  // the daemon says so, or why not
  Pipe go_;     // closed when it may go on
  const SharedState shared_;
  void* robust_list_ = nullptr;
  size_t robust_list_size_ = 0;
  stack_t signal_stack_ = {};
  ucontext_t home_ = {};  // the caller's, to which the daemon returns, or the launcher if refused
  Role role_ = Role::kNobody;
  long daemon_ = -ECHILD;
};

// Where makecontext(3) begins; it can pass no pointer.
Departure* departing = nullptr;

// The intermediate does nothing but setsid and clone. It borrows the memory for that while the
// launcher sleeps (CLONE_VFORK). It is a process of its own all the same, the leader of the new
// session, and gone before the launcher goes on.
int Departure::RunIntermediate(void* self) {
  auto& departure = *static_cast<Departure*>(self);
  arch::Syscall(SYS_setsid);
  // The kernel writes the new id where libc keeps it, and clears it at the end of the thread, as it
  // does for every other.
  const int pid = clone(RunDaemon, daemon_stack + sizeof daemon_stack,
                        CLONE_VM | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, self,
                        nullptr, nullptr, departure.freeze_.tid_address());
  departure.daemon_ = pid < 0 ? -errno : pid;
  arch::Syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

int Departure::RunDaemon(void* self) {
  auto& departure = *static_cast<Departure*>(self);
  departure.role_ = Role::kDaemon;
  setcontext(&departure.home_);
  __builtin_unreachable();
}

pid_t Departure::Clone() {
  const pid_t intermediate = clone(RunIntermediate, intermediate_stack + sizeof intermediate_stack,
                                   CLONE_VM | CLONE_VFORK | SIGCHLD, this);
  if (intermediate < 0) return -errno;
  arch::Syscall(SYS_wait4, intermediate, 0, 0, 0);
  return static_cast<pid_t>(daemon_);
}

void Departure::Launch() { departing->BecomeLauncher(); }

// On a stack of its own. What is in `this` belongs to the daemon now, and is read only.
void Departure::BecomeLauncher() {
  const pid_t daemon = Clone();
  Reason refusal;
  if (daemon < 0) {
    refusal.Set(-daemon, "the kernel refuses another process");
  } else {
    arch::Syscall(SYS_close, alive_.writer());
    ReceiveReason(alive_.reader(), refusal);
    if (refusal.error == 0) {
      freeze_.Dismiss();
      UnregisterOwnThread();
      request_.remainder.Run(daemon, LettingGo(go_.writer()));
    }
    arch::Syscall(SYS_wait4, daemon, 0, 0, 0);
    alive_.ForgetWriter();
  }
  // The daemon is gone, and this process the only one in the memory again.
  freeze_.TakeBack();
  shared_.Restore();
  reason_ = refusal;
  role_ = Role::kRefused;
  setcontext(&home_);
}

bool Departure::Confine() {
  Failure failure;
  if (!request_.confinement.Apply(failure)) return reason_.Set(failure);
  if (request_.confinement.nice()) {
    for (Thread* thread = FrozenBegin(); thread != FrozenEnd(); ++thread) {
      thread->nice = *request_.confinement.nice();
    }
  }
  return true;
}

// Up to the word that it lives nothing has changed that the launcher could not take back.
void Departure::ComeToLife() {
  RegisterOwnThread(robust_list_, robust_list_size_);
  arch::Syscall(SYS_sigaltstack, reinterpret_cast<long>(&signal_stack_), 0);
  if (!Confine() || !CreateThreads(reason_) || (separates_ && !objects_.Separate(reason_))) {
    SendReason(alive_.writer(), reason_);
    arch::Syscall(SYS_exit_group, 1);
  }
  SendReason(alive_.writer(), reason_);
  go_.CloseWriter();
  char nothing;
  while (arch::Syscall(SYS_read, go_.reader(), reinterpret_cast<long>(&nothing), 1) == -EINTR) {
  }
  freeze_.Forget();
  OpenGate();
}

int Departure::Run() {
  if (alive_.error() != 0 || go_.error() != 0) {
    reason_.Set(alive_.error() != 0 ? alive_.error() : go_.error(), "no pipe to the daemon");
    return -1;
  }
  Rings rings;
  if (!rings.TakeInventory(reason_)) return -1;
  separates_ = rings.IsPolled();
  if (separates_ && !objects_.TakeInventory(reason_)) return -1;
  departing = this;
  ucontext_t launcher;
  getcontext(&launcher);
  launcher.uc_stack.ss_sp = launcher_stack;
  launcher.uc_stack.ss_size = sizeof launcher_stack;
  launcher.uc_link = nullptr;
  makecontext(&launcher, Launch, 0);
  swapcontext(&home_, &launcher);
  if (role_ == Role::kRefused) return -1;
  ComeToLife();
  return 0;
}

}  // namespace

void LettingGo::CloseAllBut(int kept) const {
  proc::ForEachNumber("/proc/self/fd", [&](int fd, int folder) {
    if (fd > STDERR_FILENO && fd != folder && fd != kept && fd != pipe_) {
      arch::Syscall(SYS_close, fd);
    }
    return 0;
  });
  arch::Syscall(SYS_close, pipe_);
}

int Move(const MoveRequest& request, Reason& reason) {
  if (arch::Syscall(SYS_gettid) != arch::Syscall(SYS_getpid)) {
    reason.Set(EPERM, "fork() works from the main thread only");
    return -1;
  }
  if (!IsMachineFit(reason)) return -1;
  const BlockedSignals blocked;
  Freeze freeze;
  if (!freeze.Stop(request.timeout_ms, reason)) return -1;
  return Departure(freeze, request, reason).Run();
}

}  // namespace doublefork
