// Why a fork was refused, noted while nothing may be formatted, put into words afterwards.
#ifndef DOUBLEFORK_FORK_REASON_H_
#define DOUBLEFORK_FORK_REASON_H_

#include <string>

#include "detach/failure.h"

namespace doublefork {

struct Reason {
  int error = 0;               // a positive errno; 0: nothing went wrong
  const char* what = nullptr;  // a sentence without its end; null: what the errno says
  const char* call = nullptr;  // the function that failed, if it was not the fork
  // The thread that was in the way, if it was one.
  int tid = 0;
  char thread[16] = {};
  const void* at = nullptr;  // the code it was running

  // Each gives false, so that a failing step reads `return reason.Set(...)`.
  bool Set(int code, const char* sentence) {
    error = code;
    what = sentence;
    return false;
  }

  bool Set(const Failure& failure) {
    call = failure.call;
    return Set(failure.error, failure.what);
  }

  // For people. Uses malloc: only after the thaw.
  std::string Sentence() const;
};

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_REASON_H_
