#include "fork/proc.h"

#include <dirent.h>
#include <fcntl.h>

#include "fork/arch.h"

namespace doublefork::proc {
namespace {

// getdents64(2): libc's readdir(3) allocates.
struct Entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

}  // namespace

File::File(const char* path, int flags, int folder)
    : fd_(static_cast<int>(arch::Syscall(SYS_openat, folder, reinterpret_cast<long>(path),
                                         O_RDONLY | O_CLOEXEC | flags))) {}

File::~File() {
  if (fd_ >= 0) arch::Syscall(SYS_close, fd_);
}

bool Lines::Fill() {
  if (file_.fd() < 0) return false;
  memmove(buffer_, buffer_ + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  if (end_ + 1 >= sizeof buffer_) return false;
  const long got = arch::Syscall(SYS_read, file_.fd(), reinterpret_cast<long>(buffer_ + end_),
                                 static_cast<long>(sizeof buffer_ - 1 - end_));
  if (got < 0) error_ = static_cast<int>(got);
  if (got <= 0) return false;
  end_ += static_cast<size_t>(got);
  return true;
}

char* Lines::Next() {
  size_t searched = 0;
  for (;;) {
    char* const line = buffer_ + begin_;
    void* const newline = memchr(line + searched, '\n', end_ - begin_ - searched);
    if (newline != nullptr) {
      *static_cast<char*>(newline) = '\0';
      begin_ = static_cast<size_t>(static_cast<char*>(newline) - buffer_) + 1;
      return line;
    }
    searched = end_ - begin_;
    if (!Fill()) return nullptr;
  }
}

int ForEachNumber(const char* path, Visit visit, void* context) {
  const File directory(path, O_DIRECTORY);
  if (directory.fd() < 0) return directory.fd();
  alignas(Entry) char buffer[4096];
  for (;;) {
    const long got = arch::Syscall(SYS_getdents64, directory.fd(), reinterpret_cast<long>(buffer),
                                   sizeof buffer);
    if (got <= 0) return static_cast<int>(got);
    for (long at = 0; at < got;) {
      const Entry* const entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->length;
      const char* name = entry->name;
      if (*name < '0' || *name > '9') continue;
      const int result = visit(static_cast<int>(ReadNumber(name, 10)), directory.fd(), context);
      if (result < 0) return result;
    }
  }
}

long ReadFile(const char* path, char* buffer, size_t size, int folder) {
  const File file(path, 0, folder);
  if (file.fd() < 0) return file.fd();
  const long got = arch::Syscall(SYS_read, file.fd(), reinterpret_cast<long>(buffer),
                                 static_cast<long>(size - 1));
  if (got >= 0) buffer[got] = '\0';
  return got;
}

long ReadLink(int folder, int number, char* buffer, size_t size) {
  const Text<16> name("", number);
  const long length = arch::Syscall(SYS_readlinkat, folder, reinterpret_cast<long>(name.get()),
                                    reinterpret_cast<long>(buffer), static_cast<long>(size - 1));
  if (length >= 0) buffer[length] = '\0';
  return length;
}

bool StartsWith(const char* text, const char* prefix) {
  while (*prefix != '\0') {
    if (*text++ != *prefix++) return false;
  }
  return true;
}

uint64_t ReadNumber(const char*& text, unsigned base) {
  while (*text == ' ' || *text == '\t') ++text;
  uint64_t number = 0;
  for (;; ++text) {
    unsigned digit;
    if (*text >= '0' && *text <= '9') {
      digit = static_cast<unsigned>(*text - '0');
    } else if (*text >= 'a' && *text <= 'f') {
      digit = static_cast<unsigned>(*text - 'a') + 10;
    } else {
      return number;
    }
    if (digit >= base) return number;
    number = number * base + digit;
  }
}

}  // namespace doublefork::proc
