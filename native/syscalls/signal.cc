// Signals: the calling thread's mask (pthread_sigmask(3)) and the dispositions (sigaction(2)).
#include <signal.h>

#include "syscalls/call.h"
#include "syscalls/exports.h"

namespace doublefork {
namespace {

// (how, numbers) -> the numbers that were blocked before, or -errno.
Napi::Value Sigprocmask(const Napi::CallbackInfo& info) {
  const Napi::Array numbers = info[1].As<Napi::Array>();
  sigset_t set;
  sigset_t old;
  sigemptyset(&set);
  for (uint32_t i = 0; i < numbers.Length(); ++i) {
    if (sigaddset(&set, numbers.Get(i).As<Napi::Number>().Int32Value()) < 0) {
      return Napi::Number::New(info.Env(), -errno);
    }
  }
  // Not sigprocmask: POSIX leaves that undefined where there are threads, and Node has threads.
  const int error = pthread_sigmask(info[0].As<Napi::Number>().Int32Value(), &set, &old);
  if (error != 0) return Napi::Number::New(info.Env(), -error);
  Napi::Array blocked = Napi::Array::New(info.Env());
  for (int number = 1; number < NSIG; ++number) {
    if (sigismember(&old, number) == 1) blocked.Set(blocked.Length(), number);
  }
  return blocked;
}

// What becomes of a signal: 0 default, 1 ignored, 2 a handler of the program.
int Disposition(int number) {
  struct sigaction action;
  if (sigaction(number, nullptr, &action) < 0) return -1;
  if (action.sa_handler == SIG_DFL) return 0;
  return action.sa_handler == SIG_IGN ? 1 : 2;
}

int SetDisposition(int number, int ignored) {
  struct sigaction action = {};
  action.sa_handler = ignored != 0 ? SIG_IGN : SIG_DFL;
  return sigaction(number, &action, nullptr);
}

}  // namespace

void ExportSignal(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  const auto add = [&](const char* name, Napi::Value (*callback)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, callback, name));
  };
  add("sigprocmask", Sigprocmask);
  add("disposition", Call<Disposition>);
  add("setDisposition", Call<SetDisposition>);
}

}  // namespace doublefork
