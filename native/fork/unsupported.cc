// Where the fork engine does not exist: macOS and the BSDs, musl, other processors.
#include <cerrno>

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
  Napi::Array triple = Napi::Array::New(info.Env(), 3);
  triple.Set(0u, -ENOTSUP);
  triple.Set(1u, kReason);
  triple.Set(2u, "fork");
  return triple;
}

// As in fork/binding.cc, by libc's own means of reaching every thread.
Napi::Value ConfineBinding(const Napi::CallbackInfo& info) {
  const Confinement confinement(info[0]);
  Failure failure;
  if (confinement.ApplyByLibc(failure)) return info.Env().Undefined();
  Napi::Array triple = Napi::Array::New(info.Env(), 3);
  triple.Set(0u, -failure.error);
  triple.Set(1u, failure.what == nullptr ? "" : failure.what);
  triple.Set(2u, failure.call);
  return triple;
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
