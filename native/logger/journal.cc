#ifdef __linux__

#include <stdio.h>
#include <string.h>

#include <initializer_list>

#include "logger/json.h"
#include "logger/messages.h"
#include "logger/severity.h"

namespace doublefork::logger {
namespace {

constexpr size_t kLongestName = 64;  // of a field, as journald takes it

// NAME=value, or where the value has more than one line its length in front of it.
char* AppendField(char* to, const char* name, const char* value, size_t length) {
  to = stpcpy(to, name);
  if (memchr(value, '\n', length) == nullptr) {
    *to++ = '=';
  } else {
    *to++ = '\n';
    for (int shift = 0; shift < 64; shift += 8)
      *to++ = static_cast<char>(static_cast<uint64_t>(length) >> shift & 0xff);
  }
  memmove(to, value, length);
  to += length;
  *to++ = '\n';
  return to;
}

bool Is(const Member& member, const char* name) {
  return strlen(name) == member.name_length && memcmp(member.name, name, member.name_length) == 0;
}

// The members of an object, as fields.
class Fields final : public Visitor {
 public:
  explicit Fields(char* to) : to(to) {}

  void Visit(const Member& member) override {
    if (Is(member, "level")) severity = SeverityOfLevel(member.value, member.length);
    char name[kLongestName + 2];
    if (Is(member, "msg") || Is(member, "message")) {
      has_message = true;
      strcpy(name, "MESSAGE");
    } else if (Is(member, "pid")) {
      strcpy(name, "SYSLOG_PID");
    } else if (!FieldName(member, name)) {
      return;
    }
    // Behind the place that name and length take: it moves from there.
    char* value = to + sizeof name + sizeof(uint64_t);
    size_t length = static_cast<size_t>(AppendValue(value, member.value, member.length) - value);
    to = AppendField(to, name, value, length);
  }

  char* to;
  int severity = kUnknown;
  bool has_message = false;

 private:
  // False: none can be made of it.
  static bool FieldName(const Member& member, char* name) {
    size_t length = 0;
    for (size_t i = 0; i < member.name_length && length < kLongestName; i++) {
      char c = member.name[i];
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
      bool is_letter = c >= 'A' && c <= 'Z';
      bool is_digit = c >= '0' && c <= '9';
      // An underscore in front is the journal's own, a digit it does not take.
      if (length == 0 && !is_letter) continue;
      name[length++] = is_letter || is_digit ? c : '_';
    }
    name[length] = '\0';
    // These say what the entry is.
    for (const char* own : {"PRIORITY", "SYSLOG_IDENTIFIER", "SYSLOG_FACILITY", "SYSLOG_PID"}) {
      if (strcmp(name, own) == 0) strcpy(name + length, "_");
    }
    return length > 0;
  }
};

}  // namespace

char* AppendEntry(char* to, const Line& line, const Settings& settings) {
  // What the line says itself goes before what is said for all.
  Members common(line.fields);
  Finder own(common);
  Fields fields(to);
  bool is_object = !line.partial && ReadObject(line.text, line.length, &own) &&
                   ReadObject(line.text, line.length, &fields);
  int severity = line.severity;
  if (is_object) {
    if (severity == kUnknown) severity = fields.severity;
    if (!fields.has_message) fields.to = AppendField(fields.to, "MESSAGE", line.text, line.length);
  } else {
    size_t prefix;
    int said = SeverityOfPrefix(line.text, line.length, &prefix);
    if (severity == kUnknown) severity = said;
    fields.to = AppendField(to, "MESSAGE", line.text + prefix, line.length - prefix);
  }
  for (int i = 0; i < common.count; i++) {
    if (!is_object || !own.found[i]) fields.Visit(common.all[i]);
  }
  to = fields.to;
  if (line.partial) to = AppendField(to, "PARTIAL", "1", 1);
  to = AppendField(to, "SYSLOG_IDENTIFIER", settings.tag, strlen(settings.tag));
  return to + sprintf(to, "PRIORITY=%d\nSYSLOG_FACILITY=%d\n",
                      severity == kUnknown ? kInformational : severity,
                      static_cast<int>(settings.facility));
}

}  // namespace doublefork::logger

#endif
