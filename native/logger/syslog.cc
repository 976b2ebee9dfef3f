#ifdef __linux__

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "logger/json.h"
#include "logger/messages.h"
#include "logger/severity.h"

namespace doublefork::logger {
namespace {

bool IsPid(const Member& member) {
  return member.name_length == 3 && memcmp(member.name, "pid", 3) == 0;
}

// RFC 5424, 6.3: the number is that which IANA keeps for those who have none (RFC 5612).
char* AppendStructuredData(char* to, const Members& members, bool partial) {
  char* begin = to;
  to = stpcpy(to, "[doublefork@32473");
  for (int i = 0; i < members.count; i++) {
    const Member& member = members.all[i];
    if (IsPid(member)) continue;
    *to++ = ' ';
    for (size_t at = 0; at < member.name_length && at < 32; at++) {
      char c = member.name[at];
      *to++ = c > ' ' && c < 127 && c != '=' && c != ']' && c != '"' ? c : '_';
    }
    *to++ = '=';
    *to++ = '"';
    char value[kFields];
    const char* end = AppendValue(value, member.value, member.length);
    for (const char* at = value; at < end; at++) {
      if (*at == '"' || *at == '\\' || *at == ']') *to++ = '\\';
      *to++ = *at;
    }
    *to++ = '"';
  }
  if (partial) to = stpcpy(to, " partial=\"true\"");
  if (to == begin + strlen("[doublefork@32473")) return stpcpy(begin, "-");
  *to++ = ']';
  return to;
}

}  // namespace

char* AppendMessage(char* to, const Line& line, const Settings& settings, Syslog format) {
  size_t prefix = 0;
  int severity = line.severity;
  if (severity == kUnknown) {
    LevelFinder finder;
    severity = SeverityOfPrefix(line.text, line.length, &prefix);
    if (ReadObject(line.text, line.length, &finder)) severity = finder.severity;
    if (severity == kUnknown) severity = kInformational;
  }
  Members members(line.fields);
  char pid[24] = "-";
  for (int i = 0; i < members.count; i++) {
    if (IsPid(members.all[i]) && members.all[i].length < sizeof pid)
      *AppendValue(pid, members.all[i].value, members.all[i].length) = '\0';
  }
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tm time;
  to += sprintf(to, "<%d>", static_cast<int>(settings.facility) * 8 + severity);
  if (format == Syslog::kRfc3164) {
    // As syslog(3) of libc writes it.
    localtime_r(&now.tv_sec, &time);
    to += strftime(to, 32, "%b %e %H:%M:%S ", &time);
    to += sprintf(to, "%s[%s]: ", settings.tag, pid);
  } else {
    gmtime_r(&now.tv_sec, &time);
    to += sprintf(to, "1 ");
    to += strftime(to, 32, "%Y-%m-%dT%H:%M:%S", &time);
    char host[256] = "-";
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') strcpy(host, "-");
    to += sprintf(to, ".%06ldZ %s %s %s - ", now.tv_nsec / 1000, host, settings.tag, pid);
    to = AppendStructuredData(to, members, line.partial);
    *to++ = ' ';
  }
  memcpy(to, line.text + prefix, line.length - prefix);
  return to + line.length - prefix;
}

}  // namespace doublefork::logger

#endif
