// How a line looks in the log.
#ifndef DOUBLEFORK_LOGGER_FORMAT_H_
#define DOUBLEFORK_LOGGER_FORMAT_H_

#include <cstddef>
#include <cstdint>

#include "logger/settings.h"

namespace doublefork::logger {

// The time of day, taken once for all lines that were read at once.
struct Moment {
  explicit Moment(Stamp stamp);

  int64_t seconds;
  long nanoseconds;
  char text[48];  // with a space behind it; empty without a stamp
  size_t length;
};

// The most that AppendJson() writes for a line.
constexpr size_t JsonSize(size_t line, size_t fields) { return 6 * line + fields + 128; }

// A line as a JSON object, with a newline. One that is a JSON object is kept, with those members
// added that it does not have; any other one is its `msg`. `partial`: its end is still to come, or
// was not written. The end of what was written.
char* AppendJson(char* to, const char* line, size_t length, const char* fields, const Moment& now,
                 Stamp stamp, bool partial);

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_FORMAT_H_
