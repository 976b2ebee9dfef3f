#include "logger/log.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "logger/archive.h"
#include "logger/birth.h"

namespace doublefork::logger {
namespace {

// All in ms.
constexpr uint64_t kLookEvery = 250;     // whether the file is still under its path
constexpr uint64_t kUnfinished = 1000;   // then a line without an end is shown
constexpr uint64_t kQuiet = 200;         // then another's line may cut it
constexpr uint64_t kRotateAgain = 5000;  // after a rotation that failed

uint64_t WallClock() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

const char* LastNewline(const char* from, size_t length) {
  return static_cast<const char*>(memrchr(from, '\n', length));
}

// rename(2) that replaces nothing.
int Move(const char* from, const char* to) {
  constexpr unsigned kNoReplace = 1;
  long result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, kNoReplace);
  if (result == 0 || (errno != EINVAL && errno != ENOSYS)) return static_cast<int>(result);
  // A file system that cannot.
  if (link(from, to) != 0) return -1;
  return unlink(from);
}

}  // namespace

bool Log::Open() {
  constexpr int kFlags = O_APPEND | O_NOCTTY | O_CLOEXEC | O_NONBLOCK;
  bool created = false;
  int fd = open(settings_.file, O_WRONLY | kFlags);
  if (fd < 0 && errno == ENOENT) {
    fd = open(settings_.file, O_WRONLY | O_CREAT | O_EXCL | kFlags, 0600);
    created = fd >= 0;
  }
  if (fd < 0) return false;
  struct stat stat;
  if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
    close(fd);
    errno = S_ISDIR(stat.st_mode) ? EISDIR : EINVAL;
    return false;
  }
  if (created && core_->mode != 0) {
    // Only root may give it away; another user's is this one's own.
    if (fchown(fd, core_->uid, core_->gid) != 0)
      (void)fchown(fd, static_cast<uid_t>(-1), core_->gid);
    fchmod(fd, core_->mode);
    core_->born = WallClock() / 1000;
  } else {
    core_->mode = stat.st_mode & 07777;
    core_->uid = stat.st_uid;
    core_->gid = stat.st_gid;
  }
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
  size_ = stat.st_size;
  return true;
}

void Log::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void Log::Begin() {
  const uint64_t now = WallClock() / 1000;
  const uint64_t born = size_ > 0 ? BirthOf(fd_) * 1000 : 0;
  core_->born = born != 0 ? born : now;
  core_->archived = NewestArchive(settings_.file);
  int reader = open(settings_.file, O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  char last = '\n';
  if (reader >= 0 && size_ > 0 && pread(reader, &last, 1, size_ - 1) == 1 && last != '\n') {
    core_->open = kNobody;
  }
  if (reader >= 0) close(reader);
}

void Log::Recover() {
  if (!core_->pending) return;
  struct stat stat;
  if (fstat(fd_, &stat) != 0 || stat.st_dev != core_->device || stat.st_ino != core_->inode) return;
  // Somebody has emptied it: so it was written, and is not written twice.
  auto written = stat.st_size < core_->offset ? core_->length
                                              : static_cast<size_t>(stat.st_size - core_->offset);
  core_->done = std::min(core_->length, written);
}

bool Log::Flush(uint64_t now) {
  if (!core_->pending) return true;
  while (core_->done < core_->length) {
    ssize_t written =
        fd_ < 0 ? -1 : write(fd_, core_->from + core_->done, core_->length - core_->done);
    if (written > 0) {
      core_->done += static_cast<size_t>(written);
      continue;
    }
    if (fd_ >= 0 && written < 0 && errno == EINTR) continue;
    gap_->Begin(written == 0 ? ENOSPC : errno, now);
    LookElsewhere(now);
    return false;
  }
  size_ = core_->offset + static_cast<off_t>(core_->length);
  // In this order, and each may be done twice: whoever comes after a kill begins at the top.
  if (core_->ring != nullptr) core_->ring->tail.store(core_->tail);
  core_->open = core_->next_open;
  core_->pending.store(false);
  return true;
}

// Where nothing can be written somebody may have moved the file away, or removed it: what is left
// goes to the new one.
void Log::LookElsewhere(uint64_t now) {
  struct stat stat;
  ReopenIfMoved(now);
  if (fd_ < 0 || fstat(fd_, &stat) != 0) return;
  if (stat.st_dev == core_->device && stat.st_ino == core_->inode) return;
  core_->device = stat.st_dev;
  core_->inode = stat.st_ino;
  core_->offset = stat.st_size - static_cast<off_t>(core_->done.load());
}

bool Log::Write(Source* source, const char* from, size_t length, size_t taken, bool open,
                uint64_t now) {
  struct stat stat;
  if (fd_ < 0 && !Open()) {
    gap_->Begin(errno, now);
    return false;
  }
  if (fstat(fd_, &stat) != 0) return false;
  core_->from = from;
  core_->length = length;
  core_->done = 0;
  core_->device = stat.st_dev;
  core_->inode = stat.st_ino;
  core_->offset = stat.st_size;
  core_->ring = source == nullptr ? nullptr : source->ring;
  core_->tail = source == nullptr ? 0 : source->ring->tail.load() + taken;
  core_->next_open = open ? source->serial : 0;
  core_->pending.store(true);
  return Flush(now);
}

// How much of a source goes to the log now, unless it is cut for a rotation; 0: nothing yet.
size_t Log::Whole(const Source& source, size_t length) const {
  const char* newline = LastNewline(source.data(), length);
  return newline == nullptr ? 0 : static_cast<size_t>(newline - source.data()) + 1;
}

bool Log::Take(Source& source, const Source* owner, bool ended, uint64_t now) {
  while (source.size() > 0) {
    size_t length = source.size();
    size_t take = Whole(source, length);
    if (take == 0) {
      bool shown = length == source.capacity || ended || now - source.since >= kUnfinished;
      if (!shown) return true;
      take = length;
    }
    bool newline = core_->open != 0 && core_->open != source.serial;
    if (newline && owner != nullptr) {
      // The other one may be about to end its line.
      if (source.waits_since == 0) source.waits_since = now;
      bool patient = now - owner->since < kQuiet && now - source.waits_since < kUnfinished;
      if (patient) return true;
    }
    source.waits_since = 0;
    if (failing() && !TellGap(now)) return false;
    ReopenIfMoved(now);
    bool open = false;
    bool done;
    if (!settings_.json && settings_.stamp == Stamp::kNone && !newline) {
      if (settings_.max_size > 0 || settings_.max_age > 0) {
        auto max = settings_.max_size > 0 ? settings_.max_size : ~uint64_t{0};
        auto size = static_cast<uint64_t>(size_);
        uint64_t room = max > size ? max - size : 0;
        if (take > room || IsDue(take, now)) {
          const char* cut =
              IsDue(0, now) ? nullptr : LastNewline(source.data(), std::min<uint64_t>(room, take));
          const char* first = static_cast<const char*>(memchr(source.data(), '\n', take));
          if (cut != nullptr) {
            take = static_cast<size_t>(cut - source.data()) + 1;
          } else if (core_->open == source.serial && size < 2 * max) {
            // A line of which the beginning is there stays whole, unless it has no end.
            if (first != nullptr) take = static_cast<size_t>(first - source.data()) + 1;
          } else if (size > 0 && Rotate(now)) {
            continue;
          } else if (first != nullptr) {
            take = static_cast<size_t>(first - source.data()) + 1;
          }
        }
      }
      open = source.data()[take - 1] != '\n';
      done = Write(&source, source.data(), take, take, open, now);
    } else {
      size_t taken = 0;
      size_t size = Format(source, take, newline, &taken, &open);
      if (IsDue(size, now) && size_ > 0 && (core_->open != source.serial || newline) &&
          Rotate(now)) {
        continue;
      }
      done = Write(&source, core_->out, size, taken, open, now);
    }
    if (!done) return false;
  }
  return true;
}

// Fills `out` with lines of a source. Its size; `taken`: of how much of the source; `open`: the
// last line has no end.
size_t Log::Format(Source& source, size_t length, bool newline, size_t* taken, bool* open) {
  Moment moment(settings_.stamp);
  char* to = core_->out;
  // In JSON every line has an end.
  if (newline && !settings_.json) *to++ = '\n';
  bool middle = core_->open == source.serial && !newline;
  const char* from = source.data();
  size_t at = 0;
  while (at < length) {
    const char* end = static_cast<const char*>(memchr(from + at, '\n', length - at));
    size_t line = end == nullptr ? length - at : static_cast<size_t>(end - from) - at;
    size_t size = settings_.json ? JsonSize(line, kFields) : line + sizeof moment.text + 1;
    auto used = static_cast<size_t>(to - core_->out);
    if (used > 0 && used + size > kOut) break;
    // The file takes lines as long as it has room for them.
    if (used > 0 && settings_.max_size > 0 &&
        static_cast<size_t>(size_) + used + line >= settings_.max_size)
      break;
    if (settings_.json) {
      to = AppendJson(to, from + at, line, source.ring->fields, moment, settings_.stamp,
                      end == nullptr);
    } else {
      if (!middle) {
        memcpy(to, moment.text, moment.length);
        to += moment.length;
      }
      memcpy(to, from + at, line);
      to += line;
      if (end != nullptr) *to++ = '\n';
    }
    middle = false;
    *open = end == nullptr && !settings_.json;
    at += line + (end == nullptr ? 0 : 1);
  }
  *taken = at;
  return static_cast<size_t>(to - core_->out);
}

// Whether the file is to be rotated before so much is added.
bool Log::IsDue(size_t length, uint64_t now) {
  if (now < rotate_again_) return false;
  if (settings_.max_size > 0 && static_cast<uint64_t>(size_) + length > settings_.max_size)
    return true;
  if (settings_.max_age == 0 || size_ == 0) return false;
  uint64_t wall = WallClock() / 1000;
  // The clock was set back: from then on it counts anew.
  if (wall < core_->born) core_->born = wall;
  return wall - core_->born >= settings_.max_age;
}

bool Log::Rotate(uint64_t now) {
  char path[PATH_MAX];
  rotate_again_ = now + kRotateAgain;
  for (;;) {
    // Never before the last one, also if the clock was set back.
    uint64_t time = std::max(WallClock(), core_->archived + 1);
    core_->archived = time;
    if (!ArchiveName(settings_.file, time, path, sizeof path)) return false;
    if (Move(settings_.file, path) == 0) break;
    if (errno != EEXIST) return false;
  }
  int old = fd_;
  fd_ = -1;
  if (!Open()) {
    // No room for another file: the log goes on in this one.
    fd_ = old;
    Move(path, settings_.file);
    return false;
  }
  close(old);
  if (size_ == 0) core_->born = WallClock() / 1000;
  rotate_again_ = 0;
  rotated_ = true;
  return true;
}

uint64_t Log::Kept(const Source& source) const {
  bool is_pending = core_->pending && core_->ring == source.ring;
  return is_pending ? core_->tail : Destination::Kept(source);
}

bool Log::TakeRotated() {
  bool rotated = rotated_;
  rotated_ = false;
  return rotated;
}

void Log::ReopenIfMoved(uint64_t now) {
  if (now - looked_ < kLookEvery && fd_ >= 0) return;
  looked_ = now;
  struct stat there, here;
  if (fd_ >= 0 && fstat(fd_, &here) == 0) {
    if (stat(settings_.file, &there) == 0 && there.st_ino == here.st_ino &&
        there.st_dev == here.st_dev) {
      size_ = here.st_size;
      return;
    }
  }
  Reopen();
}

void Log::Reopen() {
  // Where that fails the old file stays in use.
  if (Open() && size_ == 0) core_->born = WallClock() / 1000;
}

bool Log::TellGap(uint64_t now) {
  if (core_->pending && !Flush(now)) return false;
  char sentence[256];
  gap_->Describe(now, sentence, sizeof sentence);
  Moment moment(settings_.stamp);
  char text[512];
  char* to = text;
  if (core_->open != 0) *to++ = '\n';
  if (settings_.json) {
    to = AppendJson(to, sentence, strlen(sentence), kGapFields, moment, settings_.stamp, false);
  } else {
    to += sprintf(to, "%sdoublefork: %s\n", moment.text, sentence);
  }
  auto length = static_cast<size_t>(to - text);
  memcpy(core_->out, text, length);
  if (!Write(nullptr, core_->out, length, 0, false, now)) return false;
  gap_->End();
  return true;
}

}  // namespace doublefork::logger

#endif
