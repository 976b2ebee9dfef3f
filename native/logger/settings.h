// What the logger was told on its command line.
#ifndef DOUBLEFORK_LOGGER_SETTINGS_H_
#define DOUBLEFORK_LOGGER_SETTINGS_H_

#include <cstdint>

namespace doublefork::logger {

enum class Stamp { kNone, kIso, kTai64n };
enum class To { kFile, kSyslog, kJournal };
enum class Syslog { kDetect, kRfc5424, kRfc3164 };

struct Settings {
  To to = To::kFile;
  const char* file = nullptr;      // absolute
  uint64_t max_size = 0;           // bytes; 0: any
  uint64_t max_age = 0;            // ms; 0: any
  uint64_t max_files = 0;          // of those that were rotated; 0: all
  const char* compress = nullptr;  // gzip(1), or nothing
  Stamp stamp = Stamp::kNone;
  bool json = false;
  bool drop = false;  // instead of waiting, where nothing can be written

  // Of syslog and the journal.
  const char* socket = nullptr;  // absolute
  const char* tag = "";
  uint64_t facility = 3;  // LOG_DAEMON
  Syslog syslog = Syslog::kDetect;
};

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_SETTINGS_H_
