#include "logger/ring.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace doublefork::logger {
namespace {

constexpr size_t kHeader = 4096;
static_assert(sizeof(Ring) <= kHeader);

int MemoryFile(size_t size) {
  int fd = static_cast<int>(syscall(SYS_memfd_create, "doublefork-logger", 1U /* MFD_CLOEXEC */));
  if (fd < 0) return -1;
  if (ftruncate(fd, static_cast<off_t>(size)) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

// The next byte of a pipe, which stays there.
int Peek(int fd) {
  static int scratch[2] = {-1, -1};
  if (scratch[0] < 0 && pipe2(scratch, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
  if (tee(fd, scratch[1], 1, SPLICE_F_NONBLOCK) != 1) return -1;
  uint8_t byte;
  return read(scratch[0], &byte, 1) == 1 ? byte : -1;
}

}  // namespace

bool Source::Open(int source, const char* id, const char* fields, size_t size) {
  int memory = MemoryFile(kHeader + size);
  if (memory < 0) return false;
  void* place = mmap(nullptr, kHeader + 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char* base = static_cast<char*>(place);
  constexpr int kReadWrite = PROT_READ | PROT_WRITE;
  constexpr int kFixed = MAP_SHARED | MAP_FIXED;
  bool mapped =
      place != MAP_FAILED &&
      mmap(base, kHeader + size, kReadWrite, kFixed, memory, 0) != MAP_FAILED &&
      mmap(base + kHeader + size, size, kReadWrite, kFixed, memory, kHeader) != MAP_FAILED;
  int error = errno;
  close(memory);
  if (!mapped) {
    if (place != MAP_FAILED) munmap(place, kHeader + 2 * size);
    errno = error;
    return false;
  }
  fd = source;
  capacity = size;
  ring = reinterpret_cast<Ring*>(base);
  bytes_ = base + kHeader;
  strncpy(ring->id, id, sizeof ring->id - 1);
  strncpy(ring->fields, fields, kFields - 1);
  return true;
}

void Source::Close() {
  if (fd >= 0) close(fd);
  if (ring != nullptr) munmap(ring, kHeader + 2 * capacity);
  fd = -1;
  ring = nullptr;
}

bool Source::Fill(uint64_t now) {
  int waiting = 0;
  size_t room = capacity - size();
  if (room == 0 || ioctl(fd, FIONREAD, &waiting) != 0 || waiting <= 0) return false;
  size_t length = std::min(room, static_cast<size_t>(waiting));
  int first = Peek(fd);
  if (first < 0) return false;
  uint64_t head = ring->head.load();
  char* to = bytes_ + head % capacity;
  // Another byte than the one that comes: so it is seen whether it came.
  ring->canary = static_cast<uint8_t>(~first);
  *reinterpret_cast<volatile uint8_t*>(to) = ring->canary;
  ring->next.store(head + length);
  // Its only reader: it is there, and all of it is read at once.
  ssize_t got = read(fd, to, length);
  if (got <= 0) {
    ring->next.store(head);
    return false;
  }
  ring->head.store(head + static_cast<size_t>(got));
  ring->next.store(head + static_cast<size_t>(got));
  since = now;
  return true;
}

bool Source::IsEmpty() const {
  int waiting = 0;
  return ioctl(fd, FIONREAD, &waiting) == 0 && waiting == 0;
}

void Source::Recover() {
  uint64_t head = ring->head.load();
  uint64_t next = ring->next.load();
  if (next <= head) return;
  bool happened = static_cast<uint8_t>(bytes_[head % capacity]) != ring->canary;
  if (happened) ring->head.store(next);
  ring->next.store(ring->head.load());
}

void Source::Discard(uint64_t keep, uint64_t* bytes, uint64_t* lines) {
  uint64_t head = ring->head.load();
  const char* from = bytes_ + keep % capacity;
  auto note = [&](const char* at, size_t length) {
    for (size_t i = 0; i < length; i++) *lines += at[i] == '\n';
    *bytes += length;
    if (length > 0) ring->skips = at[length - 1] != '\n';
  };
  note(from, head - keep);
  ring->next.store(keep);
  ring->head.store(keep);
  static char scratch[kRing];
  ssize_t got;
  while ((got = read(fd, scratch, sizeof scratch)) > 0) note(scratch, static_cast<size_t>(got));
}

void Source::SkipLine() {
  if (!ring->skips || size() == 0) return;
  const char* end = static_cast<const char*>(memchr(data(), '\n', size()));
  size_t skipped = end == nullptr ? size() : static_cast<size_t>(end - data()) + 1;
  if (end != nullptr) ring->skips = false;
  ring->tail.store(ring->tail.load() + skipped);
}

}  // namespace doublefork::logger

#endif
