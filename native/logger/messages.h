// A syslog or the journal: a datagram for each line, on a unix socket.
#ifndef DOUBLEFORK_LOGGER_MESSAGES_H_
#define DOUBLEFORK_LOGGER_MESSAGES_H_

#include <cstddef>
#include <cstdint>

#include "logger/destination.h"
#include "logger/settings.h"

namespace doublefork::logger {

// A line, or a part of one, as a message is made of it.
struct Line {
  const char* text;
  size_t length;
  const char* fields;  // members of a JSON object that all lines of its source have, a line each
  int severity;        // kUnknown: it is to be found in the line
  bool partial;        // its end is still to come
};

// The most that AppendEntry() and AppendMessage() write.
constexpr size_t MessageSize(size_t line) { return 3 * line + 4 * kFields + 4096; }
// The most of a line in one message of syslog: receivers cut what is longer, rsyslog at 8 kB.
constexpr size_t kSyslogLine = 7168;

// An entry of the journal, in its native protocol: a JSON object has a field for each member.
// https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
char* AppendEntry(char* to, const Line& line, const Settings& settings);

// A message of syslog, RFC 5424 or RFC 3164; of that what local daemons take, without a host's
// name.
char* AppendMessage(char* to, const Line& line, const Settings& settings, Syslog format);

class Messages final : public Destination {
 public:
  Messages(const Settings& settings, Gap* gap) : Destination(gap), settings_(settings) {}

  bool Open() override;
  void Close() override;
  bool Continue(uint64_t now) override;
  // A line that a predecessor has sent may be sent again, if it was killed right after that.
  bool Take(Source& source, const Source* owner, bool ended, uint64_t now) override;
  int blocked_fd() const override { return is_blocked_ ? fd_ : -1; }

 private:
  bool Say(const Line& line, uint64_t now);
  // 0 or errno.
  int Send(const char* message, size_t length);
  int SendSealed(const char* message, size_t length);
  bool Reserve(size_t size);

  const Settings& settings_;
  int fd_ = -1;
  bool is_blocked_ = false;  // the receiver does not keep up
  Syslog format_ = Syslog::kRfc5424;
  char* buffer_ = nullptr;
  size_t size_ = 0;
  // Of a line that is sent in parts: whose it is, and its severity.
  uint64_t divided_ = 0;
  int severity_ = 0;
};

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_MESSAGES_H_
