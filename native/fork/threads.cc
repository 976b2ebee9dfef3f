#include "fork/threads.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "fork/arch.h"
#include "fork/futex.h"
#include "fork/proc.h"

namespace doublefork {

ThreadList threads;

namespace {

long tid_offset = 0;

std::atomic<int> unread{0};  // futex: how many entries revived threads have still to read

// "Name:\tnode\n": newlines and backslashes have a backslash in front.
void ReadName(const char* status, char (&name)[16]) {
  size_t length = 0;
  const char* at = proc::StartsWith(status, "Name:\t") ? status + 6 : "";
  for (; *at != '\0' && *at != '\n' && length + 1 < sizeof name; ++at) {
    if (*at == '\\' && at[1] != '\0')
      name[length++] = *++at == 'n' ? '\n' : *at;
    else
      name[length++] = *at;
  }
  name[length] = '\0';
}

// The line of /proc/self/task/N/status with that name.
const char* FindLine(const char* status, const char* name) {
  for (const char* line = status; line != nullptr; line = strchr(line, '\n')) {
    if (*line == '\n') ++line;
    if (proc::StartsWith(line, name)) return line;
  }
  return nullptr;
}

bool HasSameLine(const char* status, const char* other, const char* name) {
  const char* const line = FindLine(status, name);
  const char* const others = FindLine(other, name);
  if (line == nullptr || others == nullptr) return line == others;
  const size_t length = strcspn(line, "\n");
  return length == strcspn(others, "\n") && memcmp(line, others, length) == 0;
}

// What the kernel keeps for each thread, and gives a new one as its maker has it.
const char* FindOwn(const char* status, const char* callers) {
  static constexpr struct {
    const char* line;
    const char* sentence;
  } kLines[] = {
      {"Uid:", "a thread has a user of its own"},
      {"Gid:", "a thread has a group of its own"},
      {"Groups:", "a thread has groups of its own"},
      {"CapInh:", "a thread has capabilities of its own"},
      {"CapPrm:", "a thread has capabilities of its own"},
      {"CapEff:", "a thread has capabilities of its own"},
      {"CapBnd:", "a thread has capabilities of its own"},
      {"CapAmb:", "a thread has capabilities of its own"},
      {"NoNewPrivs:", "a thread has no_new_privs of its own"},
      {"Seccomp:", "a thread has a seccomp filter of its own"},
      {"Seccomp_filters:", "a thread has a seccomp filter of its own"},
  };
  for (const auto& [line, sentence] : kLines) {
    if (!HasSameLine(status, callers, line)) return sentence;
  }
  return nullptr;
}

// The list of threads in /proc does not tell: while one ends the kernel passes over another that
// lives (about once in 2000 times when several end).
bool HasEnded(pid_t process, pid_t tid) {
  return arch::Syscall(SYS_tgkill, process, tid, 0) == -ESRCH;
}

// "7 0x7f.. 0x1 ... 0x7ffd.. 0x7f..": number, arguments, stack pointer, program counter; "running".
Call ReadCall(const char* path, int folder) {
  Call call;
  char text[256];
  const long length = proc::ReadFile(path, text, sizeof text, folder);
  if (length <= 0 || text[0] < '0' || text[0] > '9') return call;
  const char* at = text;
  const long number = static_cast<long>(proc::ReadNumber(at, 10));
  uint64_t values[8];
  for (uint64_t& value : values) {
    if (!proc::StartsWith(at, " 0x")) return call;
    at += 3;
    value = proc::ReadNumber(at, 16);
  }
  for (int i = 0; i < 6; ++i) call.arguments[i] = static_cast<long>(values[i]);
  call.sp = values[6];
  call.pc = values[7];
  call.number = number;
  return call;
}

// The file is not there in every kernel, not readable for every process (prctl(2),
// PR_SET_DUMPABLE), and under user-mode emulation it tells of the emulator. Its word about this
// very read shows whether it is to be believed.
bool AreCallsTold() {
  const Call call = ReadCall("/proc/thread-self/syscall", proc::kWorkingDirectory);
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  return call.number == SYS_read && here - call.sp < 65536;
}

// Field 20 of /proc/self/stat. The name before may hold anything.
int CountThreads() {
  char text[1024];
  if (proc::ReadFile("/proc/self/stat", text, sizeof text) <= 0) return -1;
  const char* at = strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 20; ++field) at = strchr(at + 1, ' ');
  return at == nullptr ? -1 : static_cast<int>(proc::ReadNumber(at, 10));
}

}  // namespace

bool ThreadList::IsComplete() const { return seen_ == CountThreads(); }

void ThreadList::NoteCaller() {
  if (proc::ReadFile("/proc/thread-self/status", status_, sizeof status_) < 0) status_[0] = '\0';
  tells_calls_ = AreCallsTold();
}

bool ThreadList::MakeRoom() {
  size_t count = 0;
  proc::ForEachNumber("/proc/self/task", [&](int, int) {
    ++count;
    return 0;
  });
  const size_t wanted = count * 2 + 64;
  if (capacity_ < wanted) {
    const size_t bytes = (wanted * sizeof(Thread) + 4095) & ~size_t{4095};
    const long address = arch::Syscall(SYS_mmap, 0, static_cast<long>(bytes),
                                       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address < 0) return false;
    Clear();
    threads_ = reinterpret_cast<Thread*>(address);
    capacity_ = bytes / sizeof(Thread);
  }
  Clear();
  return true;
}

int ThreadList::Update(int (*signal)(Thread& thread)) {
  const pid_t process = static_cast<pid_t>(arch::Syscall(SYS_getpid));
  const pid_t self = static_cast<pid_t>(arch::Syscall(SYS_gettid));
  const size_t known = size_.load();
  int changes = 0;
  seen_ = 0;
  const auto stop = [&](Thread& thread, int folder) {
    ++changes;
    if (tells_calls_) {
      thread.call = ReadCall(proc::Text<32>("", thread.tid, "/syscall").get(), folder);
    }
    return signal(thread);
  };
  const int error = proc::ForEachNumber("/proc/self/task", [&](int tid, int folder) {
    ++seen_;
    if (tid == self) return 0;
    Thread* unused = nullptr;
    for (Thread& thread : *this) {
      const int state = thread.state.load();
      if (state == Thread::kGone) {
        unused = &thread;
      } else if (thread.tid == tid) {
        return state == Thread::kRunning ? stop(thread, folder) : 0;
      }
    }
    char status[sizeof status_];
    if (proc::ReadFile(proc::Text<32>("", tid, "/status").get(), status, sizeof status, folder) <
        0) {
      ++changes;  // It has ended, and may have been followed by one that is not listed.
      return 0;
    }
    char name[sizeof Thread::name];
    ReadName(status, name);
    // io_uring's workers are listed as threads, but are the kernel's own and run no handler.
    if (proc::StartsWith(name, "iou-")) return 0;
    const size_t size = size_.load();
    if (unused == nullptr && size == capacity_) return -EAGAIN;
    Thread& thread = unused == nullptr ? threads_[size] : *unused;
    thread.tid = tid;
    thread.kept = false;
    thread.own = FindOwn(status, status_);
    memcpy(thread.name, name, sizeof name);
    thread.state.store(Thread::kRunning);
    if (unused == nullptr) size_.store(size + 1, std::memory_order_release);
    return stop(thread, folder);
  });
  if (error < 0) return error;
  for (size_t i = 0; i < known; ++i) {
    Thread& thread = threads_[i];
    if (thread.state.load() == Thread::kGone || !HasEnded(process, thread.tid)) continue;
    thread.state.store(Thread::kGone);
    ++changes;
  }
  return changes;
}

void SchedulingPolicy::Read(pid_t tid) {
  *this = {};
  arch::Syscall(SYS_sched_getattr, tid, reinterpret_cast<long>(this), kSize, 0);
  size = kSize;
}

// PR_GET_TID_ADDRESS needs a kernel with checkpoint support, and user-mode emulation answers it for
// itself, so its word is checked and the control block searched otherwise.
bool FindTidAddress(int*& address) {
  char* const pointer = arch::ThreadPointer();
  const int tid = static_cast<int>(arch::Syscall(SYS_gettid));
  if (tid_offset != 0) {
    address = TidAddress(pointer);
    if (*address == tid) return true;
  }
  int* told = nullptr;
  arch::Syscall(SYS_prctl, PR_GET_TID_ADDRESS, reinterpret_cast<long>(&told));
  const long distance = reinterpret_cast<char*>(told) - pointer;
  if (told != nullptr && distance >= arch::kControlBlockFirst &&
      distance < arch::kControlBlockLast && *told == tid) {
    address = told;
    tid_offset = distance;
    return true;
  }
  for (long at = arch::kControlBlockFirst; at < arch::kControlBlockLast; at += sizeof(int)) {
    if (*reinterpret_cast<int*>(pointer + at) != tid) continue;
    address = reinterpret_cast<int*>(pointer + at);
    tid_offset = at;
    return true;
  }
  return false;
}

int* TidAddress(char* thread_pointer) {
  return reinterpret_cast<int*>(thread_pointer + tid_offset);
}

void BeginReading() { unread.fetch_add(1); }

void FinishReading() {
  unread.fetch_sub(1);
  FutexWake(unread);
}

void AwaitReaders() {
  for (int left = unread.load(); left > 0; left = unread.load()) FutexWait(unread, left);
}

void ForgetReaders() { unread.store(0); }

}  // namespace doublefork
