// Processes, sessions, groups: setsid(2), getsid(2), getpgid(2), setpgid(2), umask(2), chdir(2),
// waitpid(2), waitid(2), kill(2), execve(2), _exit(2), prctl(2), pidfd_open(2),
// pidfd_send_signal(2).
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include <vector>

#include "syscalls/call.h"
#include "syscalls/exports.h"

namespace doublefork {
namespace {

// The next child that has ended, left in place for waitpid(2): as a zombie it keeps its number, and
// that of its process group, from meaning anybody else. 0: none has.
int PeekEnded() {
  siginfo_t info = {};
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ? -1 : info.si_pid;
}

Napi::Value Waitpid(const Napi::CallbackInfo& info) {
  int status = 0;
  const pid_t pid = waitpid(info[0].As<Napi::Number>().Int32Value(), &status,
                            info[1].As<Napi::Number>().Int32Value());
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result.Set(0u, ResultOrErrno(pid));
  result.Set(1u, status);
  return result;
}

std::vector<std::string> Strings(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> strings;
  strings.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) strings.push_back(array.Get(i).ToString());
  return strings;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Node marks the descriptors it opens close-on-exec; 0-2 and the caller's own pass on.
Napi::Value Execve(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  std::vector<std::string> arguments = Strings(info[1]);
  std::vector<std::string> environment = Strings(info[2]);
  execve(path.c_str(), Pointers(arguments).data(), Pointers(environment).data());
  return Napi::Number::New(info.Env(), -errno);
}

Napi::Value Exit(const Napi::CallbackInfo& info) { _exit(info[0].As<Napi::Number>().Int32Value()); }

#ifdef __linux__
int Prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
  return prctl(option, a, b, c, d);
}

// glibc 2.36 is the first to have functions for these two.
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
int PidfdOpen(pid_t pid, unsigned flags) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, flags));
}
int PidfdSendSignal(int pidfd, int number) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0));
}
#endif

}  // namespace

void ExportProcess(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  const auto add = [&](const char* name, Napi::Value (*callback)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, callback, name));
  };
  add("getpid", Call<getpid>);
  add("setsid", Call<setsid>);
  add("getsid", Call<getsid>);
  add("getpgid", Call<getpgid>);
  add("setpgid", Call<setpgid>);
  add("umask", Call<umask>);
  add("chdir", Call<chdir>);
  add("kill", Call<kill>);
  add("waitpid", Waitpid);
  add("peekEnded", Call<PeekEnded>);
  add("execve", Execve);
  add("_exit", Exit);
#ifdef __linux__
  add("prctl", Call<Prctl>);
  add("pidfdOpen", Call<PidfdOpen>);
  add("pidfdSendSignal", Call<PidfdSendSignal>);
#endif
}

}  // namespace doublefork
