#include "detach/activity.h"

#ifdef __linux__

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/message.h"

namespace doublefork {
namespace {

// Whoever has more has long begun to run.
constexpr int kMostProcesses = 256;

// The first `size - 1` bytes of a file, terminated. False if it cannot be read.
bool Read(const Message& path, char* buffer, size_t size) {
  const int fd = open(path.text(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t got = read(fd, buffer, size - 1);
  close(fd);
  buffer[got < 0 ? 0 : got] = '\0';
  return got > 0;
}

// Takes a number, and moves behind it and the blank after it.
int64_t TakeNumber(const char*& at) {
  int64_t number = 0;
  while (*at >= '0' && *at <= '9') number = number * 10 + (*at++ - '0');
  if (*at != '\0') ++at;
  return number;
}

// The state in a line of stat, proc(5). The name before it, in parentheses, may hold parentheses.
const char* StateIn(const char* stat) {
  const char* const end = strrchr(stat, ')');
  return end == nullptr || end[1] == '\0' ? nullptr : end + 2;
}

int64_t BusyMsIn(const char* state) {
  const char* at = state;
  // utime, stime, cutime and cstime are fields 14 to 17; the state is the third.
  for (int field = 3; field < 14 && *at != '\0'; ++at) field += *at == ' ';
  int64_t ticks = 0;
  for (int field = 14; field <= 17; ++field) ticks += TakeNumber(at);
  return ticks * 1000 / sysconf(_SC_CLK_TCK);
}

// Asleep, or over. One that was stopped is neither: it has had no turn.
bool IsIdle(char state) { return strchr("SIZX", state) != nullptr; }

// getdents64(2): readdir(3) allocates.
struct Entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[1];
};

template <typename Visit>
void ForEachThread(pid_t pid, Visit visit) {
  const int folder =
      open((Message() << "/proc/" << pid << "/task").text(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  alignas(Entry) char entries[4096];
  long got;
  while ((got = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0) {
    for (long at = 0; at < got;) {
      const Entry* const entry = reinterpret_cast<const Entry*>(entries + at);
      const char* name = entry->name;
      if (*name != '.') visit(static_cast<pid_t>(TakeNumber(name)));
      at += entry->length;
    }
  }
  close(folder);
}

}  // namespace

Activity ActivityOf(pid_t pid) {
  Activity activity;
  pid_t processes[kMostProcesses] = {pid};
  int count = 1;
  char text[4096];
  for (int at = 0; at < count; ++at) {
    const pid_t process = processes[at];
    if (!Read(Message() << "/proc/" << process << "/stat", text, sizeof text)) continue;
    if (const char* const state = StateIn(text)) {
      activity.known = true;
      activity.busy_ms += BusyMsIn(state);
    }
    ForEachThread(process, [&](pid_t thread) {
      if (Read(Message() << "/proc/" << process << "/task/" << thread << "/stat", text,
               sizeof text)) {
        const char* const state = StateIn(text);
        if (state != nullptr && !IsIdle(*state)) activity.idle = false;
      }
      if (!Read(Message() << "/proc/" << process << "/task/" << thread << "/children", text,
                sizeof text)) {
        return;
      }
      for (const char* child = text; *child != '\0' && count < kMostProcesses;) {
        processes[count++] = static_cast<pid_t>(TakeNumber(child));
      }
    });
  }
  return activity;
}

}  // namespace doublefork

#else

namespace doublefork {

Activity ActivityOf(pid_t) { return {}; }

}  // namespace doublefork

#endif
