// JSON texts (RFC 8259), of which the members at the top are looked at.
#ifndef DOUBLEFORK_LOGGER_JSON_H_
#define DOUBLEFORK_LOGGER_JSON_H_

#include <cstddef>

namespace doublefork::logger {

// As they stand in the text: a name without its quotes, a text with them.
struct Member {
  const char* name;
  size_t name_length;
  const char* value;
  size_t length;
};

// Is shown the members from the first to the last. Not pure virtual, which would need libstdc++.
class Visitor {
 public:
  virtual void Visit(const Member&) {}
};

// Whether it is one object and nothing else. Members before a fault are visited all the same.
bool ReadObject(const char* text, size_t length, Visitor* visitor);

// What a value means: a text without quotes and escapes, any other one as it stands. Writes at most
// `length` bytes. The end of what was written.
char* AppendValue(char* to, const char* value, size_t length);

// What all lines of a source have, parsed: "name":value, a line each.
struct Members {
  static constexpr int kMost = 32;

  explicit Members(const char* fields);

  Member all[kMost];
  int count = 0;
};

// Looks which of some members an object has.
class Finder final : public Visitor {
 public:
  explicit Finder(const Members& members) : members_(members) {}

  void Visit(const Member& member) override;
  bool found[Members::kMost] = {false};

 private:
  const Members& members_;
};

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_JSON_H_
