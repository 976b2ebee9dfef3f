// Turns a C function into a JavaScript one: arguments unpacked by type, result or -errno returned.
//
// No policy lives here: JavaScript (src/posix) has validated the arguments, and turns a negative
// result into Node's system-error shape.
#ifndef DOUBLEFORK_SYSCALLS_CALL_H_
#define DOUBLEFORK_SYSCALLS_CALL_H_

#include <napi.h>

#include <cerrno>
#include <string>
#include <type_traits>
#include <utility>

namespace doublefork {

inline double ResultOrErrno(double result) { return result < 0 ? -errno : result; }

// Holds one argument for as long as the call lasts (a string owns its bytes).
template <typename T, typename = void>
struct Argument;

template <typename T>
struct Argument<T, std::enable_if_t<std::is_integral_v<T>>> {
  explicit Argument(const Napi::Value& value)
      : held(static_cast<T>(value.As<Napi::Number>().Int64Value())) {}
  T get() const { return held; }
  T held;
};

template <>
struct Argument<const char*> {
  explicit Argument(const Napi::Value& value) : held(value.As<Napi::String>().Utf8Value()) {}
  const char* get() const { return held.c_str(); }
  std::string held;
};

template <auto Function, typename Result, typename... Args, std::size_t... I>
double Apply(const Napi::CallbackInfo& info, Result (*)(Args...), std::index_sequence<I...>) {
  return ResultOrErrno(static_cast<double>(Function(Argument<Args>(info[I]).get()...)));
}

template <auto Function, typename Result, typename... Args>
double Apply(const Napi::CallbackInfo& info, Result (*function)(Args...)) {
  return Apply<Function>(info, function, std::index_sequence_for<Args...>{});
}

// Call<setsid> is a Node-API callback for setsid(2).
template <auto Function>
Napi::Value Call(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Apply<Function>(info, Function));
}

}  // namespace doublefork

#endif  // DOUBLEFORK_SYSCALLS_CALL_H_
