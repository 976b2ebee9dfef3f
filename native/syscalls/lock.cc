// Locks on files: flock(2) and fcntl(2) record locks.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "syscalls/call.h"
#include "syscalls/exports.h"
#include "syscalls/record_locks.h"

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

#ifdef __linux__

// Whether /proc/self/fdinfo tells of a record lock of this process's, taken through this
// descriptor: "lock:\t1: POSIX  ADVISORY  WRITE 1234 08:01:5678 0 EOF". Those of an open file are
// "OFDLCK" and "FLOCK".
bool HasRecordLock(const char* number) {
  char path[300];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%s", number);
  const std::unique_ptr<FILE, int (*)(FILE*)> info(fopen(path, "re"), fclose);
  char line[256];
  while (info != nullptr && fgets(line, sizeof line, info.get()) != nullptr) {
    if (strncmp(line, "lock:", 5) == 0 && strstr(line, ": POSIX ") != nullptr) return true;
  }
  return false;
}

#endif

// lockedFiles() -> { fd, path } of each.
Napi::Value LockedFilesBinding(const Napi::CallbackInfo& info) {
  Napi::Array files = Napi::Array::New(info.Env());
  for (const LockedFile& file : LockedFiles()) {
    Napi::Object entry = Napi::Object::New(info.Env());
    entry.Set("fd", file.fd);
    entry.Set("path", file.path);
    files.Set(files.Length(), entry);
  }
  return files;
}

}  // namespace

std::vector<LockedFile> LockedFiles() {
  std::vector<LockedFile> files;
#ifdef __linux__
  const std::unique_ptr<DIR, int (*)(DIR*)> descriptors(opendir("/proc/self/fd"), closedir);
  while (const dirent* entry = descriptors == nullptr ? nullptr : readdir(descriptors.get())) {
    char file[4096];
    const ssize_t length = readlinkat(dirfd(descriptors.get()), entry->d_name, file, sizeof file);
    // Pipes, sockets and the like have no path, and no locks.
    if (length <= 0 || file[0] != '/' || !HasRecordLock(entry->d_name)) continue;
    files.push_back({atoi(entry->d_name), std::string(file, length)});
  }
#endif
  return files;
}

void ExportLock(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  exports.Set("flock", Napi::Function::New(env, Call<flock>, "flock"));
  exports.Set("lockedFiles", Napi::Function::New(env, LockedFilesBinding, "lockedFiles"));
  exports.Set("fcntlLock", Napi::Function::New(env, FcntlLock, "fcntlLock"));
}

}  // namespace doublefork
