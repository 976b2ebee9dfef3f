// How bad a line is, by syslog's numbers: 0 (emergency) to 7 (debug).
#ifndef DOUBLEFORK_LOGGER_SEVERITY_H_
#define DOUBLEFORK_LOGGER_SEVERITY_H_

#include <cstddef>

#include "logger/json.h"

namespace doublefork::logger {

constexpr int kUnknown = -1;
constexpr int kInformational = 6;

// Of a `level` as pino (numbers), winston (names) and others write it, a value of JSON.
int SeverityOfLevel(const char* value, size_t length);

// Of a prefix as sd-daemon(3) has it, <4>; and how long that is.
int SeverityOfPrefix(const char* line, size_t length, size_t* prefix);

// Looks for the level of an object.
class LevelFinder final : public Visitor {
 public:
  void Visit(const Member& member) override;
  int severity = kUnknown;
};

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_SEVERITY_H_
