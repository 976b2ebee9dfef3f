// What a process has from the one that started it: descriptors and ignored signals. Each in one
// call: asked for one by one from JavaScript, in functions that run for the first time, they took
// longer than the fork.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "detach/exports.h"

namespace doublefork {
namespace {

#ifdef __linux__
constexpr const char* kFolder = "/proc/self/fd";
#else
constexpr const char* kFolder = "/dev/fd";
#endif

// What a descriptor refers to, as /proc names it; "" where there is no /proc.
struct Object {
  char name[4096];
  size_t length;

  Object(int folder, const char* number) {
    const ssize_t got = readlinkat(folder, number, name, sizeof name);
    length = got < 0 ? 0 : static_cast<size_t>(got);
  }
  // Of a terminal it is a path.
  bool MayBeTerminal() const { return length == 0 || name[0] == '/'; }
};

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

// openDescriptors() -> { fd, closeOnExec, terminal, object } for each above 2, or -errno. Walks the
// list: there may be room for 2^30 of them.
Napi::Value OpenDescriptors(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::unique_ptr<DIR, CloseFolder> folder(opendir(kFolder));
  if (folder == nullptr) return Napi::Number::New(env, -errno);
  Napi::Array all = Napi::Array::New(env);
  const Napi::String number = Napi::String::New(env, "fd");
  const Napi::String close_on_exec = Napi::String::New(env, "closeOnExec");
  const Napi::String terminal = Napi::String::New(env, "terminal");
  const Napi::String name = Napi::String::New(env, "object");
  while (const dirent* entry = readdir(folder.get())) {
    const int fd = atoi(entry->d_name);
    if (fd <= 2 || fd == dirfd(folder.get())) continue;
    Napi::Object descriptor = Napi::Object::New(env);
    descriptor.Set(number, fd);
    descriptor.Set(close_on_exec, (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    const Object object(dirfd(folder.get()), entry->d_name);
    descriptor.Set(terminal, object.MayBeTerminal() && isatty(fd) == 1);
    descriptor.Set(name, Napi::String::New(env, object.name, object.length));
    all.Set(all.Length(), descriptor);
  }
  return all;
}

// Node ignores these for its own sake: write(2) is to fail with EPIPE, or with EFBIG at the limit
// of a file's size, not to end the process.
bool IgnoredByNode(int number) { return number == SIGPIPE || number == SIGXFSZ; }

// ignoredSignals() -> the numbers of the others.
Napi::Value IgnoredSignals(const Napi::CallbackInfo& info) {
  Napi::Array ignored = Napi::Array::New(info.Env());
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action;
    // Fails for those that libc keeps for itself.
    if (sigaction(number, nullptr, &action) < 0 || action.sa_handler != SIG_IGN) continue;
    if (!IgnoredByNode(number)) ignored.Set(ignored.Length(), number);
  }
  return ignored;
}

}  // namespace

void ExportInventory(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  exports.Set("openDescriptors", Napi::Function::New(env, OpenDescriptors, "openDescriptors"));
  exports.Set("ignoredSignals", Napi::Function::New(env, IgnoredSignals, "ignoredSignals"));
}

}  // namespace doublefork
