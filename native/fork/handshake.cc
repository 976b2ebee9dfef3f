#include "fork/handshake.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/quiet.h"
#include "fork/arch.h"
#include "fork/futex.h"

namespace doublefork {
namespace {

constexpr long kPageSize = 4096;

// Between two looks whether the other process still runs: it says so itself if it can.
constexpr timespec kLookAgain = {0, 20'000'000};

// The kernel has cleared what a process had in the memory by then, if it cannot be asked.
constexpr long kLeavingNanoseconds = 10'000'000;

// Not FutexWait(): the two may be of different memories.
void Sleep(std::atomic<int>& word, int value) {
  arch::Syscall(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAIT, value,
                reinterpret_cast<long>(&kLookAgain));
}

void Wake(std::atomic<int>& word) {
  arch::Syscall(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAKE, 1);
}

bool IsStop(const siginfo_t& info) {
  return info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED;
}

// 0 with what has become of a child, if anything has; or -errno.
long Look(pid_t child, int options, siginfo_t& info) {
  info.si_pid = 0;
  const long error = arch::Syscall(SYS_waitid, P_PID, child, reinterpret_cast<long>(&info),
                                   WEXITED | WSTOPPED | options, 0);
  if (error == 0 && info.si_pid == child && IsStop(info)) {
    arch::Syscall(SYS_kill, child, SIGCONT);
  }
  return error;
}

}  // namespace

void AwaitEnd(pid_t child) {
  siginfo_t info;
  for (;;) {
    const long error = Look(child, 0, info);
    // Who ignores SIGCHLD has no child to wait for, once it has ended.
    if (error < 0 && error != -EINTR) return;
    if (error == 0 && !IsStop(info)) return;
  }
}

Handshake::Handshake()
    : launcher_(static_cast<pid_t>(arch::Syscall(SYS_getpid))),
      launcher_pidfd_(static_cast<int>(arch::Syscall(SYS_pidfd_open, launcher_, 0))) {
  const long address = arch::Syscall(SYS_mmap, 0, kPageSize, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (address < 0) {
    error_ = static_cast<int>(-address);
  } else {
    page_ = reinterpret_cast<Page*>(address);
  }
}

Handshake::~Handshake() {
  if (page_ != nullptr) arch::Syscall(SYS_munmap, reinterpret_cast<long>(page_), kPageSize);
  if (launcher_pidfd_ >= 0) quiet::Close(launcher_pidfd_);
}

// All of it, each thread of it: the kernel writes to the memory for one that ends (CLEARTID), and
// only then may the daemon.
bool Handshake::IsLauncherGone() const {
  if (launcher_pidfd_ >= 0) {
    constexpr timespec kNow = {};
    return quiet::Poll(launcher_pidfd_, POLLIN, &kNow, nullptr) > 0;
  }
  // The session is the intermediate's, whose child the daemon is at first.
  const long parent = arch::Syscall(SYS_getppid);
  if (parent == launcher_ || parent == arch::Syscall(SYS_getsid, 0)) return false;
  Pause(kLeavingNanoseconds);
  return true;
}

bool Handshake::Report(const Reason& reason) {
  page_->reason = reason;
  const State said = reason.error == 0 ? kAlive : kRefused;
  page_->state.store(said);
  Wake(page_->state);
  if (said == kRefused) return false;
  while (page_->state.load() == kAlive) {
    Sleep(page_->state, kAlive);
    // Killed meanwhile: then nothing of it is in the way.
    if (page_->state.load() == kAlive && IsLauncherGone()) return true;
  }
  return page_->state.load() == kGo;
}

bool Handshake::AwaitReport(pid_t daemon, Reason& reason) {
  while (page_->state.load() == kStarting) {
    Sleep(page_->state, kStarting);
    siginfo_t info;
    const long error = Look(daemon, WNOHANG | WNOWAIT, info);
    const bool ended = error == -ECHILD || (error == 0 && info.si_pid == daemon && !IsStop(info));
    if (ended && page_->state.load() == kStarting) {
      return reason.Set(ECHILD, "the daemon was killed before it came to life");
    }
  }
  reason = page_->reason;
  return page_->state.load() == kAlive;
}

void Handshake::Decide(State state) {
  Page* const page = page_;
  page->state.store(state);
  // The daemon may have given the page back by now: then there is nobody to wake.
  Wake(page->state);
}

}  // namespace doublefork
