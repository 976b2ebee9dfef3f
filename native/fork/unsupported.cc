// Where the fork engine does not exist: macOS and the BSDs, musl, other processors.
#include <cerrno>

#include "base/refusal.h"
#include "confine/confinement.h"
#include "fork/exports.h"

namespace doublefork {
namespace {

#if !defined(__linux__)
constexpr const char* kReason = "the fork engine needs Linux";
#elif !defined(__GLIBC__)
constexpr const char* kReason = "the fork engine needs glibc";
#elif !defined(__x86_64__) && !defined(__aarch64__)
constexpr const char* kReason = "the fork engine needs an x64 or arm64 processor";
#else
constexpr const char* kReason = "the addon was built without the fork engine";
#endif

Napi::Value Refuse(const Napi::CallbackInfo& info) {
  Failure failure;
  failure.Set(ENOTSUP, kReason);
  return Refusal(info.Env(), failure);
}

// As in fork/binding.cc, by libc's own means of reaching every thread.
Napi::Value ConfineBinding(const Napi::CallbackInfo& info) {
  const Confinement confinement(info[0]);
  Failure failure;
  if (confinement.ApplyByLibc(failure)) return info.Env().Undefined();
  return Refusal(info.Env(), failure);
}

Napi::Value ForkSupport(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), kReason);
}

}  // namespace

void ExportFork(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  exports.Set("fork", Napi::Function::New(env, Refuse, "fork"));
  exports.Set("detach", Napi::Function::New(env, Refuse, "detach"));
  exports.Set("confine", Napi::Function::New(env, ConfineBinding, "confine"));
  exports.Set("forkSupport", Napi::Function::New(env, ForkSupport, "forkSupport"));
}

}  // namespace doublefork
