#include "logger/destination.h"

#ifdef __linux__

#include <stdio.h>
#include <string.h>

namespace doublefork::logger {

void Gap::Describe(uint64_t now, char* to, size_t size) const {
  double seconds = static_cast<double>(now - since) / 1000;
  const char* why = strerror(failure);
  if (dropped_bytes > 0) {
    snprintf(to, size,
             "the log could not be written for %.1f s (%s): %llu lines, %llu bytes, were dropped",
             seconds, why, static_cast<unsigned long long>(dropped_lines),
             static_cast<unsigned long long>(dropped_bytes));
  } else {
    snprintf(to, size, "the log could not be written for %.1f s (%s); nothing was lost", seconds,
             why);
  }
}

}  // namespace doublefork::logger

#endif
