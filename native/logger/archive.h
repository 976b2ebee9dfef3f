// The files that the log was rotated to: FILE.20261125T224130.123456Z, in UTC, and with .gz behind
// it once compressed.
#ifndef DOUBLEFORK_LOGGER_ARCHIVE_H_
#define DOUBLEFORK_LOGGER_ARCHIVE_H_

#include <cstddef>
#include <cstdint>

#include "logger/settings.h"

namespace doublefork::logger {

// The name for what was rotated at this time, in µs since 1970. False: it is too long.
bool ArchiveName(const char* file, uint64_t time, char* to, size_t size);

// When the newest was rotated; 0: there is none.
uint64_t NewestArchive(const char* file);

// Removes those that are too many, and compresses those that are not yet. In a process of its own:
// it takes its time.
void Tidy(const Settings& settings);

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_ARCHIVE_H_
