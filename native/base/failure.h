// Why a step failed: noted where nothing may be formatted or allocated, sent through a pipe to the
// process that asked, and put into words there.
#ifndef DOUBLEFORK_BASE_FAILURE_H_
#define DOUBLEFORK_BASE_FAILURE_H_

#include <string>

namespace doublefork {

// The texts are literals: their addresses mean the same in a process and in its forks.
struct Failure {
  int error = 0;               // a positive errno; 0: nothing went wrong
  const char* what = nullptr;  // a sentence without its end; null: what the errno says
  const char* call = "fork";   // the function that failed
  // The thread that was in the way, if it was one.
  int tid = 0;
  char thread[16] = {};
  const void* at = nullptr;    // the code it was running
  const char* hint = nullptr;  // what to do about it

  // Each gives false, so that a failing step reads `return failure.Set(...)`.
  bool Set(int code, const char* sentence) {
    error = code;
    what = sentence;
    return false;
  }
  bool SetCall(int code, const char* function, const char* sentence = nullptr) {
    call = function;
    return Set(code, sentence);
  }

  // For people. Uses malloc.
  std::string Sentence() const;
};

}  // namespace doublefork

#endif  // DOUBLEFORK_BASE_FAILURE_H_
