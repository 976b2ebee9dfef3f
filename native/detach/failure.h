// Why a step between the fork and the program's going on failed: noted where nothing may be
// formatted or allocated, and sent through a pipe to the process that asked.
#ifndef DOUBLEFORK_DETACH_FAILURE_H_
#define DOUBLEFORK_DETACH_FAILURE_H_

namespace doublefork {

// The texts are literals: their addresses mean the same in a process and in its forks.
struct Failure {
  int error = 0;               // a positive errno; 0: nothing went wrong
  const char* call = nullptr;  // the function that failed
  const char* what = nullptr;  // a sentence for people; null: what the errno says

  // Gives false, so that a failing step reads `return failure.Set(...)`.
  bool Set(int code, const char* function, const char* sentence = nullptr) {
    error = code;
    call = function;
    what = sentence;
    return false;
  }
};

}  // namespace doublefork

#endif  // DOUBLEFORK_DETACH_FAILURE_H_
