// Where a logger writes what it reads: a file (log.h), or a socket of syslog's or the journal's
// (messages.h).
#ifndef DOUBLEFORK_LOGGER_DESTINATION_H_
#define DOUBLEFORK_LOGGER_DESTINATION_H_

#include <cstddef>
#include <cstdint>

#include "logger/ring.h"

namespace doublefork::logger {

// What could not be written, and since when. Shared between the two processes.
struct Gap {
  uint64_t since = 0;  // ms, monotonic; 0: all can be written
  int failure = 0;     // errno
  uint64_t dropped_lines = 0;
  uint64_t dropped_bytes = 0;

  void Begin(int error, uint64_t now) {
    failure = error;
    if (since == 0) since = now;
  }
  void End() { since = dropped_lines = dropped_bytes = 0; }
  // The sentence that tells of it.
  void Describe(uint64_t now, char* to, size_t size) const;
};

// The members of the line that tells of a gap, a line each.
constexpr char kGapFields[] = "\"level\":40\n\"name\":\"doublefork\"\n\"event\":\"log-gap\"";

// Not pure virtual, which would need libstdc++.
class Destination {
 public:
  explicit Destination(Gap* gap) : gap_(gap) {}

  // Opens it. False with errno.
  virtual bool Open() { return false; }
  virtual void Close() {}
  // Looks what is there, before anything is written.
  virtual void Begin() {}
  // What a predecessor has left to be done.
  virtual void Recover() {}

  // Writes what is pending, and tells of a gap that is over. False: it cannot be written at the
  // moment.
  virtual bool Continue(uint64_t) { return true; }
  // Takes what there is to take of a source. `owner`: whose unfinished line is there; `ended`:
  // nothing more will come. False: it cannot be written.
  virtual bool Take(Source&, const Source* /* owner */, bool /* ended */, uint64_t) {
    return false;
  }
  // How much of what was read from a source must stay while it is discarded: it is being written.
  virtual uint64_t Kept(const Source& source) const { return source.ring->tail.load(); }
  // Whose unfinished line it ends with; 0: nobody's.
  virtual uint64_t open_serial() const { return 0; }
  // It is to be looked for under its path.
  virtual void Reopen() {}
  // Whether files were rotated since the last time.
  virtual bool TakeRotated() { return false; }
  // What can be written to once it can be written to again; -1: there is none.
  virtual int blocked_fd() const { return -1; }
  // Whether a line that waits for its end is shown after a while.
  virtual bool shows_unfinished() const { return false; }

  Gap* gap() const { return gap_; }
  bool failing() const { return gap_->since != 0; }

 protected:
  Gap* gap_;
};

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_DESTINATION_H_
