// Only async-signal-safe calls in Await(), and where the daemon lives on none that sets errno: the
// memory may be the daemon's (fork/move.h).
#include "detach/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "base/clock.h"
#include "base/flags.h"
#include "base/message.h"
#include "base/quiet.h"
#include "detach/program.h"

namespace doublefork {
namespace {

constexpr int kEndingSignals[kEndingSignalCount] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

volatile sig_atomic_t ending_signal = 0;
pthread_t waiting_thread;

void OnEndingSignal(int number) {
  // Any thread that does not block it may be given a signal of the process; only the one that waits
  // has a call which it interrupts.
  if (pthread_equal(pthread_self(), waiting_thread)) {
    ending_signal = number;
  } else {
    pthread_kill(waiting_thread, number);
  }
}

void CatchSignal(int number, struct sigaction* old) {
  struct sigaction action = {};
  action.sa_handler = OnEndingSignal;
  sigaction(number, &action, old);
}

sigset_t EndingSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : kEndingSignals) sigaddset(&set, number);
  return set;
}

// A failed start is over when the daemon is; a daemon that only closed its end has this long to
// exit.
constexpr int kGraceMs = 1000;

// The daemon and whatever it has started so far: its group is the session's first, led by the
// intermediate that is gone, so the number can belong to nobody else.
void Kill(pid_t daemon) {
  const pid_t group = getpgid(daemon);
  if (group > 1 && group != getpgid(0)) kill(-group, SIGKILL);
  kill(daemon, SIGKILL);
  while (waitpid(daemon, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// What became of a daemon that closed the pipe without a word.
[[noreturn]] void ReportDeath(pid_t daemon) {
  int status = 0;
  const int64_t deadline = NowMs() + kGraceMs;
  for (;;) {
    const long got = quiet::Wait(daemon, &status, WNOHANG);
    if (got == daemon) break;
    if (got < 0 && got != -EINTR) {  // Not our child: it went to another reaper, with its status.
      (Message() << "doublefork: the daemon (pid " << daemon << ") died before it was ready\n")
          .Print();
      _exit(1);
    }
    if (NowMs() >= deadline) {
      Kill(daemon);
      (Message() << "doublefork: the daemon (pid " << daemon
                 << ") closed its readiness descriptor without a word and was killed\n")
          .Print();
      _exit(1);
    }
    quiet::Sleep({0, 2'000'000});
  }
  const Death death = {status};
  Message message;
  message << "doublefork: the daemon (pid " << daemon << ") ";
  (message << death << " before it was ready\n").Print();
  _exit(death.ExitCode());
}

// The launcher ends as the signal would have ended it, so that a shell sees what it expects.
[[noreturn]] void DieOf(int number) {
  signal(number, SIG_DFL);
  raise(number);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  _exit(128 + number);
}

void EndIfTold(pid_t daemon) {
  if (ending_signal == 0) return;
  Kill(daemon);
  DieOf(ending_signal);
}

}  // namespace

Launcher::Launcher() {
  const sigset_t ending = EndingSignals();
  pthread_sigmask(SIG_BLOCK, &ending, &old_mask_);
  if (Pipe2(fds_, O_CLOEXEC) < 0) {
    error_ = errno;
    return;
  }
#ifdef __linux__
  // As the daemon's parent for the time being the launcher learns how it died.
  prctl(PR_GET_CHILD_SUBREAPER, &was_subreaper_);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
#endif
}

Launcher::~Launcher() {
  for (int i = 0; caught_ && i < kEndingSignalCount; ++i) {
    sigaction(kEndingSignals[i], &old_actions_[i], nullptr);
  }
  pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
  for (int fd : fds_) {
    if (fd >= 0) close(fd);
  }
#ifdef __linux__
  if (error_ == 0) prctl(PR_SET_CHILD_SUBREAPER, was_subreaper_);
#endif
}

int Launcher::BecomeDaemon() {
  const int fd = fds_[1];
  fds_[1] = -1;
  return fd;
}

void Launcher::RestoreTerminal() {
  signal(SIGTTOU, SIG_IGN);  // It would stop a background process that does this.
  uv_tty_reset_mode();
}

void Launcher::CatchSignals() {
  if (caught_) return;
  caught_ = true;
  waiting_thread = pthread_self();
  for (int i = 0; i < kEndingSignalCount; ++i) CatchSignal(kEndingSignals[i], &old_actions_[i]);
}

LauncherWait Launcher::wait() const {
  LauncherWait wait = {fds_[0], old_mask_};
  // Every other handler is the program's, for its event loop, which no longer turns here.
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action;
    if (sigaction(number, nullptr, &action) < 0) continue;  // libc's own
    if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
      sigaddset(&wait.blocked, number);
    }
  }
  for (int number : kEndingSignals) sigdelset(&wait.blocked, number);
  return wait;
}

void Launcher::Await(pid_t daemon, int timeout_ms) {
  close(fds_[1]);
  wait().Await(daemon, timeout_ms);
}

void LauncherWait::Await(pid_t daemon, int timeout_ms) const {
  waiting_thread = pthread_self();
  for (int number : kEndingSignals) CatchSignal(number, nullptr);
  // They come through inside ppoll() only: none falls between the check and the wait.
  sigset_t otherwise = blocked;
  for (int number : kEndingSignals) sigaddset(&otherwise, number);
  pthread_sigmask(SIG_SETMASK, &otherwise, nullptr);

  const int64_t deadline = NowMs() + timeout_ms;
  char buffer[4096];
  Program program;
  bool told = false;  // whether the line with the exit code has come
  int code = 0;
  for (;;) {
    EndIfTold(daemon);
    const int64_t left = deadline - NowMs();
    if (timeout_ms > 0 && left <= 0) {
      Kill(daemon);
      (Message() << "doublefork: the daemon (pid " << daemon << ") was not ready within "
                 << timeout_ms << " ms and was killed\n")
          .Print();
      _exit(1);
    }
    const timespec wait = {static_cast<time_t>(left / 1000),
                           static_cast<long>(left % 1000) * 1'000'000};
    if (quiet::Poll(fd, POLLIN, timeout_ms > 0 ? &wait : nullptr, &blocked) <= 0) continue;

    const long got = quiet::Read(fd, buffer, sizeof buffer);
    if (got < 0) continue;
    if (got == 0 && told) _exit(code);
    if (got == 0 && program.announced()) {
      for (program.Begin(daemon);; program.Look()) {
        EndIfTold(daemon);
        quiet::Poll(-1, 0, &program.pause(), &blocked);
      }
    }
    if (got == 0) ReportDeath(daemon);
    const char* const end = buffer + got;
    const char* at = told ? buffer : program.Read(buffer, end);
    while (!told && at < end) {
      if (*at == '\n') {
        told = true;
      } else {
        code = code * 10 + (*at - '0');
      }
      ++at;
    }
    if (told && code == 0) {
      Say(STDOUT_FILENO, at, static_cast<size_t>(end - at));
      _exit(0);
    }
    if (!Say(STDERR_FILENO, at, static_cast<size_t>(end - at))) _exit(code);
  }
}

}  // namespace doublefork
