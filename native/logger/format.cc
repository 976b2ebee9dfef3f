#include "logger/format.h"

#ifdef __linux__

#include <stdio.h>
#include <string.h>
#include <time.h>

namespace doublefork::logger {
namespace {

// The label of 1970-01-01 00:00:00 in TAI64, with the ten seconds that UTC was behind then: as
// multilog and s6-log have it.
constexpr uint64_t kTai64 = 4611686018427387914ULL;

constexpr char kEscaped[] = "\b\f\n\r\t";
constexpr char kEscapes[] = "bfnrt";

constexpr int kDeepest = 64;
constexpr int kMostMembers = 32;

// Reads a JSON text (RFC 8259), and looks which of some members it has at its top.
class Reader {
 public:
  Reader(const char* text, size_t length) : at_(text), end_(text + length) {}

  // Whether it is one object and nothing else.
  bool Object(const char* const* names, const size_t* lengths, int count, bool* found) {
    names_ = names, lengths_ = lengths, count_ = count, found_ = found;
    Space();
    if (at_ == end_ || *at_ != '{' || !Value(0)) return false;
    Space();
    return at_ == end_;
  }

 private:
  void Space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r' || *at_ == '\n')) at_++;
  }

  bool Take(char expected) {
    if (at_ == end_ || *at_ != expected) return false;
    at_++;
    return true;
  }

  bool Word(const char* word) {
    size_t length = strlen(word);
    if (static_cast<size_t>(end_ - at_) < length || memcmp(at_, word, length) != 0) return false;
    at_ += length;
    return true;
  }

  bool String() {
    if (!Take('"')) return false;
    for (; at_ < end_; at_++) {
      if (*at_ == '"') return Take('"');
      if (static_cast<unsigned char>(*at_) < 0x20) return false;
      if (*at_ == '\\' && ++at_ == end_) return false;
    }
    return false;
  }

  bool Digits() {
    const char* from = at_;
    while (at_ < end_ && *at_ >= '0' && *at_ <= '9') at_++;
    return at_ > from;
  }

  bool Number() {
    Take('-');
    if (!Digits()) return false;
    if (Take('.') && !Digits()) return false;
    if (!Take('e') && !Take('E')) return true;
    if (!Take('+')) Take('-');
    return Digits();
  }

  void Note(const char* name, size_t length) {
    for (int i = 0; i < count_; i++) {
      if (lengths_[i] == length && memcmp(names_[i], name, length) == 0) found_[i] = true;
    }
  }

  bool Value(int depth) {
    if (depth > kDeepest) return false;
    Space();
    if (at_ == end_) return false;
    switch (*at_) {
      case '{':
        return Members(depth);
      case '[':
        return Elements(depth);
      case '"':
        return String();
      case 't':
        return Word("true");
      case 'f':
        return Word("false");
      case 'n':
        return Word("null");
      default:
        return Number();
    }
  }

  bool Members(int depth) {
    Take('{');
    Space();
    if (Take('}')) return true;
    do {
      Space();
      const char* name = at_ + 1;
      if (!String()) return false;
      if (depth == 0) Note(name, static_cast<size_t>(at_ - 1 - name));
      Space();
      if (!Take(':') || !Value(depth + 1)) return false;
      Space();
    } while (Take(','));
    return Take('}');
  }

  bool Elements(int depth) {
    Take('[');
    Space();
    if (Take(']')) return true;
    do {
      if (!Value(depth + 1)) return false;
      Space();
    } while (Take(','));
    return Take(']');
  }

  const char* at_;
  const char* end_;
  const char* const* names_ = nullptr;
  const size_t* lengths_ = nullptr;
  int count_ = 0;
  bool* found_ = nullptr;
};

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
  // What is added, and whether the line has it: the time, and the fields.
  const char* names[kMostMembers] = {"time"};
  size_t lengths[kMostMembers] = {4};
  const char* members[kMostMembers] = {nullptr};
  size_t sizes[kMostMembers] = {0};
  bool found[kMostMembers] = {false};
  int count = 1;
  for (const char* at = fields; *at != '\0' && count < kMostMembers;) {
    const char* end = strchrnul(at, '\n');
    const char* colon = strstr(at, "\":");
    if (*at == '"' && colon != nullptr && colon < end) {
      names[count] = at + 1;
      lengths[count] = static_cast<size_t>(colon - at - 1);
      members[count] = at;
      sizes[count++] = static_cast<size_t>(end - at);
    }
    at = *end == '\0' ? end : end + 1;
  }
  bool is_object =
      !partial && length > 1 && Reader(line, length).Object(names, lengths, count, found);
  if (!is_object) memset(found, 0, sizeof found);
  *to++ = '{';
  bool first = true;
  for (int i = 0; i < count; i++) {
    if (found[i]) continue;
    if (!first) *to++ = ',';
    first = false;
    to = i == 0 ? AppendTime(to, now, stamp) : Append(to, members[i], sizes[i]);
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
