// Time that only goes forward.
#ifndef DOUBLEFORK_BASE_CLOCK_H_
#define DOUBLEFORK_BASE_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace doublefork {

// In ms. Async-signal-safe.
inline int64_t NowMs(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now = {};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace doublefork

#endif  // DOUBLEFORK_BASE_CLOCK_H_
