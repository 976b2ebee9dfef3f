#include "logger/format.h"

#ifdef __linux__

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "logger/json.h"

namespace doublefork::logger {
namespace {

// The label of 1970-01-01 00:00:00 in TAI64, with the ten seconds that UTC was behind then: as
// multilog and s6-log have it.
constexpr uint64_t kTai64 = 4611686018427387914ULL;

constexpr char kEscaped[] = "\b\f\n\r\t";
constexpr char kEscapes[] = "bfnrt";

// How many bytes of UTF-8 a character has that begins here; 0: it is none.
size_t Character(const unsigned char* at, size_t left) {
  unsigned char first = *at;
  size_t size = first < 0x80   ? 1
                : first < 0xc2 ? 0
                : first < 0xe0 ? 2
                : first < 0xf0 ? 3
                : first < 0xf5 ? 4
                               : 0;
  if (size == 0 || size > left) return 0;
  for (size_t i = 1; i < size; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  bool overlong = (first == 0xe0 && at[1] < 0xa0) || (first == 0xf0 && at[1] < 0x90);
  bool surrogate = first == 0xed && at[1] > 0x9f;
  return overlong || surrogate || (first == 0xf4 && at[1] > 0x8f) ? 0 : size;
}

char* AppendText(char* to, const char* text, size_t length) {
  const auto* from = reinterpret_cast<const unsigned char*>(text);
  for (size_t at = 0; at < length;) {
    unsigned char byte = from[at];
    if (byte == '"' || byte == '\\') {
      *to++ = '\\';
      *to++ = static_cast<char>(byte);
      at++;
    } else if (const char* const escape = byte < 0x20 ? strchr(kEscaped, byte) : nullptr;
               byte != 0 && escape != nullptr) {
      *to++ = '\\';
      *to++ = kEscapes[escape - kEscaped];
      at++;
    } else if (byte < 0x20) {
      to += sprintf(to, "\\u%04x", byte);
      at++;
    } else if (size_t size = Character(from + at, length - at); size == 0) {
      to += sprintf(to, "\\ufffd");
      at++;
    } else {
      memcpy(to, from + at, size);
      to += size;
      at += size;
    }
  }
  return to;
}

char* Append(char* to, const char* text, size_t length) {
  memcpy(to, text, length);
  return to + length;
}

char* AppendTime(char* to, const Moment& now, Stamp stamp) {
  if (stamp == Stamp::kNone) {
    long long ms = static_cast<long long>(now.seconds) * 1000 + now.nanoseconds / 1000000;
    return to + sprintf(to, "\"time\":%lld", ms);
  }
  to = Append(to, "\"time\":\"", 8);
  to = Append(to, now.text, now.length - 1);
  *to++ = '"';
  return to;
}

}  // namespace

Moment::Moment(Stamp stamp) : length(0) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  seconds = now.tv_sec;
  nanoseconds = now.tv_nsec;
  text[0] = '\0';
  if (stamp == Stamp::kTai64n) {
    length = static_cast<size_t>(sprintf(
        text, "@%016llx%08lx ",
        static_cast<unsigned long long>(kTai64 + static_cast<uint64_t>(seconds)), nanoseconds));
  } else if (stamp == Stamp::kIso) {
    tm utc;
    gmtime_r(&now.tv_sec, &utc);
    size_t part = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    length = part + static_cast<size_t>(sprintf(text + part, ".%03ldZ ", nanoseconds / 1000000));
  }
}

char* AppendJson(char* to, const char* line, size_t length, const char* fields, const Moment& now,
                 Stamp stamp, bool partial) {
  // What is added, unless the line has it: the time, and the fields.
  Members members(fields);
  Finder finder(members);
  struct TimeFinder final : Visitor {
    explicit TimeFinder(Finder* next) : next(next) {}
    void Visit(const Member& member) override {
      found = found || (member.name_length == 4 && memcmp(member.name, "time", 4) == 0);
      next->Visit(member);
    }
    Finder* next;
    bool found = false;
  } visitor(&finder);
  bool is_object = !partial && ReadObject(line, length, &visitor);
  *to++ = '{';
  bool first = true;
  auto separate = [&] {
    if (!first) *to++ = ',';
    first = false;
  };
  if (!is_object || !visitor.found) {
    separate();
    to = AppendTime(to, now, stamp);
  }
  for (int i = 0; i < members.count; i++) {
    if (is_object && finder.found[i]) continue;
    separate();
    const Member& member = members.all[i];
    const char* from = member.name - 1;
    to = Append(to, from, static_cast<size_t>(member.value + member.length - from));
  }
  if (is_object) {
    const char* brace = static_cast<const char*>(memchr(line, '{', length)) + 1;
    const char* end = line + length;
    const char* rest = brace;
    while (*rest == ' ' || *rest == '\t') rest++;
    if (!first && *rest != '}') *to++ = ',';
    to = Append(to, rest, static_cast<size_t>(end - rest));
  } else {
    if (!first) *to++ = ',';
    if (partial) to = Append(to, "\"partial\":true,", 15);
    to = Append(to, "\"msg\":\"", 7);
    to = AppendText(to, line, length);
    to = Append(to, "\"}", 2);
  }
  *to++ = '\n';
  return to;
}

}  // namespace doublefork::logger

#endif
