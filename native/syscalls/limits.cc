// What the process may use: getrlimit(2), setrlimit(2), nice(2).
#include <sys/resource.h>
#include <unistd.h>

#include "syscalls/call.h"
#include "syscalls/exports.h"

namespace doublefork {
namespace {

// A limit is a number, or -1 for none.
double Number(rlim_t limit) { return limit == RLIM_INFINITY ? -1 : static_cast<double>(limit); }
rlim_t Limit(const Napi::Value& value) {
  const double number = value.As<Napi::Number>();
  return number < 0 ? RLIM_INFINITY : static_cast<rlim_t>(number);
}

using Resource = decltype(RLIMIT_CORE);

// (resource) -> [soft, hard], or -errno.
Napi::Value GetLimit(const Napi::CallbackInfo& info) {
  rlimit limit;
  const auto resource = static_cast<Resource>(info[0].As<Napi::Number>().Int32Value());
  if (getrlimit(resource, &limit) < 0) return Napi::Number::New(info.Env(), -errno);
  Napi::Array pair = Napi::Array::New(info.Env(), 2);
  pair.Set(0u, Number(limit.rlim_cur));
  pair.Set(1u, Number(limit.rlim_max));
  return pair;
}

// (resource, soft, hard) -> 0 or -errno.
Napi::Value SetLimit(const Napi::CallbackInfo& info) {
  const rlimit limit = {Limit(info[1]), Limit(info[2])};
  const auto resource = static_cast<Resource>(info[0].As<Napi::Number>().Int32Value());
  return Napi::Number::New(info.Env(), ResultOrErrno(setrlimit(resource, &limit)));
}

// (increment) -> [the new value], which may be negative, or -errno.
Napi::Value Nice(const Napi::CallbackInfo& info) {
  errno = 0;
  const int value = nice(info[0].As<Napi::Number>().Int32Value());
  if (value == -1 && errno != 0) return Napi::Number::New(info.Env(), -errno);
  Napi::Array result = Napi::Array::New(info.Env(), 1);
  result.Set(0u, value);
  return result;
}

Napi::Object Resources(Napi::Env env) {
  Napi::Object resources = Napi::Object::New(env);
#define DOUBLEFORK_RESOURCE(name) resources.Set(#name, static_cast<int>(name))
  DOUBLEFORK_RESOURCE(RLIMIT_CORE);
  DOUBLEFORK_RESOURCE(RLIMIT_CPU);
  DOUBLEFORK_RESOURCE(RLIMIT_DATA);
  DOUBLEFORK_RESOURCE(RLIMIT_FSIZE);
  DOUBLEFORK_RESOURCE(RLIMIT_NOFILE);
  DOUBLEFORK_RESOURCE(RLIMIT_STACK);
  DOUBLEFORK_RESOURCE(RLIMIT_AS);
  DOUBLEFORK_RESOURCE(RLIMIT_MEMLOCK);
  DOUBLEFORK_RESOURCE(RLIMIT_NPROC);
#ifdef RLIMIT_RSS
  DOUBLEFORK_RESOURCE(RLIMIT_RSS);
#endif
#ifdef __linux__
  DOUBLEFORK_RESOURCE(RLIMIT_LOCKS);
  DOUBLEFORK_RESOURCE(RLIMIT_MSGQUEUE);
  DOUBLEFORK_RESOURCE(RLIMIT_NICE);
  DOUBLEFORK_RESOURCE(RLIMIT_RTPRIO);
  DOUBLEFORK_RESOURCE(RLIMIT_RTTIME);
  DOUBLEFORK_RESOURCE(RLIMIT_SIGPENDING);
#endif
#undef DOUBLEFORK_RESOURCE
  return resources;
}

}  // namespace

void ExportLimits(Napi::Object exports) {
  const Napi::Env env = exports.Env();
  exports.Set("getrlimit", Napi::Function::New(env, GetLimit, "getrlimit"));
  exports.Set("setrlimit", Napi::Function::New(env, SetLimit, "setrlimit"));
  exports.Set("nice", Napi::Function::New(env, Nice, "nice"));
  exports.Set("resources", Resources(env));
}

}  // namespace doublefork
