#include "logger/severity.h"

#ifdef __linux__

#include <stdlib.h>
#include <string.h>
#include <strings.h>

namespace doublefork::logger {
namespace {

struct Name {
  const char* name;
  int severity;
};

// winston's three sets of levels, pino's labels, and what others say for the same.
constexpr Name kNames[] = {
    {"emerg", 0}, {"alert", 1},   {"crit", 2},  {"critical", 2}, {"fatal", 2}, {"error", 3},
    {"err", 3},   {"warning", 4}, {"warn", 4},  {"notice", 5},   {"info", 6},  {"http", 6},
    {"help", 6},  {"data", 6},    {"debug", 7}, {"verbose", 7},  {"trace", 7}, {"silly", 7},
};

}  // namespace

int SeverityOfLevel(const char* value, size_t length) {
  if (length > 2 && value[0] == '"') {
    for (const Name& each : kNames) {
      if (strlen(each.name) == length - 2 && strncasecmp(each.name, value + 1, length - 2) == 0)
        return each.severity;
    }
    return kUnknown;
  }
  char digits[8] = {};
  if (length == 0 || length >= sizeof digits) return kUnknown;
  memcpy(digits, value, length);
  char* end;
  long level = strtol(digits, &end, 10);
  if (*end != '\0' || level < 0) return kUnknown;
  // Syslog's own; pino's begin at 10.
  if (level < 8) return static_cast<int>(level);
  return level >= 60 ? 2 : level >= 50 ? 3 : level >= 40 ? 4 : level >= 30 ? 6 : 7;
}

int SeverityOfPrefix(const char* line, size_t length, size_t* prefix) {
  *prefix = 0;
  if (length < 3 || line[0] != '<' || line[1] < '0' || line[1] > '7' || line[2] != '>')
    return kUnknown;
  *prefix = 3;
  return line[1] - '0';
}

void LevelFinder::Visit(const Member& member) {
  if (member.name_length == 5 && memcmp(member.name, "level", 5) == 0)
    severity = SeverityOfLevel(member.value, member.length);
}

}  // namespace doublefork::logger

#endif
