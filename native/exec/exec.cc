// fork, setsid, fork, execve: daemon(7), steps 5 to 8; and fork, execve for a worker.
//
// Between fork and execve only async-signal-safe calls: of all threads only the caller's is there,
// and the locks that others held stay locked.
#include "exec/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#include <unistd.h>

#include "base/pipe.h"
#include "base/report.h"

namespace doublefork {
namespace {

// Exit code where there is no other image, as a shell has it.
constexpr int kNotRun = 127;

// Digits of a process id, and the NUL behind them.
constexpr size_t kPidRoom = 12;

// What the new processes tell the one that makes them, on a pipe that execve closes: its end of
// file says that the new image runs.
struct Outcome {
  pid_t daemon = 0;
  Failure failure;
};

// From the child and what it forks, until all of them are gone.
Outcome ReceiveOutcome(Pipe& pipe, pid_t child) {
  pipe.CloseWriter();
  AwaitReport(pipe.reader(), child);
  Outcome all;
  for (Outcome one; Receive(pipe.reader(), one);) {
    if (one.daemon != 0) all.daemon = one.daemon;
    if (one.failure.error != 0) all.failure = one.failure;
  }
  return all;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

void WriteNumber(char* at, pid_t number) {
  char digits[kPidRoom];
  int count = 0;
  do digits[count++] = static_cast<char>('0' + number % 10);
  while ((number /= 10) > 0);
  while (count > 0) *at++ = digits[--count];
  *at = '\0';
}

// What the launcher blocks and Node ignores (SIGPIPE, SIGXFSZ), and what nohup(1) or a shell had
// ignored before it, is none of the new image's.
void ResetSignals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// All above 2 in one call, those included that nobody could list because there is no /proc.
bool CloseAllOnExec() {
#ifdef __linux__
  constexpr unsigned kCloseOnExec = 4;  // CLOSE_RANGE_CLOEXEC, Linux 5.11
  constexpr long kCloseRange = 436;     // missing from older headers
  return syscall(kCloseRange, 3u, ~0u, kCloseOnExec) == 0;
#else
  return false;
#endif
}

void PassOn(int fd) { fcntl(fd, F_SETFD, 0); }

// Node marks even inherited descriptors as close-on-exec when it starts:
// uv_disable_stdio_inheritance.
void ArrangeDescriptors(const Image& image) {
  if (!CloseAllOnExec()) {
    for (int fd : image.closed) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  for (int fd = 0; fd <= 2; ++fd) PassOn(fd);
  for (int fd : image.null_fds) dup2(image.null_fd, fd);
  for (int fd : image.kept) PassOn(fd);
}

// Pointers into an Image, as execve wants them.
struct Vectors {
  explicit Vectors(Image& image)
      : arguments(Pointers(image.arguments)), environment(Pointers(image.environment)) {
    environment.pop_back();
    for (std::string& text : image.with_pid) {
      const size_t length = text.size();
      text.append(kPidRoom, '\0');
      environment.push_back(text.data());
      pid_slots.push_back(text.data() + length);
    }
    environment.push_back(nullptr);
  }

  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::vector<char*> pid_slots;
};

[[noreturn]] void RunImage(const Image& image, const Vectors& vectors, Pipe& pipe) {
  for (char* slot : vectors.pid_slots) WriteNumber(slot, getpid());
  ResetSignals();
  ArrangeDescriptors(image);
  Outcome outcome;
  if (!image.cwd.empty() && chdir(image.cwd.c_str()) < 0) {
    outcome.failure.SetCall(errno, "chdir");
  } else if (image.confinement.Apply(outcome.failure)) {
    // A new root may have the same folder; if not, the new image starts at the root.
    if (image.confinement.changes_root() && chdir(image.cwd.c_str()) < 0) errno = 0;
    execve(image.path.c_str(), vectors.arguments.data(), vectors.environment.data());
    outcome.failure.SetCall(errno, "execve");
  }
  Send(pipe.writer(), outcome);
  _exit(kNotRun);
}

// Whether the new process is to be in a session of its own, or in this one with a group of its own.
enum class Session { kNew, kSame };

[[noreturn]] void RunIntermediate(Session session, const Image& image, const Vectors& vectors,
                                  Pipe& pipe) {
  Outcome outcome;
  if (session == Session::kNew && setsid() < 0) {
    outcome.failure.SetCall(errno, "setsid");
  } else if ((outcome.daemon = fork()) == 0) {
    if (session == Session::kSame) setpgid(0, 0);
    RunImage(image, vectors, pipe);
  } else if (outcome.daemon < 0) {
    outcome.daemon = 0;
    outcome.failure.SetCall(errno, "fork");
  }
  Send(pipe.writer(), outcome);
  _exit(0);
}

// A worker must not outlive its supervisor, however that ends; execve keeps the wish.
[[noreturn]] void RunWorker(pid_t supervisor, int procs, const Image& image, const Vectors& vectors,
                            Pipe& pipe) {
  setpgid(0, 0);
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  // It may have ended before that.
  if (getppid() != supervisor) _exit(1);
  // "0": whoever writes it.
  if (procs >= 0 && write(procs, "0", 1) < 0) {
    Outcome outcome;
    outcome.failure.SetCall(errno, "write", "the worker cannot enter its control group");
    Send(pipe.writer(), outcome);
    _exit(kNotRun);
  }
  RunImage(image, vectors, pipe);
}

void Reap(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// A grandchild of this process, whose parent has ended.
pid_t StartOrphan(Session session, Image& image, Failure& failure) {
  const Vectors vectors(image);
  Pipe pipe;
  if (pipe.error() != 0) {
    failure.SetCall(pipe.error(), "pipe");
    return -1;
  }
  const pid_t intermediate = fork();
  if (intermediate < 0) {
    failure.SetCall(errno, "fork");
    return -1;
  }
  if (intermediate == 0) RunIntermediate(session, image, vectors, pipe);
  Outcome outcome = ReceiveOutcome(pipe, intermediate);
  Reap(intermediate);
  if (outcome.failure.error == 0) {
    if (outcome.daemon != 0) return outcome.daemon;
    outcome.failure.SetCall(ECHILD, "fork", "the intermediate process was killed");
  }
  // It is this process's child if this is a subreaper, and init's if not.
  if (outcome.daemon != 0) Reap(outcome.daemon);
  failure = outcome.failure;
  return -1;
}

}  // namespace

pid_t Launch(Image& image, Failure& failure) {
#ifdef __linux__
  if (syscall(SYS_gettid) != getpid()) {
    failure.SetCall(EPERM, "fork", "only the main thread may start a daemon");
    return -1;
  }
#endif
  return StartOrphan(Session::kNew, image, failure);
}

pid_t SpawnOrphan(Image& image, Failure& failure) {
  return StartOrphan(Session::kSame, image, failure);
}

pid_t Spawn(Image& image, int procs, Failure& failure) {
  const Vectors vectors(image);
  Pipe pipe;
  if (pipe.error() != 0) {
    failure.SetCall(pipe.error(), "pipe");
    return -1;
  }
  const pid_t supervisor = getpid();
  const pid_t worker = fork();
  if (worker < 0) {
    failure.SetCall(errno, "fork");
    return -1;
  }
  if (worker == 0) RunWorker(supervisor, procs, image, vectors, pipe);
  failure = ReceiveOutcome(pipe, worker).failure;
  return worker;
}

}  // namespace doublefork
