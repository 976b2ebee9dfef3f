// Reading /proc without malloc and without stdio: see proc(5).
#ifndef DOUBLEFORK_FORK_PROC_H_
#define DOUBLEFORK_FORK_PROC_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace doublefork::proc {

constexpr int kWorkingDirectory = -100;  // AT_FDCWD

// An open file of /proc, closed when it goes out of scope.
class File {
 public:
  explicit File(const char* path, int flags = 0, int folder = kWorkingDirectory);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  // The descriptor, or -errno.
  int fd() const { return fd_; }

 private:
  int fd_;
};

// The lines of a file, one after the other.
class Lines {
 public:
  explicit Lines(const char* path) : file_(path) {}
  // 0 or -errno: whether the file could be opened and read so far.
  int error() const { return file_.fd() < 0 ? file_.fd() : error_; }
  // The next line without its end, or nullptr. It is valid until the next call.
  char* Next();

 private:
  bool Fill();

  File file_;
  int error_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  char buffer_[16384];
};

// Calls `visit(number, folder)` for each numeric entry of a folder of /proc, its threads or its
// descriptors; `folder` is the descriptor it is read through. 0, or the first negative result.
using Visit = int (*)(int number, int folder, void* context);
int ForEachNumber(const char* path, Visit visit, void* context);

template <typename F>
int ForEachNumber(const char* path, F&& visit) {
  return ForEachNumber(
      path,
      [](int number, int folder, void* context) {
        return (*static_cast<std::remove_reference_t<F>*>(context))(number, folder);
      },
      &visit);
}

// Text of at most `size` bytes, always terminated: a path such as Text<64>("/proc/self/fd/", 7).
template <size_t size>
class Text {
 public:
  Text(const char* head, int number, const char* tail = "") {
    Append(head);
    char digits[12];
    int count = 0;
    do digits[count++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0 && length_ + 1 < size) text_[length_++] = digits[--count];
    Append(tail);
    text_[length_] = '\0';
  }
  const char* get() const { return text_; }

 private:
  void Append(const char* part) {
    while (*part != '\0' && length_ + 1 < size) text_[length_++] = *part++;
  }

  char text_[size];
  size_t length_ = 0;
};

// The first `size - 1` bytes of a file, terminated. The length, or -errno. A path that begins at a
// folder that is open saves most of the time.
long ReadFile(const char* path, char* buffer, size_t size, int folder = kWorkingDirectory);

// What an entry of /proc/self/fd refers to, terminated. The length, or -errno.
long ReadLink(int folder, int number, char* buffer, size_t size);

bool StartsWith(const char* text, const char* prefix);

// Reads a number and moves `text` behind it.
uint64_t ReadNumber(const char*& text, unsigned base);

}  // namespace doublefork::proc

#endif  // DOUBLEFORK_FORK_PROC_H_
