// The fork engine's face to JavaScript: fork, detach, forkSupport.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

#include "detach/launcher.h"
#include "fork/exports.h"
#include "fork/fork.h"

namespace doublefork {
namespace {

// A refusal is [errno, sentence]; JavaScript makes the error of it.
Napi::Value Refusal(Napi::Env env, const Reason& reason) {
  Napi::Array pair = Napi::Array::New(env, 2);
  pair.Set(0u, -reason.error);
  pair.Set(1u, reason.Sentence());
  return pair;
}

uv_loop_t* MainLoop(Napi::Env env) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  return loop;
}

// fork(parentFrozen, timeoutMs) -> 0, pid or a refusal.
Napi::Value ForkBinding(const Napi::CallbackInfo& info) {
  const ForkRequest request = {
      MainLoop(info.Env()), Generations::kChild,
      info[0].As<Napi::Boolean>().Value() ? Parent::kFrozen : Parent::kRuns,
      info[1].As<Napi::Number>().Int32Value()};
  Reason reason;
  const pid_t pid = Fork(request, reason);
  if (pid < 0) return Refusal(info.Env(), reason);
  return Napi::Number::New(info.Env(), pid);
}

// detach(quiesceTimeoutMs, readyTimeoutMs) -> in the daemon, the descriptor on which it tells the
// launcher how it fares; in the launcher a refusal, or nothing ever: it waits and exits.
Napi::Value DetachBinding(const Napi::CallbackInfo& info) {
  const ForkRequest request = {MainLoop(info.Env()), Generations::kDaemon, Parent::kFrozen,
                               info[0].As<Napi::Number>().Int32Value()};
  Reason reason;
  Launcher launcher;
  if (launcher.error() != 0) {
    reason.Set(launcher.error(), "no pipe to the daemon");
    return Refusal(info.Env(), reason);
  }
  const pid_t daemon = Fork(request, reason);
  if (daemon < 0) return Refusal(info.Env(), reason);
  if (daemon > 0) launcher.Await(daemon, info[1].As<Napi::Number>().Int32Value());
  return Napi::Number::New(info.Env(), launcher.BecomeDaemon());
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
  exports.Set("forkSupport", Napi::Function::New(env, ForkSupport, "forkSupport"));
}

}  // namespace doublefork
