// The fork engine's face to JavaScript: fork, detach, forkSupport.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>

#include "detach/launcher.h"
#include "fork/exports.h"
#include "fork/fork.h"
#include "fork/proc.h"

namespace doublefork {
namespace {

// A refusal is [errno, sentence, function]; JavaScript makes the error of it.
Napi::Value Refusal(Napi::Env env, const Reason& reason) {
  Napi::Array triple = Napi::Array::New(env, 3);
  triple.Set(0u, -reason.error);
  triple.Set(1u, reason.Sentence());
  triple.Set(2u, reason.call == nullptr ? "fork" : reason.call);
  return triple;
}

uv_loop_t* MainLoop(Napi::Env env) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  return loop;
}

// fork(parent, timeoutMs) -> 0, pid or a refusal.
Napi::Value ForkBinding(const Napi::CallbackInfo& info) {
  const ForkRequest request = {MainLoop(info.Env()), Generations::kChild,
                               static_cast<Parent>(info[0].As<Napi::Number>().Int32Value()),
                               info[1].As<Napi::Number>().Int32Value()};
  Reason reason;
  const pid_t pid = Fork(request, reason);
  if (pid < 0) return Refusal(info.Env(), reason);
  return Napi::Number::New(info.Env(), pid);
}

// The launcher has a copy of every socket and file of the daemon's. What the daemon closes would
// stay open for as long as the launcher waits: a port in use, a peer that waits for the end. So the
// daemon goes on only when the launcher has let go of everything. A pipe that it lets go of as well
// says so.
class LettingGo {
 public:
  LettingGo() {
    if (pipe2(fds_, O_CLOEXEC) < 0) error_ = errno;
  }
  ~LettingGo() {
    for (int fd : fds_) {
      if (fd >= 0) close(fd);
    }
  }
  LettingGo(const LettingGo&) = delete;
  LettingGo& operator=(const LettingGo&) = delete;

  int error() const { return error_; }

  // In the launcher, whose other threads never run again.
  void CloseAllBut(int keep) {
    proc::ForEachNumber("/proc/self/fd", [&](int fd, int folder) {
      if (fd > STDERR_FILENO && fd != folder && fd != keep) close(fd);
      return 0;
    });
    fds_[0] = fds_[1] = -1;
  }

  // In the daemon.
  void Wait() {
    close(fds_[1]);
    fds_[1] = -1;
    char nothing;
    while (read(fds_[0], &nothing, 1) < 0 && errno == EINTR) {
    }
  }

 private:
  int fds_[2] = {-1, -1};
  int error_ = 0;
};

// detach(quiesceTimeoutMs, readyTimeoutMs, confinement) -> in the daemon, the descriptor on which
// it tells the launcher how it fares; in the launcher a refusal, or nothing ever: it waits and
// exits.
Napi::Value DetachBinding(const Napi::CallbackInfo& info) {
  const Confinement confinement(info[2]);
  const ForkRequest request = {MainLoop(info.Env()), Generations::kDaemon, Parent::kFrozen,
                               info[0].As<Napi::Number>().Int32Value(), &confinement};
  Reason reason;
  Launcher launcher;
  LettingGo letting_go;
  if (launcher.error() != 0 || letting_go.error() != 0) {
    reason.Set(launcher.error() != 0 ? launcher.error() : letting_go.error(),
               "no pipe to the daemon");
    return Refusal(info.Env(), reason);
  }
  const pid_t daemon = Fork(request, reason);
  if (daemon < 0) return Refusal(info.Env(), reason);
  if (daemon > 0) {
    launcher.RestoreTerminal();
    letting_go.CloseAllBut(launcher.fd());
    launcher.Await(daemon, info[1].As<Napi::Number>().Int32Value());
  }
  letting_go.Wait();
  return Napi::Number::New(info.Env(), launcher.BecomeDaemon());
}

// confine(confinement, quiesceTimeoutMs) -> undefined, or why the process must end.
Napi::Value ConfineBinding(const Napi::CallbackInfo& info) {
  Reason reason;
  const Confinement confinement(info[0]);
  const int timeout_ms = info[1].As<Napi::Number>().Int32Value();
  if (ConfineEverywhere(confinement, timeout_ms, reason)) return info.Env().Undefined();
  return Refusal(info.Env(), reason);
}

// forkSupport() -> '' or why not.
Napi::Value ForkSupport(const Napi::CallbackInfo& info) {
  Reason reason;
  IsForkSupported(reason);
  return Napi::String::New(info.Env(), reason.Sentence());
}

}  // namespace

void ExportFork(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  exports.Set("fork", Napi::Function::New(env, ForkBinding, "fork"));
  exports.Set("detach", Napi::Function::New(env, DetachBinding, "detach"));
  exports.Set("confine", Napi::Function::New(env, ConfineBinding, "confine"));
  exports.Set("forkSupport", Napi::Function::New(env, ForkSupport, "forkSupport"));
}

}  // namespace doublefork
