// Only async-signal-safe calls, as in launcher.cc.
#include "detach/program.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/message.h"

namespace doublefork {
namespace {

// A program that has been busy for longer than that has not died at once. Processor time: on a
// machine that is starting up it may wait longer than that for its first turn.
constexpr int kBusyMs = 50;
// It may also be neither busy nor asleep: stopped, or waiting for a disk.
constexpr int kLongestMs = 10'000;

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
  busy_ = BusyClock(pid);
  busy_deadline_ = NowMs(busy_) + kBusyMs;
  deadline_ = NowMs() + (settle_ms_ > 0 ? settle_ms_ : kLongestMs);
}

void Program::Look() const {
  Death death = {0};
  const pid_t got = waitpid(pid_, &death.status, WNOHANG);
  if (got != pid_) {
    // Not our child: it went to another reaper, with its status.
    if (got < 0 && errno != EINTR) Succeed();
    if (settle_ms_ == 0 && (State(pid_) == 'S' || NowMs(busy_) >= busy_deadline_)) Succeed();
    if (NowMs() >= deadline_) Succeed();
    return;
  }
  Message message;
  message << "doublefork: the program (pid " << pid_ << ") ";
  message << death << " at once";
  if (death.status == 0) {
    message << "; if it goes to the background by itself, have it stay in the foreground";
  }
  (message << "\n").Print();
  PrintLog();
  _exit(death.ExitCode());
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
