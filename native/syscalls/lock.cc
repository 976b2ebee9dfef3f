// Locks on files: flock(2) and fcntl(2) record locks.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "syscalls/call.h"
#include "syscalls/exports.h"

namespace doublefork {
namespace {

// The same order as `lockTypes` in src/posix/lock.ts: the system's own numbers differ.
constexpr short kTypes[] = {F_RDLCK, F_WRLCK, F_UNLCK};

int TypeIndex(short type) {
  int index = 0;
  while (kTypes[index] != type) ++index;
  return index;
}

// (fd, command, type, start, length) -> [type, start, length, pid], or -errno.
Napi::Value FcntlLock(const Napi::CallbackInfo& info) {
  struct flock lock = {};
  lock.l_type = kTypes[info[2].As<Napi::Number>().Int32Value()];
  lock.l_whence = SEEK_SET;
  lock.l_start = info[3].As<Napi::Number>().Int64Value();
  lock.l_len = info[4].As<Napi::Number>().Int64Value();
  if (fcntl(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value(),
            &lock) < 0) {
    return Napi::Number::New(info.Env(), -errno);
  }
  Napi::Array found = Napi::Array::New(info.Env(), 4);
  found.Set(0u, TypeIndex(lock.l_type));
  found.Set(1u, static_cast<double>(lock.l_start));
  found.Set(2u, static_cast<double>(lock.l_len));
  found.Set(3u, lock.l_pid);
  return found;
}

}  // namespace

void ExportLock(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  exports.Set("flock", Napi::Function::New(env, Call<flock>, "flock"));
  exports.Set("fcntlLock", Napi::Function::New(env, FcntlLock, "fcntlLock"));
}

}  // namespace doublefork
