// Who the process is: setresuid(2), setresgid(2), setgroups(2), initgroups(3), their getters,
// chroot(2), and the user and group databases: getpwnam(3), getgrnam(3), getgrouplist(3).
#include <grp.h>
#include <pwd.h>
#include <sys/types.h>
#include <unistd.h>

#include <vector>

#include "syscalls/call.h"
#include "syscalls/exports.h"

namespace doublefork {
namespace {

#ifndef __linux__
// BSD has no saved ids to set on their own: setuid(2) sets all three for root, setreuid(2) two.
int setresuid(uid_t real, uid_t effective, uid_t saved) {
  return real == effective && effective == saved ? setuid(real) : setreuid(real, effective);
}
int setresgid(gid_t real, gid_t effective, gid_t saved) {
  return real == effective && effective == saved ? setgid(real) : setregid(real, effective);
}
int getresuid(uid_t* real, uid_t* effective, uid_t* saved) {
  *real = getuid();
  *saved = *effective = geteuid();
  return 0;
}
int getresgid(gid_t* real, gid_t* effective, gid_t* saved) {
  *real = getgid();
  *saved = *effective = getegid();
  return 0;
}
using GroupListId = int;
#else
using GroupListId = gid_t;
#endif

template <typename T>
Napi::Array Numbers(Napi::Env env, const T* first, size_t count) {
  Napi::Array array = Napi::Array::New(env, count);
  for (size_t i = 0; i < count; ++i) {
    array.Set(static_cast<uint32_t>(i), static_cast<double>(static_cast<uint32_t>(first[i])));
  }
  return array;
}

template <typename Id, int (*Get)(Id*, Id*, Id*)>
Napi::Value GetIds(const Napi::CallbackInfo& info) {
  Id ids[3];
  if (Get(&ids[0], &ids[1], &ids[2]) < 0) return Napi::Number::New(info.Env(), -errno);
  return Numbers(info.Env(), ids, 3);
}

Napi::Value GetGroups(const Napi::CallbackInfo& info) {
  const int count = getgroups(0, nullptr);
  std::vector<gid_t> groups(count < 0 ? 0 : static_cast<size_t>(count));
  const int got = count < 0 ? -1 : getgroups(count, groups.data());
  if (got < 0) return Napi::Number::New(info.Env(), -errno);
  return Numbers(info.Env(), groups.data(), static_cast<size_t>(got));
}

Napi::Value SetGroups(const Napi::CallbackInfo& info) {
  const Napi::Array from = info[0].As<Napi::Array>();
  std::vector<gid_t> groups;
  for (uint32_t i = 0; i < from.Length(); ++i) {
    groups.push_back(from.Get(i).As<Napi::Number>().Uint32Value());
  }
  return Napi::Number::New(info.Env(), ResultOrErrno(setgroups(groups.size(), groups.data())));
}

int InitGroups(const char* user, gid_t group) {
  return initgroups(user, static_cast<GroupListId>(group));
}

// The reentrant look-ups want a buffer of a size that nobody knows.
template <typename Entry, typename Look>
const Entry* LookUp(Entry& entry, std::vector<char>& buffer, int& error, Look look) {
  Entry* found = nullptr;
  buffer.resize(1024);
  while ((error = look(&entry, buffer.data(), buffer.size(), &found)) == ERANGE) {
    buffer.resize(buffer.size() * 2);
  }
  return found;
}

// getpwnam(name | uid) -> { name, uid, gid, dir, shell }, null if there is none, or -errno.
Napi::Value GetUser(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  passwd entry;
  std::vector<char> buffer;
  int error = 0;
  const passwd* const user =
      LookUp(entry, buffer, error, [&](passwd* into, char* text, size_t size, passwd** found) {
        if (info[0].IsNumber()) {
          return getpwuid_r(info[0].As<Napi::Number>().Uint32Value(), into, text, size, found);
        }
        return getpwnam_r(info[0].As<Napi::String>().Utf8Value().c_str(), into, text, size, found);
      });
  // "0 or ENOENT or ESRCH or EBADF or EPERM or ...": the given name was not found.
  if (user == nullptr) return error == EIO ? Napi::Number::New(env, -error) : env.Null();
  Napi::Object result = Napi::Object::New(env);
  result.Set("name", user->pw_name);
  result.Set("uid", static_cast<double>(user->pw_uid));
  result.Set("gid", static_cast<double>(user->pw_gid));
  result.Set("dir", user->pw_dir);
  result.Set("shell", user->pw_shell);
  return result;
}

// getgrnam(name | gid) -> { name, gid }, null if there is none, or -errno.
Napi::Value GetGroup(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  group entry;
  std::vector<char> buffer;
  int error = 0;
  const group* const found =
      LookUp(entry, buffer, error, [&](group* into, char* text, size_t size, group** result) {
        if (info[0].IsNumber()) {
          return getgrgid_r(info[0].As<Napi::Number>().Uint32Value(), into, text, size, result);
        }
        return getgrnam_r(info[0].As<Napi::String>().Utf8Value().c_str(), into, text, size, result);
      });
  if (found == nullptr) return error == EIO ? Napi::Number::New(env, -error) : env.Null();
  Napi::Object result = Napi::Object::New(env);
  result.Set("name", found->gr_name);
  result.Set("gid", static_cast<double>(found->gr_gid));
  return result;
}

// getgrouplist(user, gid) -> the groups that the databases give the user, that one included.
Napi::Value GetGroupList(const Napi::CallbackInfo& info) {
  const std::string user = info[0].As<Napi::String>();
  const auto group = static_cast<GroupListId>(info[1].As<Napi::Number>().Uint32Value());
  std::vector<GroupListId> groups(64);
  int count = static_cast<int>(groups.size());
  while (getgrouplist(user.c_str(), group, groups.data(), &count) < 0) {
    // Linux tells how many there are; others leave the number as it was.
    if (count <= static_cast<int>(groups.size())) count = static_cast<int>(groups.size()) * 2;
    groups.resize(static_cast<size_t>(count));
  }
  return Numbers(info.Env(), groups.data(), static_cast<size_t>(count));
}

}  // namespace

void ExportIdentity(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  const auto add = [&](const char* name, Napi::Value (*callback)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, callback, name));
  };
  add("setresuid", Call<setresuid>);
  add("setresgid", Call<setresgid>);
  add("setgroups", SetGroups);
  add("initgroups", Call<InitGroups>);
  add("getresuid", GetIds<uid_t, getresuid>);
  add("getresgid", GetIds<gid_t, getresgid>);
  add("getgroups", GetGroups);
  add("chroot", Call<chroot>);
  add("getpwnam", GetUser);
  add("getgrnam", GetGroup);
  add("getgrouplist", GetGroupList);
}

}  // namespace doublefork
