// What a process has from the one that started it, and what it has started: descriptors, ignored
// signals, addons, child processes. Each in one call: asked for one by one from JavaScript, in
// functions that run for the first time, they took longer than the fork.
#include <dirent.h>
#include <fcntl.h>
#ifdef __linux__
#include <link.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

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
using Folder = std::unique_ptr<DIR, CloseFolder>;

// The terminals that the program was started on: the controlling one, and those of its standard
// streams, of which libuv makes descriptors of its own. Others it has opened for a purpose: a
// serial line, a pseudo-terminal.
class Terminals {
 public:
  Terminals() {
    for (int fd = 0; fd < 3; ++fd) {
      struct stat status;
      known_[fd] = isatty(fd) == 1 && fstat(fd, &status) == 0 ? status.st_rdev : dev_t{0};
    }
  }
  bool Include(int fd) const {
    struct stat status;
    if (isatty(fd) != 1 || fstat(fd, &status) < 0) return false;
    for (dev_t known : known_) {
      if (known != 0 && known == status.st_rdev) return true;
    }
    // Fails for another terminal than the controlling one.
    return tcgetsid(fd) == getsid(0);
  }

 private:
  dev_t known_[3];
};

// openDescriptors() -> { fd, closeOnExec, terminal, object } for each above 2, or -errno.
// `terminal`: one that the program was started on. Walks the list: there may be room for 2^30 of
// them.
Napi::Value OpenDescriptors(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Folder folder(opendir(kFolder));
  if (folder == nullptr) return Napi::Number::New(env, -errno);
  const Terminals terminals;
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
    descriptor.Set(terminal, object.MayBeTerminal() && terminals.Include(fd));
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

#ifdef __linux__

// Whether the loader's list has an addon that is not this one: it may have opened descriptors.
int IsForeignAddon(dl_phdr_info* object, size_t, void* found) {
  constexpr const char* kOwn = "/doublefork.node";
  const size_t length = strlen(object->dlpi_name);
  const auto ends_in = [&](const char* end) {
    const size_t size = strlen(end);
    return length >= size && strcmp(object->dlpi_name + length - size, end) == 0;
  };
  if (!ends_in(".node") || ends_in(kOwn)) return 0;
  *static_cast<bool*>(found) = true;
  return 1;
}

// hasAddons() -> whether others than this are loaded.
Napi::Value HasAddons(const Napi::CallbackInfo& info) {
  bool found = false;
  dl_iterate_phdr(IsForeignAddon, &found);
  return Napi::Boolean::New(info.Env(), found);
}

// "1234 (name) S ...": the name may hold parentheses. False: it is gone, or has ended.
bool ReadProcess(int pid, std::string& name, double& seconds) {
  char text[1024];
  snprintf(text, sizeof text, "/proc/%d/stat", pid);
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(text, "re"), fclose);
  if (file == nullptr || fgets(text, sizeof text, file.get()) == nullptr) return false;
  const char* const begin = strchr(text, '(');
  const char* at = strrchr(text, ')');
  if (begin == nullptr || at == nullptr || at[1] == '\0' || at[2] == 'Z') return false;
  name.assign(begin + 1, at);
  constexpr int kFromStateToStart = 19;
  for (int blank = 0; blank <= kFromStateToStart && at != nullptr; ++blank)
    at = strchr(at + 1, ' ');
  if (at == nullptr) return false;
  seconds =
      static_cast<double>(strtoull(at, nullptr, 10)) / static_cast<double>(sysconf(_SC_CLK_TCK));
  return true;
}

// childProcesses() -> { pid, name, started, worker } of each that runs: when it was started, in
// seconds since the machine was, and whether by another thread than the main one. Empty where the
// kernel does not tell.
Napi::Value ChildProcesses(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array children = Napi::Array::New(env);
  const Folder threads(opendir("/proc/self/task"));
  while (const dirent* entry = threads == nullptr ? nullptr : readdir(threads.get())) {
    const int thread = atoi(entry->d_name);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", thread);
    const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path, "re"), fclose);
    int pid;
    while (thread > 0 && file != nullptr && fscanf(file.get(), "%d", &pid) == 1) {
      std::string name;
      double started;
      if (!ReadProcess(pid, name, started)) continue;
      Napi::Object child = Napi::Object::New(env);
      child.Set("pid", pid);
      child.Set("name", name);
      child.Set("started", started);
      child.Set("worker", thread != getpid());
      children.Set(children.Length(), child);
    }
  }
  return children;
}

#else

Napi::Value HasAddons(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), false);
}

Napi::Value ChildProcesses(const Napi::CallbackInfo& info) { return Napi::Array::New(info.Env()); }

#endif

}  // namespace

void ExportInventory(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  exports.Set("openDescriptors", Napi::Function::New(env, OpenDescriptors, "openDescriptors"));
  exports.Set("hasAddons", Napi::Function::New(env, HasAddons, "hasAddons"));
  exports.Set("childProcesses", Napi::Function::New(env, ChildProcesses, "childProcesses"));
  exports.Set("ignoredSignals", Napi::Function::New(env, IgnoredSignals, "ignoredSignals"));
}

}  // namespace doublefork
