// Only async-signal-safe calls, as in launcher.cc.
#include "detach/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/message.h"
#include "detach/activity.h"

namespace doublefork {
namespace {

// A program that has been busy for longer than that has not died at once. Processor time: on a
// machine that is starting up it may wait longer than that for its first turn.
constexpr int kBusyMs = 50;
// It may also be neither busy nor asleep: stopped, waiting for a disk, or for its turn.
constexpr int kLongestMs = 10'000;

// For so long nobody may have had anything to do, for the program to have come to rest. Between its
// exec and its own first line an interpreter waits as well, but some thread or disk has work then.
constexpr int kRestMs = 30;

// Nor is it about to fail in its first line if it has been busy for that long.
constexpr int kLongBusyMs = 1000;

// Whether it sleeps for the first time is a matter of a moment.
constexpr timespec kShortPause = {0, 500'000};
constexpr timespec kPause = {0, 10'000'000};

// The end of the log that is shown at most.
constexpr off_t kTail = 4096;

int64_t ReadNumber(const char*& at, const char* end) {
  int64_t number = 0;
  while (at < end && *at >= '0' && *at <= '9') number = number * 10 + (*at++ - '0');
  if (at < end) ++at;  // the blank behind it
  return number;
}

// The clock of the time that a process was busy; or where it has none, of all time.
clockid_t BusyClock(pid_t pid) {
  clockid_t clock = CLOCK_MONOTONIC;
#ifdef __linux__
  clock_getcpuclockid(pid, &clock);
#endif
  return clock;
}

// The letter in /proc/PID/stat; 'S': it waits for something. 0 where there is no /proc.
char State(pid_t pid) {
  char text[512];
  Message path;
  path << "/proc/" << pid << "/stat";
  const int fd = open(path.text(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t got = read(fd, text, sizeof text);
  close(fd);
  // The name before it, in parentheses, may hold parentheses.
  for (ssize_t at = got - 1; at > 0; --at) {
    if (text[at] == ')') return text[at + 2];
  }
  return 0;
}

}  // namespace

const char* Program::Read(const char* at, const char* end) {
  if (at == end || *at != '>') return at;
  ++at;
  announced_ = true;
  settle_ms_ = static_cast<int>(ReadNumber(at, end));
  log_offset_ = static_cast<off_t>(ReadNumber(at, end));
  say_length_ = static_cast<size_t>(ReadNumber(at, end));
  if (say_length_ > static_cast<size_t>(end - at)) say_length_ = 0;
  memcpy(say_, at, say_length_);
  at += say_length_;
  size_t length = 0;
  while (at < end && *at != '\n') {
    if (length < sizeof log_ - 1) log_[length++] = *at;
    ++at;
  }
  log_[length] = '\0';
  return at < end ? at + 1 : at;
}

void Program::Begin(pid_t pid) {
  pid_ = pid;
  // The session's first, led by the intermediate that is gone: the number can be nobody else's.
  group_ = getpgid(pid);
  busy_ = BusyClock(pid);
  busy_deadline_ = NowMs(busy_) + kBusyMs;
  deadline_ = NowMs() + settle_ms_;
}

const timespec& Program::pause() const { return settle_ms_ == 0 ? kShortPause : kPause; }

void Program::Look() {
  Death death = {0};
  const pid_t got = waitpid(pid_, &death.status, WNOHANG);
  if (got == pid_) Fail(&death);
  // Not our child: it went to another reaper, with its status.
  if (got < 0 && errno == ECHILD && kill(pid_, 0) < 0 && errno == ESRCH) Fail(nullptr);
  const int64_t now = NowMs();
  const bool has_run = HasRun(now);
  if (now >= deadline_ && has_run) Succeed();
  if (now < deadline_ + kLongestMs) return;
  (Message() << "doublefork: the program (pid " << pid_
             << ") lives, but has hardly run yet; look again with doublefork status\n")
      .Print();
  Succeed();
}

bool Program::HasRun(int64_t now) {
  if (settle_ms_ == 0) return State(pid_) == 'S' || NowMs(busy_) >= busy_deadline_;
  if (now < deadline_ - 2 * kRestMs) return false;  // Nobody asks yet.
  const Activity activity = ActivityOf(pid_);
  if (!activity.known || activity.busy_ms >= kLongBusyMs) return true;
  if (!activity.idle || activity.busy_ms != idle_busy_ms_) idle_since_ = 0;
  idle_busy_ms_ = activity.busy_ms;
  if (!activity.idle) return false;
  if (idle_since_ == 0) idle_since_ = now;
  return now - idle_since_ >= kRestMs;
}

void Program::Fail(const Death* death) const {
  if (group_ > 1 && group_ != getpgid(0)) kill(-group_, SIGKILL);
  Message message;
  message << "doublefork: the program (pid " << pid_ << ") ";
  (death == nullptr ? message << "ended" : message << *death) << " at once";
  if (death != nullptr && death->status == 0) {
    message << "; if it goes to the background by itself, have it stay in the foreground";
  }
  (message << "\n").Print();
  PrintLog();
  _exit(death == nullptr ? 1 : death->ExitCode());
}

void Program::Succeed() const {
  Say(STDOUT_FILENO, say_, say_length_);
  _exit(0);
}

void Program::PrintLog() const {
  if (log_[0] == '\0') return;
  const int fd = open(log_, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return;
  const off_t size = lseek(fd, 0, SEEK_END);
  off_t at = size - log_offset_ > kTail ? size - kTail : log_offset_;
  char buffer[1024];
  ssize_t got;
  // Not at all if it wrote nothing.
  if (at < size) (Message() << "It wrote to " << log_ << ":\n").Print();
  while ((got = pread(fd, buffer, sizeof buffer, at)) > 0) {
    if (!Say(STDERR_FILENO, buffer, static_cast<size_t>(got))) break;
    at += got;
  }
  close(fd);
}

}  // namespace doublefork
