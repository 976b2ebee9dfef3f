// A Failure, for JavaScript.
#ifndef DOUBLEFORK_BASE_REFUSAL_H_
#define DOUBLEFORK_BASE_REFUSAL_H_

#include <napi.h>

#include "base/failure.h"

namespace doublefork {

// [-errno, sentence, function]: see Refusal in src/posix/addon.ts, which makes the error of it.
inline Napi::Array Refusal(Napi::Env env, const Failure& failure) {
  Napi::Array triple = Napi::Array::New(env, 3);
  triple.Set(0u, -failure.error);
  triple.Set(1u, failure.Sentence());
  triple.Set(2u, failure.call);
  return triple;
}

}  // namespace doublefork

#endif  // DOUBLEFORK_BASE_REFUSAL_H_
