// The supervisor's signals: handlers note what came and wake its poll(2) through a pipe. A mark for
// each signal, as the kernel has, and no queue: a storm of one cannot displace another.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "base/flags.h"
#include "supervise/exports.h"

namespace doublefork {
namespace {

constexpr int kSignals = 65;

struct Inbox {
  std::atomic<pid_t> owner{0};  // 0: nobody, the handlers of before are back
  int fds[2] = {-1, -1};
  std::atomic<uint64_t> came{0};
  std::atomic<pid_t> senders[kSignals] = {};
  // What came for a child between its fork and its Close(): meant for the handlers of before.
  std::atomic<uint64_t> strayed{0};
  bool replaced[kSignals] = {};
  struct sigaction old[kSignals] = {};
} inbox;

static_assert(std::atomic<uint64_t>::is_always_lock_free, "a handler must not wait for a lock");

uint64_t Mark(int number) { return uint64_t{1} << (number - 1); }

void SendStrayedAgain() {
  const uint64_t strayed = inbox.strayed.exchange(0);
  for (int number = 1; number < kSignals; ++number) {
    if ((strayed & Mark(number)) != 0) kill(getpid(), number);
  }
}

// Async-signal-safe. May run on any thread.
void Handler(int number, siginfo_t* info, void*) {
  const int error = errno;
  if (getpid() != inbox.owner.load()) {
    inbox.strayed.fetch_or(Mark(number));
    // Close() may have come and gone while this thread was on its way here.
    if (inbox.owner.load() == 0) SendStrayedAgain();
    errno = error;
    return;
  }
  inbox.senders[number].store(info->si_code <= 0 ? info->si_pid : 0);
  inbox.came.fetch_or(Mark(number));
  // EAGAIN: it is full of wake-ups that have not been read, which is as good.
  if (write(inbox.fds[1], "", 1) < 0) errno = error;
  errno = error;
}

// openInbox(numbers) -> the descriptor that becomes readable, or -errno. A signal that is ignored
// stays so: nohup(1) wants that.
Napi::Value Open(const Napi::CallbackInfo& info) {
  if (Pipe2(inbox.fds, O_CLOEXEC | O_NONBLOCK) < 0) {
    return Napi::Number::New(info.Env(), -errno);
  }
  inbox.owner.store(getpid());
  inbox.came.store(0);
  inbox.strayed.store(0);
  struct sigaction action = {};
  action.sa_sigaction = Handler;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&action.sa_mask);
  const Napi::Array numbers = info[0].As<Napi::Array>();
  for (uint32_t i = 0; i < numbers.Length(); ++i) {
    const int number = numbers.Get(i).As<Napi::Number>().Int32Value();
    sigaction(number, nullptr, &inbox.old[number]);
    if (inbox.old[number].sa_handler == SIG_IGN && number != SIGCHLD) continue;
    inbox.replaced[number] = sigaction(number, &action, nullptr) == 0;
  }
  return Napi::Number::New(info.Env(), inbox.fds[0]);
}

// takeInbox() -> [number, sender, ...] since the last time; sender 0: the kernel.
Napi::Value Take(const Napi::CallbackInfo& info) {
  char wakeups[512];
  while (read(inbox.fds[0], wakeups, sizeof wakeups) > 0) {
  }
  const uint64_t came = inbox.came.exchange(0);
  Napi::Array pairs = Napi::Array::New(info.Env());
  for (int number = 1; number < kSignals; ++number) {
    if ((came & Mark(number)) == 0) continue;
    pairs.Set(pairs.Length(), number);
    pairs.Set(pairs.Length(), inbox.senders[number].load());
  }
  return pairs;
}

// closeInbox(): the handlers of before are back. A process's own signals that came before this, and
// that nobody has taken, are sent to it again.
Napi::Value Close(const Napi::CallbackInfo& info) {
  for (int number = 1; number < kSignals; ++number) {
    if (inbox.replaced[number]) sigaction(number, &inbox.old[number], nullptr);
    inbox.replaced[number] = false;
  }
  // In a child they are its parent's.
  if (inbox.owner.exchange(0) == getpid()) inbox.strayed.fetch_or(inbox.came.exchange(0));
  for (int& fd : inbox.fds) {
    close(fd);
    fd = -1;
  }
  SendStrayedAgain();
  return info.Env().Undefined();
}

}  // namespace

void ExportInbox(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  exports.Set("openInbox", Napi::Function::New(env, Open, "openInbox"));
  exports.Set("takeInbox", Napi::Function::New(env, Take, "takeInbox"));
  exports.Set("closeInbox", Napi::Function::New(env, Close, "closeInbox"));
}

}  // namespace doublefork
