// Descriptors: open(2), close(2), dup(2), pipe(2), poll(2), fcntl(2), close_range(2), isatty(3).
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <vector>

#include "base/flags.h"
#include "syscalls/call.h"
#include "syscalls/exports.h"

namespace doublefork {
namespace {

int Open(const char* path, int flags, mode_t mode) { return open(path, flags, mode); }
int FcntlInt(int fd, int command, int argument) { return fcntl(fd, command, argument); }

#ifdef __linux__
int Dup3(int from, int to, int flags) { return dup3(from, to, flags); }
int CloseRange(unsigned first, unsigned last, unsigned flags) {
#ifndef SYS_close_range
#define SYS_close_range 436  // the same number on every architecture; missing from older headers
#endif
  return static_cast<int>(syscall(SYS_close_range, first, last, flags));
}
#else
int Dup3(int from, int to, int flags) {
  if (from == to) return errno = EINVAL, -1;
  return dup2(from, to) < 0 || SetFlags(to, flags) < 0 ? -1 : to;
}
int CloseRange(unsigned, unsigned, unsigned) { return errno = ENOSYS, -1; }
#endif

Napi::Value Pipe(const Napi::CallbackInfo& info) {
  int fds[2];
  if (Pipe2(fds, info[0].As<Napi::Number>().Int32Value()) < 0) {
    return Napi::Number::New(info.Env(), -errno);
  }
  Napi::Array pair = Napi::Array::New(info.Env(), 2);
  pair.Set(0u, fds[0]);
  pair.Set(1u, fds[1]);
  return pair;
}

// (fds, events, timeout) -> revents, or -errno. Two flat arrays are cheaper than objects.
Napi::Value Poll(const Napi::CallbackInfo& info) {
  const Napi::Array fds = info[0].As<Napi::Array>();
  const Napi::Array events = info[1].As<Napi::Array>();
  std::vector<pollfd> entries(fds.Length());
  for (uint32_t i = 0; i < entries.size(); ++i) {
    entries[i].fd = fds.Get(i).As<Napi::Number>().Int32Value();
    entries[i].events = static_cast<short>(events.Get(i).As<Napi::Number>().Int32Value());
  }
  if (poll(entries.data(), entries.size(), info[2].As<Napi::Number>().Int32Value()) < 0) {
    return Napi::Number::New(info.Env(), -errno);
  }
  Napi::Array revents = Napi::Array::New(info.Env(), entries.size());
  for (uint32_t i = 0; i < entries.size(); ++i) revents.Set(i, entries[i].revents);
  return revents;
}

Napi::Value Ttyname(const Napi::CallbackInfo& info) {
  char name[256];
  const int error = ttyname_r(info[0].As<Napi::Number>().Int32Value(), name, sizeof name);
  if (error != 0) return Napi::Number::New(info.Env(), -error);
  return Napi::String::New(info.Env(), name);
}

}  // namespace

void ExportDescriptor(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  const auto add = [&](const char* name, Napi::Value (*callback)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, callback, name));
  };
  add("open", Call<Open>);
  add("close", Call<close>);
  add("dup", Call<dup>);
  add("dup2", Call<dup2>);
  add("dup3", Call<Dup3>);
  add("fcntl", Call<FcntlInt>);
  add("closeRange", Call<CloseRange>);
  add("isatty", Call<isatty>);
  add("pipe", Pipe);
  add("poll", Poll);
  add("ttyname", Ttyname);
}

}  // namespace doublefork
