#include "logger/messages.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "logger/severity.h"

// Older headers than the kernel.
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#endif

namespace doublefork::logger {
namespace {

constexpr uint64_t kWorthTelling = 1000;  // ms; a receiver that is slow for a moment is none

// Where a line is divided: not within a character of UTF-8.
size_t Division(const char* text, size_t most) {
  size_t at = most;
  while (at > most - 4 && (text[at] & 0xc0) == 0x80) at--;
  return (text[at] & 0xc0) == 0x80 ? most : at;
}

}  // namespace

bool Messages::Open() {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (strlen(settings_.socket) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return false;
  }
  strcpy(address.sun_path, settings_.socket);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    int error = errno;
    close(fd);
    errno = error;
    return false;
  }
  Close();
  fd_ = fd;
  format_ = settings_.syslog;
  if (format_ == Syslog::kDetect) {
    // The journal listens there, which does not read RFC 5424.
    char path[PATH_MAX];
    static constexpr char kJournal[] = "/run/systemd/journal/";
    bool is_journal = realpath(settings_.socket, path) != nullptr &&
                      strncmp(path, kJournal, sizeof kJournal - 1) == 0;
    format_ = is_journal ? Syslog::kRfc3164 : Syslog::kRfc5424;
  }
  return true;
}

void Messages::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  is_blocked_ = false;
}

bool Messages::Continue(uint64_t now) {
  if (!failing()) return true;
  if (is_blocked_) {
    pollfd polled = {fd_, POLLOUT, 0};
    if (poll(&polled, 1, 0) == 0) return false;
    is_blocked_ = false;
  }
  if (fd_ < 0 && !Open()) {
    gap_->failure = errno;
    return false;
  }
  if (gap_->dropped_bytes == 0 && now - gap_->since < kWorthTelling) return true;
  char sentence[256] = "doublefork: ";
  size_t length = strlen(sentence);
  gap_->Describe(now, sentence + length, sizeof sentence - length);
  if (!Say({sentence, strlen(sentence), kGapFields, 4, false}, now)) return false;
  gap_->End();
  return true;
}

bool Messages::Take(Source& source, const Source*, bool ended, uint64_t now) {
  while (source.size() > 0) {
    const char* text = source.data();
    size_t size = source.size();
    const char* end = static_cast<const char*>(memchr(text, '\n', size));
    // What has no end yet waits for it, as long as there is room.
    if (end == nullptr && size < source.capacity && !ended) return true;
    size_t length = end == nullptr ? size : static_cast<size_t>(end - text);
    bool is_rest = divided_ == source.serial;
    int severity = is_rest ? severity_ : kUnknown;
    bool partial = end == nullptr && !ended;
    if (settings_.to == To::kSyslog && length > kSyslogLine) {
      if (!is_rest) {
        LevelFinder finder;
        size_t prefix;
        severity = SeverityOfPrefix(text, length, &prefix);
        if (ReadObject(text, length, &finder)) severity = finder.severity;
        if (severity == kUnknown) severity = kInformational;
      }
      length = Division(text, kSyslogLine);
      partial = true;
    }
    if (!Say({text, length, source.ring->fields, severity, partial}, now)) return false;
    divided_ = partial ? source.serial : 0;
    severity_ = severity == kUnknown ? kInformational : severity;
    source.ring->tail.store(source.ring->tail.load() + length +
                            (partial || end == nullptr ? 0 : 1));
    // It was slow for a moment.
    if (failing() && gap_->dropped_bytes == 0) gap_->End();
  }
  return true;
}

bool Messages::Say(const Line& line, uint64_t now) {
  int error = ENOMEM;
  if (Reserve(MessageSize(line.length))) {
    char* end = settings_.to == To::kJournal ? AppendEntry(buffer_, line, settings_)
                                             : AppendMessage(buffer_, line, settings_, format_);
    error = Send(buffer_, static_cast<size_t>(end - buffer_));
  }
  if (error != 0) gap_->Begin(error, now);
  return error == 0;
}

int Messages::Send(const char* message, size_t length) {
  bool is_fresh = false;
  for (;;) {
    if (fd_ < 0) {
      if (!Open()) return errno;
      is_fresh = true;
    }
    if (send(fd_, message, length, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return 0;
    switch (errno) {
      case EINTR:
        continue;
      case EAGAIN:
        is_blocked_ = true;
        return EAGAIN;
      case ENOBUFS:
      case ENOMEM:
        return errno;
      case EMSGSIZE:
        return settings_.to == To::kJournal ? SendSealed(message, length) : EMSGSIZE;
    }
    // Its receiver has ended, and another one may listen there by now.
    int error = errno;
    Close();
    if (is_fresh) return error;
  }
}

// As a file that nobody can change any more.
int Messages::SendSealed(const char* message, size_t length) {
  constexpr unsigned kSealable = 3;  // MFD_CLOEXEC | MFD_ALLOW_SEALING
  constexpr int kAllSeals = 0xf;     // F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
  int file = static_cast<int>(syscall(SYS_memfd_create, "doublefork-entry", kSealable));
  if (file < 0) return errno;
  int error = 0;
  for (size_t done = 0; done < length && error == 0;) {
    ssize_t written = write(file, message + done, length - done);
    if (written > 0) done += static_cast<size_t>(written);
    if (written <= 0 && errno != EINTR) error = written == 0 ? ENOMEM : errno;
  }
  if (error == 0 && fcntl(file, F_ADD_SEALS, kAllSeals) != 0) error = errno;
  if (error == 0) {
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
    msghdr header = {};
    header.msg_control = space;
    header.msg_controllen = sizeof space;
    cmsghdr* passed = CMSG_FIRSTHDR(&header);
    passed->cmsg_level = SOL_SOCKET;
    passed->cmsg_type = SCM_RIGHTS;
    passed->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(passed), &file, sizeof file);
    if (sendmsg(fd_, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) error = errno;
    is_blocked_ = error == EAGAIN;
    // Another one may listen there by now: the next attempt looks.
    if (error == ECONNREFUSED || error == ENOTCONN || error == ECONNRESET) Close();
  }
  close(file);
  return error;
}

bool Messages::Reserve(size_t size) {
  if (size <= size_) return true;
  auto* larger = static_cast<char*>(realloc(buffer_, size));
  if (larger == nullptr) return false;
  buffer_ = larger;
  size_ = size;
  return true;
}

}  // namespace doublefork::logger

#endif
