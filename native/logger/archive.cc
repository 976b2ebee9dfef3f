#include "logger/archive.h"

#ifdef __linux__

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace doublefork::logger {
namespace {

constexpr char kCompressed[] = ".gz";
// 20261125T224130.123456Z
constexpr size_t kSuffix = 23;

struct Archive {
  uint64_t time;
  bool compressed;
};

// What the name says, behind the log's own and a dot.
bool Parse(const char* suffix, Archive* archive) {
  tm utc = {};
  unsigned long micro = 0;
  int used = 0;
  if (strlen(suffix) < kSuffix ||
      sscanf(suffix, "%4d%2d%2dT%2d%2d%2d.%6luZ%n", &utc.tm_year, &utc.tm_mon, &utc.tm_mday,
             &utc.tm_hour, &utc.tm_min, &utc.tm_sec, &micro, &used) != 7 ||
      used != kSuffix) {
    return false;
  }
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  archive->time = static_cast<uint64_t>(timegm(&utc)) * 1000000 + micro;
  archive->compressed = strcmp(suffix + kSuffix, kCompressed) == 0;
  return archive->compressed || suffix[kSuffix] == '\0';
}

// Calls a function with each.
template <typename Visit>
void ForEach(const char* file, Visit visit) {
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%s", file);
  char* slash = strrchr(folder, '/');
  *slash = '\0';
  const char* name = slash + 1;
  size_t length = strlen(name);
  DIR* directory = opendir(*folder == '\0' ? "/" : folder);
  if (directory == nullptr) return;
  for (dirent* entry = readdir(directory); entry != nullptr; entry = readdir(directory)) {
    Archive archive;
    if (strncmp(entry->d_name, name, length) == 0 && entry->d_name[length] == '.' &&
        Parse(entry->d_name + length + 1, &archive)) {
      visit(archive);
    }
  }
  closedir(directory);
}

int NewestFirst(const void* a, const void* b) {
  uint64_t left = static_cast<const Archive*>(a)->time;
  uint64_t right = static_cast<const Archive*>(b)->time;
  return left < right ? 1 : left > right ? -1 : 0;
}

void Compress(const char* gzip, const char* path) {
  pid_t pid = fork();
  if (pid == 0) {
    // What an end of this machine has left of it is written anew.
    execl(gzip, gzip, "-f", "--", path, nullptr);
    _exit(127);
  }
  if (pid > 0) waitpid(pid, nullptr, 0);
}

}  // namespace

bool ArchiveName(const char* file, uint64_t time, char* to, size_t size) {
  time_t seconds = static_cast<time_t>(time / 1000000);
  tm utc;
  gmtime_r(&seconds, &utc);
  char text[32];
  strftime(text, sizeof text, "%Y%m%dT%H%M%S", &utc);
  int length = snprintf(to, size, "%s.%s.%06uZ", file, text, static_cast<unsigned>(time % 1000000));
  return length > 0 && static_cast<size_t>(length) < size;
}

uint64_t NewestArchive(const char* file) {
  uint64_t newest = 0;
  ForEach(file, [&newest](const Archive& archive) {
    if (archive.time > newest) newest = archive.time;
  });
  return newest;
}

void Tidy(const Settings& settings) {
  setpriority(PRIO_PROCESS, 0, 19);
  Archive* all = nullptr;
  size_t count = 0;
  ForEach(settings.file, [&](const Archive& archive) {
    auto* more = static_cast<Archive*>(realloc(all, (count + 1) * sizeof *all));
    if (more == nullptr) return;
    all = more;
    all[count++] = archive;
  });
  if (count > 0) qsort(all, count, sizeof *all, NewestFirst);
  for (size_t i = 0; i < count; i++) {
    char path[PATH_MAX];
    if (!ArchiveName(settings.file, all[i].time, path, sizeof path - sizeof kCompressed)) continue;
    if (settings.max_files > 0 && i >= settings.max_files) {
      unlink(path);
      unlink(strcat(path, kCompressed));
    } else if (settings.compress != nullptr && !all[i].compressed) {
      Compress(settings.compress, path);
    }
  }
}

}  // namespace doublefork::logger

#endif
