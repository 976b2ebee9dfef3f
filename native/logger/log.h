// The log's file: what goes to it, line by line, and when it is rotated.
#ifndef DOUBLEFORK_LOGGER_LOG_H_
#define DOUBLEFORK_LOGGER_LOG_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "logger/destination.h"
#include "logger/format.h"
#include "logger/ring.h"
#include "logger/settings.h"

namespace doublefork::logger {

// For the longest line as JSON, which has six bytes for some of one.
constexpr size_t kOut = 8 * kRing;

// Shared between the two processes, as rings are. What is `pending` is written by whoever comes
// after one that was killed: how much of it was, the size of the file tells, to which nobody else
// appends.
struct Core {
  std::atomic<bool> pending;
  // What is being written, and where to.
  const char* from;
  size_t length;
  std::atomic<size_t> done;
  dev_t device;
  ino_t inode;
  off_t offset;
  // What is so once it is written.
  Ring* ring;  // null: it came from no ring
  uint64_t tail;
  uint64_t next_open;

  // Whose unfinished line the file ends with; 0: nobody's.
  uint64_t open;
  uint64_t serials;
  std::atomic<uint64_t> turn;  // turn.h
  // A file that is made anew is as the one before.
  mode_t mode;
  uid_t uid;
  gid_t gid;
  uint64_t born;      // when the file was made, ms since 1970
  uint64_t archived;  // when the last one was rotated, µs since 1970
  Gap gap;

  char out[kOut];
};

constexpr uint64_t kNobody = ~uint64_t{0};

class Log final : public Destination {
 public:
  Log(const Settings& settings, Core* core)
      : Destination(&core->gap), settings_(settings), core_(core) {}

  bool Open() override;
  void Close() override;
  void Begin() override;
  void Recover() override;
  bool Continue(uint64_t now) override { return Flush(now) && (!failing() || TellGap(now)); }
  bool Take(Source& source, const Source* owner, bool ended, uint64_t now) override;
  uint64_t Kept(const Source& source) const override;
  uint64_t open_serial() const override { return core_->open; }
  void Reopen() override;
  bool TakeRotated() override;
  bool shows_unfinished() const override { return true; }

 private:
  // Writes what is pending. False: it cannot be written at the moment.
  bool Flush(uint64_t now);
  // Tells how long nothing could be written, and what was dropped. False: it still cannot.
  bool TellGap(uint64_t now);
  bool Rotate(uint64_t now);
  void ReopenIfMoved(uint64_t now);
  void LookElsewhere(uint64_t now);
  bool IsDue(size_t length, uint64_t now);
  // Prepares and writes.
  bool Write(Source* source, const char* from, size_t length, size_t taken, bool open,
             uint64_t now);
  size_t Whole(const Source& source, size_t length) const;
  size_t Format(Source& source, size_t length, bool newline, size_t* taken, bool* open);

  const Settings& settings_;
  Core* core_;
  int fd_ = -1;
  off_t size_ = 0;
  uint64_t looked_ = 0;
  uint64_t rotate_again_ = 0;
  bool rotated_ = false;
};

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_LOG_H_
