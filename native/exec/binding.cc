// The exec engine's face to JavaScript: launch, spawn.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/refusal.h"
#include "detach/launcher.h"
#include "exec/exec.h"
#include "exec/exports.h"

extern "C" char** environ;

namespace doublefork {
namespace {

template <typename T>
std::vector<T> List(const Napi::Value& value);

template <>
std::vector<int> List(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<int> numbers(array.Length());
  for (uint32_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = array.Get(i).As<Napi::Number>().Int32Value();
  }
  return numbers;
}

template <>
std::vector<std::string> List(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> texts(array.Length());
  for (uint32_t i = 0; i < texts.size(); ++i) texts[i] = array.Get(i).As<Napi::String>();
  return texts;
}

bool StartsWith(const char* text, const std::string& start) {
  return strncmp(text, start.c_str(), start.size()) == 0;
}

// What the process has now, byte for byte, with the handoff if there is one, and with LISTEN_PID
// (sd_listen_fds(3)) naming the new process where it named this one. Another program has no
// handoff; it is told that it is started by us, so that it stays in the foreground: START_VARIABLE
// of src/detach/command.ts.
void FillEnvironment(Image& image, const std::string& variable, const std::string& handoff) {
  const std::string assignment = variable + "=";
  const std::string listen_name = "LISTEN_PID=";
  const std::string own = listen_name + std::to_string(getpid());
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (StartsWith(*entry, assignment)) continue;
    if (own == *entry) {
      image.with_pid.push_back(listen_name);
    } else {
      image.environment.push_back(*entry);
    }
  }
  image.with_pid.push_back(handoff.empty() ? "DOUBLEFORK_START=" : assignment + handoff + ":");
}

// The word's descriptor and the pipe's inode, so that a variable left over from elsewhere cannot
// make the new image write into something else.
std::string Handoff(int word, const std::string& rest) {
  struct stat pipe = {};
  fstat(word, &pipe);
  return std::to_string(pipe.st_ino) + ":" + std::to_string(word) + ":" + rest;
}

// From an ImageRequest in src/posix/addon.ts. `word`: the pipe on which it speaks to this process.
Image ImageOf(const Napi::Object& request, int word) {
  Image image;
  image.path = request.Get("path").As<Napi::String>();
  image.cwd = request.Get("cwd").As<Napi::String>();
  image.arguments = List<std::string>(request.Get("argv"));
  image.kept = List<int>(request.Get("kept"));
  image.null_fds = List<int>(request.Get("nullFds"));
  image.closed = List<int>(request.Get("closed"));
  image.null_fd = request.Get("nullFd").As<Napi::Number>();
  const std::string handoff = request.Get("handoff").As<Napi::String>();
  if (!handoff.empty()) image.kept.push_back(word);
  FillEnvironment(image, request.Get("variable").As<Napi::String>(),
                  handoff.empty() ? handoff : Handoff(word, handoff));
  return image;
}

// launch({ path, argv, handoff, ... }, readyTimeoutMs), see LaunchRequest in src/posix/addon.ts ->
// a refusal [-errno, sentence, function], or nothing ever: the launcher waits and exits.
Napi::Value LaunchBinding(const Napi::CallbackInfo& info) {
  const Napi::Object request = info[0].As<Napi::Object>();
  Failure failure;
  Launcher launcher;
  if (launcher.error() != 0) {
    failure.SetCall(launcher.error(), "pipe");
    return Refusal(info.Env(), failure);
  }
  launcher.CatchSignals();

  Image image = ImageOf(request, launcher.word_descriptor());
  image.confinement = Confinement(request.Get("confinement"));
  const std::vector<int> close_in_launcher = List<int>(request.Get("closeInLauncher"));
  const pid_t daemon = Launch(image, failure);
  if (daemon < 0) return Refusal(info.Env(), failure);
  launcher.RestoreTerminal();
  for (int fd : close_in_launcher) close(fd);
  launcher.Await(daemon, info[1].As<Napi::Number>());
}

// spawn(request, word, procs) -> the new process's id, or [-errno, sentence, function, id], where
// the id of one that could not become the image is above 0.
Napi::Value SpawnBinding(const Napi::CallbackInfo& info) {
  Failure failure;
  Image image = ImageOf(info[0].As<Napi::Object>(), info[1].As<Napi::Number>());
  const pid_t pid = Spawn(image, info[2].As<Napi::Number>(), failure);
  if (failure.error == 0) return Napi::Number::New(info.Env(), pid);
  Napi::Array refusal = Refusal(info.Env(), failure);
  refusal.Set(3u, pid);
  return refusal;
}

// spawnOrphan(request, word) -> the new process's id, or [-errno, sentence, function]
Napi::Value SpawnOrphanBinding(const Napi::CallbackInfo& info) {
  Failure failure;
  Image image = ImageOf(info[0].As<Napi::Object>(), info[1].As<Napi::Number>());
  const pid_t pid = SpawnOrphan(image, failure);
  if (failure.error != 0) return Refusal(info.Env(), failure);
  return Napi::Number::New(info.Env(), pid);
}

}  // namespace

void ExportExec(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  exports.Set("launch", Napi::Function::New(env, LaunchBinding, "launch"));
  exports.Set("spawn", Napi::Function::New(env, SpawnBinding, "spawn"));
  exports.Set("spawnOrphan", Napi::Function::New(env, SpawnOrphanBinding, "spawnOrphan"));
}

}  // namespace doublefork
