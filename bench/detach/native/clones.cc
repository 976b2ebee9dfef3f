// twoClones(): what a double fork costs at the least. Two raw clones of this process, one in the
// other, and nothing else: no thread comes along, and no JavaScript could run in the result.
#include <fcntl.h>
#include <node_api.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vector>

namespace {

struct Range {
  unsigned long begin;
  unsigned long end;
};

// V8 hides its heap from fork. A clone without the heap would be a cheaper one than ours.
std::vector<Range> HiddenMappings() {
  std::vector<Range> ranges;
  FILE* const smaps = fopen("/proc/self/smaps", "re");
  if (smaps == nullptr) return ranges;
  char line[512];
  Range range = {0, 0};
  while (fgets(line, sizeof line, smaps) != nullptr) {
    Range found;
    if (sscanf(line, "%lx-%lx ", &found.begin, &found.end) == 2) range = found;
    if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dc") != nullptr)
      ranges.push_back(range);
  }
  fclose(smaps);
  return ranges;
}

void Advise(const std::vector<Range>& ranges, int advice) {
  for (const Range& range : ranges) {
    madvise(reinterpret_cast<void*>(range.begin), range.end - range.begin, advice);
  }
}

double NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

long Clone() { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }

// The time from before the first clone to the first instruction of the grandchild, in ms.
double TwoClones() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) return -1;
  const double start = NowMs();
  const long child = Clone();
  if (child == 0) {
    if (Clone() == 0) {
      const double end = NowMs();
      if (write(fds[1], &end, sizeof end) < 0) _exit(1);
    }
    _exit(0);
  }
  close(fds[1]);
  double end;
  const bool told = child > 0 && read(fds[0], &end, sizeof end) == sizeof end;
  close(fds[0]);
  if (child > 0) waitpid(static_cast<pid_t>(child), nullptr, 0);
  return told ? end - start : -1;
}

napi_value TwoClonesBinding(napi_env env, napi_callback_info) {
  const std::vector<Range> hidden = HiddenMappings();
  Advise(hidden, MADV_DOFORK);
  const double ms = TwoClones();
  Advise(hidden, MADV_DONTFORK);
  napi_value result;
  napi_create_double(env, ms, &result);
  return result;
}

napi_value Init(napi_env env, napi_value exports) {
  napi_value function;
  napi_create_function(env, "twoClones", NAPI_AUTO_LENGTH, TwoClonesBinding, nullptr, &function);
  napi_set_named_property(env, exports, "twoClones", function);
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
