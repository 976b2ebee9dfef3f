// What the launcher prints while it may use neither malloc nor stdio.
#ifndef DOUBLEFORK_BASE_MESSAGE_H_
#define DOUBLEFORK_BASE_MESSAGE_H_

#include <stddef.h>
#include <unistd.h>

namespace doublefork {

// To the user's terminal, or what is in its place: a pipe that somebody made non-blocking, say.
// False if nobody is left to complain to.
bool Say(int fd, const char* text, size_t length);

// A line for the user's terminal, built without malloc. What does not fit is cut.
class Message {
 public:
  Message& operator<<(const char* text) {
    while (*text != '\0' && length_ < kMost) text_[length_++] = *text++;
    return *this;
  }
  Message& operator<<(int number) {
    char digits[12];
    int count = 0;
    do digits[count++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0 && length_ < kMost) text_[length_++] = digits[--count];
    return *this;
  }
  const char* text() const { return text_; }
  void Print() const { Say(STDERR_FILENO, text_, length_); }

 private:
  static constexpr size_t kMost = 255;
  char text_[kMost + 1] = "";  // with a NUL at the end
  size_t length_ = 0;
};

// How a process ended: a status from waitpid(2).
struct Death {
  int status;
  // As a shell gives it; 1 for an exit with 0, which is none here.
  int ExitCode() const;
};

// "was killed by SIGKILL (core dumped)", "exited with code 3".
Message& operator<<(Message& message, Death death);

}  // namespace doublefork

#endif  // DOUBLEFORK_BASE_MESSAGE_H_
