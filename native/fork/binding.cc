// The fork engine's face to JavaScript: fork, detach, forkSupport.
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/message.h"
#include "base/refusal.h"
#include "detach/launcher.h"
#include "fork/descriptor_table.h"
#include "fork/exports.h"
#include "fork/fork.h"
#include "fork/move.h"
#include "fork/prefault.h"
#include "fork/revive.h"
#include "syscalls/record_locks.h"

namespace doublefork {
namespace {

uv_loop_t* MainLoop(Napi::Env env) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  return loop;
}

// See memoryHolder().
pid_t holder = 0;

// fork(parent, timeoutMs, held, makeHolder) -> 0, pid or a refusal.
Napi::Value ForkBinding(const Napi::CallbackInfo& info) {
  const ForkRequest request = {
      MainLoop(info.Env()), static_cast<Parent>(info[0].As<Napi::Number>().Int32Value()),
      info[1].As<Napi::Number>().Int32Value(),
      static_cast<HeldThreads>(info[2].As<Napi::Number>().Int32Value()), info[3].ToBoolean()};
  Birth birth;
  const pid_t pid = Fork(request, birth);
  if (pid < 0) return Refusal(info.Env(), birth.reason);
  holder = birth.holder;
  return Napi::Number::New(info.Env(), pid);
}

// memoryHolder() -> the process that holds the memory of the child that fork() has made last; 0:
// there is none.
Napi::Value MemoryHolder(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), holder);
}

// releaseThreads(): those that fork() was asked to hold go on.
void ReleaseThreadsBinding(const Napi::CallbackInfo&) { ReleaseThreads(); }

// prefault(sibling): see prefault.h.
void PrefaultBinding(const Napi::CallbackInfo& info) {
  Prefault(info[0].As<Napi::Number>().Int32Value());
}

class WaitingLauncher final : public LauncherTask {
 public:
  WaitingLauncher(Launcher& launcher, int timeout_ms)
      : launcher_(launcher), timeout_ms_(timeout_ms) {}

  [[noreturn]] void Run(pid_t daemon, Handshake& handshake) override {
    launcher_.RestoreTerminal();
    const LauncherWait wait = launcher_.wait();
    const int timeout_ms = timeout_ms_;
    CloseDescriptors(wait.fd);
    handshake.LetGo();
    wait.Await(daemon, timeout_ms);
  }

 private:
  Launcher& launcher_;
  const int timeout_ms_;
};

// detach(quiesceTimeoutMs, readyTimeoutMs, confinement, waits) -> in the daemon, the descriptor on
// which it tells the launcher how it fares; in the launcher a refusal, or nothing ever: it waits
// and exits. `waits`: for longer than until the daemon is detached, while the program runs.
Napi::Value DetachBinding(const Napi::CallbackInfo& info) {
  const Confinement confinement(info[2]);
  const bool waits = info[3].As<Napi::Boolean>();
  Reason reason;
  Launcher launcher;
  if (launcher.error() != 0) {
    reason.Set(launcher.error(), "no pipe to the daemon");
    return Refusal(info.Env(), reason);
  }
  // The daemon cannot have the table of descriptors then, to which they belong.
  if (!CanLeaveDescriptors() && !LockedFiles().empty()) {
    reason.Set(
        ENOTSUP,
        "record locks (fcntl(2)) would be lost: this kernel, or a filter for system calls, has "
        "neither close_range(2) nor unshare(2)");
    return Refusal(info.Env(), reason);
  }
  WaitingLauncher waiting(launcher, info[1].As<Napi::Number>().Int32Value());
  // A debugger writes its breakpoints into the memory for as long as the launcher runs, and would
  // not be there for a daemon that comes to one. Of a copy it takes them out when it lets go of it.
  const bool copies = confinement.gives_up_privileges() || (waits && HasPrivileges()) || IsTraced();
  const MoveRequest request = {MainLoop(info.Env()), info[0].As<Napi::Number>().Int32Value(),
                               copies, confinement, waiting};
  if (MoveProcess(request, reason) < 0) return Refusal(info.Env(), reason);
  if (reason.error != 0) {
    // Without malloc: the other threads do not run.
    Message message;
    message << "1\ndoublefork: the daemon could not come to life: " << reason.what << "\n";
    Say(launcher.word_descriptor(), message.text(), strlen(message.text()));
    _exit(1);
  }
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
  exports.Set("memoryHolder", Napi::Function::New(env, MemoryHolder, "memoryHolder"));
  exports.Set("prefault", Napi::Function::New(env, PrefaultBinding, "prefault"));
  exports.Set("releaseThreads", Napi::Function::New(env, ReleaseThreadsBinding, "releaseThreads"));
  exports.Set("detach", Napi::Function::New(env, DetachBinding, "detach"));
  exports.Set("confine", Napi::Function::New(env, ConfineBinding, "confine"));
  exports.Set("forkSupport", Napi::Function::New(env, ForkSupport, "forkSupport"));
}

}  // namespace doublefork
