// Order and checks: setresuid(2), credentials(7), capabilities(7), "effect of user ID changes".
#include "confine/confinement.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

namespace doublefork {
namespace {

// The calling thread alone. libc's functions have every other thread do the same, and in a fork
// those are frozen or missing, though libc remembers them.
#ifdef __linux__
#ifdef SYS_setgroups32  // 32-bit processors have older ones beside them, for ids of 16 bits
#define DOUBLEFORK_ID_CALL(name) SYS_##name##32
#else
#define DOUBLEFORK_ID_CALL(name) SYS_##name
#endif
long SetGroups(size_t count, const gid_t* groups) {
  return syscall(DOUBLEFORK_ID_CALL(setgroups), count, groups);
}
long SetGid(gid_t gid) { return syscall(DOUBLEFORK_ID_CALL(setresgid), gid, gid, gid); }
long SetUid(uid_t uid) { return syscall(DOUBLEFORK_ID_CALL(setresuid), uid, uid, uid); }
long SetEffectiveGid(gid_t gid) { return syscall(DOUBLEFORK_ID_CALL(setresgid), -1, gid, -1); }
long SetEffectiveUid(uid_t uid) { return syscall(DOUBLEFORK_ID_CALL(setresuid), -1, uid, -1); }
bool HasAllUids(uid_t uid) {
  uid_t real, effective, saved;
  return getresuid(&real, &effective, &saved) == 0 && real == uid && effective == uid &&
         saved == uid;
}
bool HasAllGids(gid_t gid) {
  gid_t real, effective, saved;
  return getresgid(&real, &effective, &saved) == 0 && real == gid && effective == gid &&
         saved == gid;
}
#else
long SetGroups(size_t count, const gid_t* groups) {
  return setgroups(static_cast<int>(count), groups);
}
// With root's rights these set the saved id as well.
long SetGid(gid_t gid) { return setgid(gid); }
long SetUid(uid_t uid) { return setuid(uid); }
long SetEffectiveGid(gid_t gid) { return setegid(gid); }
long SetEffectiveUid(uid_t uid) { return seteuid(uid); }
bool HasAllUids(uid_t uid) { return getuid() == uid && geteuid() == uid; }
bool HasAllGids(gid_t gid) { return getgid() == gid && getegid() == gid; }
#endif

constexpr const char* kGroup = "other groups need root (CAP_SETGID)";
constexpr const char* kUser = "another user needs root (CAP_SETUID)";

// Notes the errno; the sentence is for those who lack a right.
bool Fail(Failure& failure, const char* call, const char* without_right = nullptr) {
  return failure.SetCall(errno, call, errno == EPERM || errno == EACCES ? without_right : nullptr);
}

template <typename T>
std::optional<T> Optional(const Napi::Value& value) {
  if (!value.IsNumber()) return std::nullopt;
  return static_cast<T>(value.As<Napi::Number>().Int64Value());
}

// -1: no limit.
rlim_t LimitValue(const Napi::Value& value) {
  const double number = value.As<Napi::Number>();
  return number < 0 ? RLIM_INFINITY : static_cast<rlim_t>(number);
}

}  // namespace

Confinement::Confinement(const Napi::Value& value) {
  if (!value.IsObject()) return;
  const Napi::Object from = value.As<Napi::Object>();
  const Napi::Array limits = from.Get("limits").As<Napi::Array>();
  for (uint32_t i = 0; i < limits.Length(); ++i) {
    const Napi::Array limit = limits.Get(i).As<Napi::Array>();
    limits_.push_back(
        {limit.Get(0u).As<Napi::Number>(), {LimitValue(limit.Get(1u)), LimitValue(limit.Get(2u))}});
  }
  oom_score_adj_ = from.Get("oomScoreAdj").As<Napi::String>();
  nice_ = Optional<int>(from.Get("nice"));
  root_ = from.Get("chroot").As<Napi::String>();
  gid_ = Optional<gid_t>(from.Get("gid"));
  uid_ = Optional<uid_t>(from.Get("uid"));
  if (from.Get("groups").IsArray()) {
    const Napi::Array groups = from.Get("groups").As<Napi::Array>();
    groups_.emplace();
    for (uint32_t i = 0; i < groups.Length(); ++i) {
      groups_->push_back(groups.Get(i).As<Napi::Number>().Uint32Value());
    }
  }
  if (from.Get("capabilities").IsArray()) {
    capabilities_ = 0;
    const Napi::Array kept = from.Get("capabilities").As<Napi::Array>();
    for (uint32_t i = 0; i < kept.Length(); ++i) {
      *capabilities_ |= uint64_t{1} << kept.Get(i).As<Napi::Number>().Uint32Value();
    }
  }
  no_new_privileges_ = from.Get("noNewPrivileges").As<Napi::Boolean>();
}

bool Confinement::ApplyToProcess(Failure& failure) const {
  if (!oom_score_adj_.empty()) {
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    const ssize_t size = static_cast<ssize_t>(oom_score_adj_.size());
    if (fd < 0 || write(fd, oom_score_adj_.data(), oom_score_adj_.size()) != size) {
      Fail(failure, "oom_score_adj", "a lower oom_score_adj needs root (CAP_SYS_RESOURCE)");
      if (fd >= 0) close(fd);
      return false;
    }
    close(fd);
  }
  for (const Limit& limit : limits_) {
    if (setrlimit(static_cast<decltype(RLIMIT_CORE)>(limit.resource), &limit.value) < 0) {
      return Fail(failure, "setrlimit", "a limit above the hard limit needs root");
    }
  }
  return root_.empty() || ChangeRoot(failure);
}

bool Confinement::ChangeRoot(Failure& failure) const {
  if (chroot(root_.c_str()) < 0) {
    return Fail(failure, "chroot", "another root folder needs root (CAP_SYS_CHROOT)");
  }
  // A working directory outside would be a way out.
  return chdir("/") == 0 || Fail(failure, "chdir");
}

bool Confinement::ApplyToThread(Failure& failure) const {
  if (nice_ && setpriority(PRIO_PROCESS, 0, *nice_) < 0) {
    return Fail(failure, "setpriority", "a lower nice value needs root (CAP_SYS_NICE)");
  }
  if (capabilities_ && !RestrictBounding(failure)) return false;
  if (!ChangeUser(failure) || !LimitCapabilities(failure)) return false;
#ifdef __linux__
  if (no_new_privileges_ && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
    return Fail(failure, "prctl");
  }
#endif
  return IsIrrevocable(failure);
}

bool Confinement::ApplyByLibc(Failure& failure) const {
#ifdef __linux__
  if (capabilities_ || no_new_privileges_ || nice_) {
    return failure.SetCall(
        ENOTSUP, "confine",
        "capabilities, noNewPrivileges and nice belong to each thread, and without "
        "the fork engine only a detached daemon can change them for all");
  }
  if (!ApplyToProcess(failure)) return false;
  if (groups_ && setgroups(groups_->size(), groups_->data()) < 0) {
    return Fail(failure, "setgroups", kGroup);
  }
  if (gid_ && setresgid(*gid_, *gid_, *gid_) < 0) return Fail(failure, "setresgid", kGroup);
  if (uid_ && setresuid(*uid_, *uid_, *uid_) < 0) return Fail(failure, "setresuid", kUser);
  return IsIrrevocable(failure);
#else
  return Apply(failure);  // There all threads share them.
#endif
}

bool Confinement::ChangeUser(Failure& failure) const {
  if (groups_ && SetGroups(groups_->size(), groups_->data()) < 0) {
    return Fail(failure, "setgroups", kGroup);
  }
  if (gid_ && SetGid(*gid_) < 0) return Fail(failure, "setresgid", kGroup);
  if (uid_ && SetUid(*uid_) < 0) return Fail(failure, "setresuid", kUser);
  return true;
}

#ifdef __linux__

// Those of the bounding set that no program can have which this process executes.
bool Confinement::RestrictBounding(Failure& failure) const {
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return Fail(failure, "prctl");
  for (unsigned long number = 0; number < 64; ++number) {
    const int has = prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (has < 0) break;  // There are no more.
    if (has == 0 || (*capabilities_ >> number & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0) {
      return Fail(failure, "prctl", "to limit capabilities needs root (CAP_SETPCAP)");
    }
  }
  return true;
}

bool Confinement::LimitCapabilities(Failure& failure) const {
  // The kernel takes them from who is root no longer, unless a securebit of its parent's forbids.
  const bool changed = uid_ && *uid_ != 0;
  if (!capabilities_ && !changed) return true;
  const uint64_t kept = capabilities_.value_or(0);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2];
  for (int half = 0; half < 2; ++half) {
    const auto bits = static_cast<uint32_t>(kept >> (32 * half));
    sets[half] = {bits, bits, bits};
  }
  if (syscall(SYS_capset, &header, sets) < 0) {
    return Fail(failure, "capset", "to keep a capability one must have it: that needs root");
  }
  if (!capabilities_) return true;
  prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return Fail(failure, "prctl");
  for (unsigned long number = 0; number < 64; ++number) {
    if ((kept >> number & 1) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) < 0) {
      return Fail(failure, "prctl", "a securebit forbids ambient capabilities");
    }
  }
  return true;
}

#else
bool Confinement::RestrictBounding(Failure&) const { return true; }
bool Confinement::LimitCapabilities(Failure&) const { return true; }
#endif

// Asks for root back, which the kernel must refuse. Not after the program has asked to keep the
// right to it.
bool Confinement::IsIrrevocable(Failure& failure) const {
  constexpr uint64_t kSetGid = uint64_t{1} << 6;
  constexpr uint64_t kSetUid = uint64_t{1} << 7;
  const uint64_t kept = capabilities_.value_or(0);
  const bool privileged = uid_.value_or(geteuid()) == 0;
  if (uid_) {
    if (!HasAllUids(*uid_)) return failure.SetCall(EPERM, "getresuid", "the user was not changed");
    if (*uid_ != 0 && (kept & kSetUid) == 0 && SetEffectiveUid(0) == 0) {
      return failure.SetCall(EPERM, "setresuid", "the process could become root again");
    }
  }
  if (gid_) {
    if (!HasAllGids(*gid_)) return failure.SetCall(EPERM, "getresgid", "the group was not changed");
    if (*gid_ != 0 && !privileged && (kept & kSetGid) == 0 && SetEffectiveGid(0) == 0) {
      return failure.SetCall(EPERM, "setresgid", "the process could have root's group again");
    }
  }
  return true;
}

bool HasPrivileges() {
  if (getuid() == 0 || getuid() != geteuid() || getgid() != getegid()) return true;
#ifdef __linux__
  uid_t real, effective, saved;
  if (getresuid(&real, &effective, &saved) < 0 || saved != real) return true;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  if (syscall(SYS_capget, &header, sets) < 0) return true;
  return (sets[0].permitted | sets[1].permitted) != 0;
#else
  return false;
#endif
}

}  // namespace doublefork
