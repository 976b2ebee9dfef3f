#include "logger/json.h"

#ifdef __linux__

#include <stdlib.h>
#include <string.h>

namespace doublefork::logger {
namespace {

constexpr int kDeepest = 64;

class Reader {
 public:
  Reader(const char* text, size_t length, Visitor* visitor)
      : at_(text), end_(text + length), visitor_(visitor) {}

  bool Object() {
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

  bool Value(int depth) {
    if (depth > kDeepest) return false;
    Space();
    if (at_ == end_) return false;
    switch (*at_) {
      case '{':
        return Object(depth);
      case '[':
        return Array(depth);
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

  bool Object(int depth) {
    Take('{');
    Space();
    if (Take('}')) return true;
    do {
      Space();
      Member member = {at_ + 1, 0, nullptr, 0};
      if (!String()) return false;
      member.name_length = static_cast<size_t>(at_ - 1 - member.name);
      Space();
      if (!Take(':')) return false;
      Space();
      member.value = at_;
      if (!Value(depth + 1)) return false;
      member.length = static_cast<size_t>(at_ - member.value);
      if (depth == 0) visitor_->Visit(member);
      Space();
    } while (Take(','));
    return Take('}');
  }

  bool Array(int depth) {
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
  Visitor* visitor_;
};

// The four digits of \uXXXX; -1: they are none.
long CodeUnit(const char* at, const char* end) {
  char digits[5] = {};
  if (end - at < 4) return -1;
  memcpy(digits, at, 4);
  char* parsed;
  long unit = strtol(digits, &parsed, 16);
  return parsed == digits + 4 ? unit : -1;
}

char* AppendCharacter(char* to, unsigned long code) {
  auto put = [&to](unsigned long byte) { *to++ = static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
  return to;
}

}  // namespace

bool ReadObject(const char* text, size_t length, Visitor* visitor) {
  return length > 1 && Reader(text, length, visitor).Object();
}

char* AppendValue(char* to, const char* value, size_t length) {
  if (length < 2 || value[0] != '"') {
    memcpy(to, value, length);
    return to + length;
  }
  const char* end = value + length - 1;
  for (const char* at = value + 1; at < end; at++) {
    if (*at != '\\') {
      *to++ = *at;
      continue;
    }
    static constexpr char kEscapes[] = "bfnrt";
    static constexpr char kEscaped[] = "\b\f\n\r\t";
    const char* escape = strchr(kEscapes, *++at);
    if (*at == 'u') {
      long unit = CodeUnit(at + 1, end);
      if (unit < 0) continue;
      at += 4;
      long low = unit >= 0xd800 && unit < 0xdc00 && end - at > 6 && at[1] == '\\' && at[2] == 'u'
                     ? CodeUnit(at + 3, end)
                     : -1;
      bool pair = low >= 0xdc00 && low < 0xe000;
      if (pair) at += 6;
      bool lone = !pair && unit >= 0xd800 && unit < 0xe000;
      to =
          AppendCharacter(to, pair ? 0x10000UL + (static_cast<unsigned long>(unit - 0xd800) << 10) +
                                         static_cast<unsigned long>(low - 0xdc00)
                              : lone ? 0xfffdUL
                                     : static_cast<unsigned long>(unit));
    } else {
      *to++ = escape != nullptr && *at != '\0' ? kEscaped[escape - kEscapes] : *at;
    }
  }
  return to;
}

Members::Members(const char* fields) {
  for (const char* at = fields; *at != '\0' && count < kMost;) {
    const char* end = strchrnul(at, '\n');
    const char* colon = strstr(at, "\":");
    if (*at == '"' && colon != nullptr && colon < end) {
      const char* value = colon + 2;
      all[count++] = {at + 1, static_cast<size_t>(colon - at - 1), value,
                      static_cast<size_t>(end - value)};
    }
    at = *end == '\0' ? end : end + 1;
  }
}

void Finder::Visit(const Member& member) {
  for (int i = 0; i < members_.count; i++) {
    const Member& each = members_.all[i];
    if (each.name_length == member.name_length &&
        memcmp(each.name, member.name, member.name_length) == 0) {
      found[i] = true;
    }
  }
}

}  // namespace doublefork::logger

#endif
