// The protocol, top to bottom: freeze, setsid between two clones, come to life, let go, go on.
//
// The launcher of a daemon runs nothing of the program any more, it waits and exits. So the daemon
// needs no copy of its memory: it takes the memory itself (CLONE_VM, as posix_spawn(3) does for a
// moment). That takes the same time for any heap, and what a copy has to mend never breaks: the
// heap that V8 hides from a fork is there, and no random number can come twice. Only where the
// launcher may do what the daemon may not is the memory copied: who can write to the memory of a
// process can have it do anything.
//
// The table of descriptors is one at first, in any case (CLONE_FILES). The kernel counts a record
// lock (fcntl(2), by which databases exclude each other) as the table's: the daemon keeps the
// table, and the launcher leaves it for a copy once the daemon lives. Epolls, eventfds and rings
// have one user, as before: the launcher's threads end before the daemon goes on.
//
// As long as the launcher lives, two processes may be in one memory. Who may write there, and when:
//
//   from the clone until the daemon says that it lives (Handshake::Report())
//     the daemon: the caller's stack, `reason_`, what CreateThreads() and the kernel write for new
//     threads. All of it can be taken back: a refusal is thrown in the launcher, unharmed.
//     the launcher: its own stack.
//   from there until the launcher lets go (Handshake::LetGo())
//     the launcher: its own stack, and what ends its threads (Dismiss()). With them go the
//     registrations by which the kernel would write: CLEARTID, robust lists, rseq.
//     the daemon: nothing, it waits.
//   from there on
//     the daemon: everything; it is the program.
//     the launcher: its own stack. Nothing that belongs to the thread it was, such as errno.
#include "fork/move.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

#include "fork/arch.h"
#include "fork/descriptor_table.h"
#include "fork/fork.h"
#include "fork/freeze.h"
#include "fork/handshake.h"
#include "fork/heap.h"
#include "fork/owned_locks.h"
#include "fork/proc.h"
#include "fork/revive.h"
#include "fork/rings.h"
#include "fork/separate.h"
#include "fork/stop_signal.h"

namespace doublefork {
namespace {

// The launcher's stack, and two on which the new processes begin. They are the launcher's for as
// long as it lives, which nobody else can know: so they are given back only after a refusal.
class Stacks {
 public:
  Stacks()
      : address_(arch::Syscall(SYS_mmap, 0, kSize, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {}
  ~Stacks() {
    if (!used_ && error() == 0) arch::Syscall(SYS_munmap, address_, kSize);
  }
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  int error() const { return address_ < 0 ? static_cast<int>(-address_) : 0; }
  void Keep() { used_ = true; }

  char* launcher() const { return reinterpret_cast<char*>(address_); }
  // They grow downwards.
  char* intermediate_top() const { return launcher() + kLauncher + kSmall; }
  char* daemon_top() const { return intermediate_top() + kSmall; }

  static constexpr long kLauncher = 64 * 1024;

 private:
  static constexpr long kSmall = 8 * 1024;
  static constexpr long kSize = kLauncher + 2 * kSmall;

  const long address_;
  bool used_ = false;
};

// What processes in one memory share although each has it in /proc: a refusal must put it back.
// (Whether it may be dumped is the memory's, too, but changes with the user alone, who gets a
// copy.)
class SharedState {
 public:
  SharedState() : length_(proc::ReadFile(kPath, oom_score_adj_, sizeof oom_score_adj_)) {}

  void Restore() const {
    char now[sizeof oom_score_adj_];
    const long length = proc::ReadFile(kPath, now, sizeof now);
    if (length_ <= 0 || (length == length_ && memcmp(now, oom_score_adj_, length) == 0)) return;
    const proc::File file(kPath, O_WRONLY);
    arch::Syscall(SYS_write, file.fd(), reinterpret_cast<long>(oom_score_adj_), length_);
  }

 private:
  static constexpr const char* kPath = "/proc/self/oom_score_adj";
  char oom_score_adj_[16] = {};
  const long length_;
};

class Move {
 public:
  Move(Freeze& freeze, const MoveRequest& request, Reason& reason)
      : freeze_(freeze), request_(request), reason_(reason), objects_(request.main_loop, false) {
    arch::Syscall(SYS_get_robust_list, 0, reinterpret_cast<long>(&robust_list_),
                  reinterpret_cast<long>(&robust_list_size_));
    arch::Syscall(SYS_sigaltstack, 0, reinterpret_cast<long>(&signal_stack_));
  }

  // 0 in the daemon, -1 in the launcher after a refusal.
  int Run();

 private:
  bool TakeInventory();

  // In the launcher, on its own stack.
  static void Launch();
  void BecomeLauncher();
  pid_t Clone();
  int TableFlag() const { return shares_descriptors_ ? CLONE_FILES : 0; }
  bool LeaveDescriptors(Reason& reason);

  // In the new processes.
  static int RunIntermediate(void* self);
  static int RunDaemon(void* self);
  // Out of line: a refused daemon has written below the frame to which the launcher returns.
  [[gnu::noinline]] void StartDaemon();
  bool Confine();

  Freeze& freeze_;
  const MoveRequest& request_;
  Reason& reason_;
  // A ring that a thread of the kernel's serves (UV_USE_IO_URING) and a signalfd(2) in an epoll are
  // bound to the process that made them. Then the daemon makes all such objects anew, as a copy
  // does.
  bool separates_ = false;
  KernelObjects objects_;
  HiddenHeap heap_;
  Handshake handshake_;
  const bool shares_descriptors_ = CanLeaveDescriptors();
  OwnedLocks locks_;
  Stacks stacks_;
  const SharedState shared_;
  void* robust_list_ = nullptr;
  size_t robust_list_size_ = 0;
  stack_t signal_stack_ = {};
  ucontext_t home_ = {};  // the caller's, to which the daemon returns, or the launcher if refused
  bool refused_ = false;
  pid_t daemon_ = -ECHILD;  // the intermediate may be killed before there is one
};

// Where makecontext(3) begins; it can pass no pointer.
Move* moving = nullptr;

void Move::Launch() { moving->BecomeLauncher(); }

void Move::BecomeLauncher() {
  const pid_t daemon = Clone();
  Reason refusal;
  if (daemon < 0) {
    refusal.Set(-daemon, daemon == -ECHILD ? "the intermediate process was killed"
                                           : "the kernel refuses another process");
  } else {
    if (handshake_.AwaitReport(daemon, refusal) && LeaveDescriptors(refusal)) {
      freeze_.Dismiss();
      UnregisterOwnThread();
      // It needs none, and the daemon may have given them up.
      arch::Syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      request_.task.Run(daemon, handshake_);
    }
    handshake_.Abandon();
    AwaitEnd(daemon);
  }
  // The daemon is gone, and this process the only one in the memory again.
  freeze_.TakeBack();
  shared_.Restore();
  reason_ = refusal;
  refused_ = true;
  setcontext(&home_);
}

// The last step that can fail, or be taken back.
bool Move::LeaveDescriptors(Reason& reason) {
  const long error = shares_descriptors_ ? doublefork::LeaveDescriptors() : 0;
  return error >= 0 ||
         reason.Set(static_cast<int>(-error), "the launcher cannot leave the descriptors");
}

// The intermediate does nothing but setsid and clone. It borrows the memory for that while the
// launcher waits. It is a process of its own all the same, the leader of the new session, and gone
// before the launcher goes on.
pid_t Move::Clone() {
  const int pid =
      clone(RunIntermediate, stacks_.intermediate_top(), CLONE_VM | TableFlag() | SIGCHLD, this);
  if (pid < 0) return -errno;
  AwaitEnd(pid);
  return daemon_;
}

int Move::RunIntermediate(void* self) {
  auto& move = *static_cast<Move*>(self);
  arch::Syscall(SYS_setsid);
  // The kernel writes the new id where libc keeps it, and clears it at the end of the thread, as it
  // does for every other. It notes the id here before the daemon runs: were the intermediate killed
  // in between, the launcher would believe that there is none.
  const int flags = (move.request_.copies_memory ? 0 : CLONE_VM) | move.TableFlag() |
                    CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
  const int pid = clone(RunDaemon, move.stacks_.daemon_top(), flags, self, &move.daemon_, nullptr,
                        move.freeze_.tid_address());
  if (pid < 0) move.daemon_ = -errno;
  arch::Syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

int Move::RunDaemon(void* self) {
  setcontext(&static_cast<Move*>(self)->home_);
  __builtin_unreachable();
}

bool Move::Confine() {
  Failure failure;
  if (!request_.confinement.Apply(failure)) {
    reason_ = failure;
    return false;
  }
  if (request_.confinement.nice()) {
    for (Thread& thread : FrozenThreads()) thread.nice = *request_.confinement.nice();
  }
  return true;
}

void Move::StartDaemon() {
  arch::Syscall(SYS_sigaltstack, reinterpret_cast<long>(&signal_stack_), 0);
  if (Confine()) CreateThreads(HeldThreads::kNone, reason_);
  if (!handshake_.Report(reason_)) arch::Syscall(SYS_exit_group, 1);
  freeze_.NoteNewIds();
  locks_.PassOn();
  RegisterOwnThread(robust_list_, robust_list_size_);
  // Nobody can take this back any more. If it fails the daemon does, with the reason.
  if (separates_ && !objects_.Separate(reason_)) return;
  freeze_.Forget();
  OpenGate();
  heap_.Hide();
}

bool Move::TakeInventory() {
  Rings rings;
  const int error = proc::ForEachNumber("/proc/self/fd", [&](int fd, int folder) {
    char link[32];
    if (proc::ReadLink(folder, fd, link, sizeof link) < 0) return 0;  // It is closed.
    if (proc::StartsWith(link, "anon_inode:[signalfd]")) separates_ = true;
    return proc::StartsWith(link, "anon_inode:[io_uring]") && !rings.Note(fd, reason_) ? -1 : 0;
  });
  if (reason_.error != 0) return false;
  if (error < 0) return reason_.Set(-error, "/proc/self/fd cannot be read");
  separates_ = separates_ || rings.ArePolled();
  return !separates_ || objects_.TakeInventory(reason_);
}

int Move::Run() {
  if (handshake_.error() != 0) {
    reason_.Set(handshake_.error(), "no memory to share with the daemon");
    return -1;
  }
  if (stacks_.error() != 0) {
    reason_.Set(stacks_.error(), "no memory for the launcher's stack");
    return -1;
  }
  if (!TakeInventory() || HasTimers(reason_) || !locks_.Find(reason_)) return -1;
  if (request_.copies_memory && !heap_.Unhide(reason_)) return -1;
  moving = this;
  ucontext_t launcher;
  getcontext(&launcher);
  launcher.uc_stack.ss_sp = stacks_.launcher();
  launcher.uc_stack.ss_size = Stacks::kLauncher;
  launcher.uc_link = nullptr;
  makecontext(&launcher, Launch, 0);
  swapcontext(&home_, &launcher);
  if (refused_) return -1;
  StartDaemon();
  // Not before: a daemon that refuses writes to the memory of its launcher, which gives them back.
  stacks_.Keep();
  return 0;
}

// Else nobody would know when a refused daemon has left the memory.
bool AdoptsOrphans() {
  int adopts = 0;
  arch::Syscall(SYS_prctl, PR_GET_CHILD_SUBREAPER, reinterpret_cast<long>(&adopts));
  return adopts != 0;
}

}  // namespace

int MoveProcess(const MoveRequest& request, Reason& reason) {
  if (arch::Syscall(SYS_gettid) != arch::Syscall(SYS_getpid)) {
    reason.Set(EPERM, "a daemon can be made from the main thread only");
    return -1;
  }
  if (!IsMachineFit(reason)) return -1;
  if (!AdoptsOrphans()) {
    reason.Set(ENOTSUP, "this process may not be a subreaper (PR_SET_CHILD_SUBREAPER)");
    return -1;
  }
  if (AreThreadsKept()) {
    reason.Set(EBUSY, "fork() has stopped threads of this process for good");
    return -1;
  }
  const BlockedSignals blocked;
  Freeze freeze;
  if (!freeze.Stop(request.timeout_ms, reason)) return -1;
  return Move(freeze, request, reason).Run();
}

}  // namespace doublefork
