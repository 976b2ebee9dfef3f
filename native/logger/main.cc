// doublefork-logger: reads the output of a daemon, its supervisor and its workers, each from a pipe
// of its own, and writes it to a log that it rotates. It is two processes of one image. The writer
// reads the pipes and writes; the holder holds the same pipes and nothing else, and makes another
// writer when that is killed. When the holder is killed the writer takes its place. Both share the
// bytes that are on their way (ring.h, log.h), so that none is lost and none written twice. A
// writer is replaced, too, by one that knows of another pipe: the new one is there before the old
// one is killed, so that at no instant the holder is alone, and waits until that is gone (turn.h).
//
// On fd 3 there is a unix socket (SOCK_SEQPACKET) with a message each:
//   "A", id, newline, fields: another pipe, which comes along (SCM_RIGHTS). The fields are members
//   of a JSON object, a line each. "R": the log was moved away, open it again.
// It ends when the socket and all pipes have come to their end, and all is written; signals for its
// group it ignores.

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <initializer_list>
#include <new>

#include "logger/archive.h"
#include "logger/log.h"
#include "logger/messages.h"
#include "logger/ring.h"
#include "logger/settings.h"
#include "logger/turn.h"

namespace doublefork::logger {
namespace {

constexpr int kControl = 3;
constexpr int kRetry = 100;          // ms between attempts at what fails
constexpr int kTick = 50;            // ms, while a line waits for its end
constexpr uint64_t kPatience = 100;  // ms, before what cannot be written is dropped, if at all

uint64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

// What a process has open, in memory of its own; the one that it forks has the same.
class Sources {
 public:
  // Takes the descriptor. Null: there is no memory.
  Source* Add(int fd, const char* id, const char* fields, size_t capacity) {
    auto* more =
        static_cast<Source*>(realloc(static_cast<void*>(all_), (count_ + 1) * sizeof *all_));
    if (more != nullptr) {
      all_ = more;
      auto* source = new (&all_[count_]) Source();
      if (source->Open(fd, id, fields, capacity)) {
        count_++;
        return source;
      }
    }
    close(fd);
    return nullptr;
  }

  void Remove(size_t index) {
    all_[index].Close();
    all_[index] = all_[--count_];
  }

  Source& operator[](size_t index) { return all_[index]; }
  size_t count() const { return count_; }

 private:
  Source* all_ = nullptr;
  size_t count_ = 0;
};

// The side of the writer.
class Writer {
 public:
  Writer(const Settings& settings, Sources* sources, Destination* log, int holder)
      : settings_(settings), sources_(*sources), log_(*log), holder_(holder) {}

  // Until the holder is gone.
  void Run() {
    for (size_t i = 0; i < sources_.count(); i++) sources_[i].Recover();
    log_.Open();
    log_.Recover();
    for (;;) {
      uint64_t now = Now();
      bool writes = log_.Continue(now);
      if (!Wait(writes)) break;
      now = Now();
      // In order: a mark comes after what it marks.
      for (size_t i = 0; i < sources_.count();) i += Serve(i, writes, now) ? 0 : 1;
      if (log_.TakeRotated()) Say('r');
    }
    free(polled_);
  }

 private:
  void Say(char word) { send(holder_, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT); }

  // False: the holder is gone.
  bool Wait(bool writes) {
    size_t count = sources_.count() + 2;
    polled_ = static_cast<pollfd*>(realloc(polled_, count * sizeof *polled_));
    if (polled_ == nullptr) _exit(1);
    int timeout = log_.failing() ? kRetry : -1;
    pollfd& holder = polled_[count - 2] = {holder_, POLLIN, 0};
    polled_[count - 1] = {log_.blocked_fd(), POLLOUT, 0};
    // It was asked for to lose what comes rather than to have the program wait.
    discards_ = !writes && settings_.drop && Now() - log_.gap()->since >= kPatience;
    for (size_t i = 0; i < sources_.count(); i++) {
      Source& source = sources_[i];
      bool reads = (writes || discards_) && !source.at_end && source.size() < source.capacity;
      polled_[i] = {reads ? source.fd : -1, POLLIN, 0};
      if (!writes) continue;
      if (source.at_end && source.size() == 0) timeout = 0;
      if (timeout != 0 && source.size() > 0 && log_.shows_unfinished()) timeout = kTick;
    }
    poll(polled_, count, timeout);
    if (holder.revents == 0) return true;
    char said[64];
    ssize_t length = recv(holder_, said, sizeof said, MSG_DONTWAIT);
    if (length > 0) log_.Reopen();
    return length > 0 || (length < 0 && errno == EAGAIN);
  }

  // True: it has ended, and another one has its index.
  bool Serve(size_t index, bool writes, uint64_t now) {
    Source& source = sources_[index];
    if (!writes) {
      Gap* gap = log_.gap();
      if (discards_ && polled_[index].revents != 0)
        source.Discard(log_.Kept(source), &gap->dropped_bytes, &gap->dropped_lines);
      return false;
    }
    bool came = polled_[index].revents != 0 && source.Fill(now);
    if (!came && (polled_[index].revents & POLLHUP) != 0) source.at_end = source.IsEmpty();
    source.SkipLine();
    if (!log_.Take(source, Owner(), source.at_end, now)) return false;
    if (!source.at_end || source.size() > 0) return false;
    source.ring->ended = true;
    sources_.Remove(index);
    polled_[index] = polled_[sources_.count()];
    Say('e');
    return true;
  }

  // Whose unfinished line the log ends with, if it may still end it.
  const Source* Owner() {
    for (size_t i = 0; i < sources_.count(); i++) {
      if (sources_[i].serial == log_.open_serial() && !sources_[i].at_end) return &sources_[i];
    }
    return nullptr;
  }

  const Settings& settings_;
  Sources& sources_;
  Destination& log_;
  int holder_;
  bool discards_ = false;
  pollfd* polled_ = nullptr;
};

// The side of the holder.
class Holder {
 public:
  // @param serials shared: how many pipes there were
  Holder(const Settings& settings, Destination* log, uint64_t* serials, Turn* turn)
      : settings_(settings), log_(*log), serials_(serials), turn_(*turn) {}

  [[noreturn]] void Run() {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
    children_ = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    for (;;) {
      int holder = Hold();
      // While this one waited the writer before it has taken the holder's place.
      if (!turn_.Begin()) _exit(0);
      Writer(settings_, &sources_, &log_, holder).Run();
      // From here on it is in the holder's place, with all that it has.
      close(holder);
      log_.Close();
      turn_.End();
    }
  }

 private:
  // Returns in a writer, with the socket to its holder.
  int Hold() {
    writer_ = tidier_ = 0;
    is_outdated_ = false;
    peer_ = -1;
    heard_ = false;
    tidy_ = true;
    for (;;) {
      if (LacksWriter()) {
        int holder = StartWriter();
        if (holder >= 0) return holder;
      }
      if (heard_ && !LacksWriter()) TakeMessage();
      StartTidier();
      Wait();
    }
  }

  // There is none, or one that does not know of all pipes.
  bool LacksWriter() const { return writer_ == 0 || is_outdated_; }

  void Wait() {
    bool hears = !control_ended_ && !heard_;
    pollfd polled[] = {
        {children_, POLLIN, 0}, {peer_, POLLIN, 0}, {hears ? kControl : -1, POLLIN, 0}};
    // Without a writer: there was no process to be had.
    poll(polled, 3, LacksWriter() ? kRetry : -1);
    Listen();
    signalfd_siginfo info;
    while (read(children_, &info, sizeof info) > 0) {
    }
    for (pid_t pid = waitpid(-1, nullptr, WNOHANG); pid > 0; pid = waitpid(-1, nullptr, WNOHANG)) {
      if (pid == writer_) writer_ = 0;
      if (pid == tidier_) tidier_ = 0;
    }
    for (size_t i = sources_.count(); i-- > 0;) {
      if (sources_[i].ring->ended) sources_.Remove(i);
    }
    if (polled[2].revents != 0) Hear();
    if (control_ended_ && sources_.count() == 0 && tidier_ == 0 && !tidy_ && !log_.failing()) {
      StopWriter();
      _exit(0);
    }
  }

  // What the writer says.
  void Listen() {
    char said[64];
    ssize_t length = peer_ < 0 ? 0 : recv(peer_, said, sizeof said, MSG_DONTWAIT);
    if (length > 0 && memchr(said, 'r', static_cast<size_t>(length)) != nullptr) tidy_ = true;
  }

  // In the writer its socket, else -1. One that is there is ended once the new one is.
  int StartWriter() {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -1;
    pid_t pid = fork();
    close(pair[pid == 0 ? 0 : 1]);
    if (pid == 0) {
      // With this copy the old one would not see the holder's end.
      if (peer_ >= 0) close(peer_);
      return pair[1];
    }
    if (pid < 0) {
      close(pair[0]);
      return -1;
    }
    StopWriter();
    peer_ = pair[0];
    writer_ = pid;
    is_outdated_ = false;
    return -1;
  }

  void StopWriter() {
    // Not yet waited for: the number is its own.
    if (writer_ != 0) kill(writer_, SIGKILL);
    writer_ = 0;
    Listen();
    // Only now: at its end a writer takes the holder's place.
    if (peer_ >= 0) close(peer_);
    peer_ = -1;
  }

  void StartTidier() {
    if (!tidy_ || tidier_ != 0) return;
    tidy_ = false;
    if (settings_.file == nullptr) return;
    if (settings_.max_files == 0 && settings_.compress == nullptr) return;
    pid_t pid = fork();
    if (pid > 0) tidier_ = pid;
    if (pid != 0) return;
    prctl(PR_SET_NAME, "doublefork-tidy");
    // Whoever waits for their end is not to wait for this.
    for (int fd = 3; fd < 64; fd++) close(fd);
    for (size_t i = 0; i < sources_.count(); i++) close(sources_[i].fd);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    Tidy(settings_);
    _exit(0);
  }

  // A message stays on the socket until there is a writer that knows of it: whoever takes this
  // one's place finds it.
  void Hear() {
    char text[kFields + 128];
    int fd = -1;
    ssize_t length = Receive(text, sizeof text - 1, MSG_PEEK, &fd);
    if (length <= 0) {
      control_ended_ = length == 0 || (errno != EAGAIN && errno != EINTR);
      return;
    }
    text[length] = '\0';
    heard_ = true;
    if (text[0] == 'R') {
      send(peer_, "r", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else if (fd >= 0) {
      Add(text + 1, fd);
    }
  }

  void TakeMessage() {
    char text[1];
    int fd = -1;
    Receive(text, sizeof text, 0, &fd);
    if (fd >= 0) close(fd);
    heard_ = false;
  }

  static ssize_t Receive(char* text, size_t size, int flags, int* fd) {
    iovec part = {text, size};
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = space;
    message.msg_controllen = sizeof space;
    ssize_t length = recvmsg(kControl, &message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    cmsghdr* header = length > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (header != nullptr && header->cmsg_type == SCM_RIGHTS)
      memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return length;
  }

  // Another pipe, for a new writer.
  void Add(char* id, int fd) {
    char* fields = strchrnul(id, '\n');
    if (*fields != '\0') *fields++ = '\0';
    for (size_t i = 0; i < sources_.count(); i++) {
      if (strncmp(sources_[i].ring->id, id, sizeof(Ring::id) - 1) != 0) continue;
      // The holder before this one has come so far.
      close(fd);
      return;
    }
    fcntl(fd, F_SETFL, O_RDONLY | O_NONBLOCK);
    Source* source = sources_.Add(fd, id, fields, settings_.to == To::kJournal ? kLongRing : kRing);
    if (source == nullptr) return;
    source->serial = ++*serials_;
    source->since = Now();
    struct stat stat;
    source->at_end = fstat(fd, &stat) == 0 && S_ISSOCK(stat.st_mode);
    is_outdated_ = true;
  }

  const Settings& settings_;
  Destination& log_;
  uint64_t* serials_;
  Turn& turn_;
  Sources sources_;
  int children_ = -1;
  int peer_ = -1;
  pid_t writer_ = 0;
  bool is_outdated_ = false;  // it does not know of all pipes
  pid_t tidier_ = 0;
  bool heard_ = false;  // a message that is still on the socket
  bool tidy_ = true;
  bool control_ended_ = false;
};

[[noreturn]] void Fail(const char* what, const char* why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

bool Number(const char* text, uint64_t* to) {
  char* end;
  errno = 0;
  *to = strtoull(text, &end, 10);
  return errno == 0 && *end == '\0' && *text >= '0' && *text <= '9';
}

// NAME VALUE pairs.
void Parse(int argc, char** argv, Settings* settings) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const char* name = argv[i];
    const char* value = argv[i + 1];
    bool known = true;
    if (strcmp(name, "--file") == 0) {
      settings->file = value;
    } else if (strcmp(name, "--syslog") == 0) {
      settings->to = To::kSyslog;
      settings->socket = value;
    } else if (strcmp(name, "--journal") == 0) {
      settings->to = To::kJournal;
      settings->socket = value;
    } else if (strcmp(name, "--tag") == 0) {
      settings->tag = value;
    } else if (strcmp(name, "--facility") == 0) {
      known = Number(value, &settings->facility);
    } else if (strcmp(name, "--rfc") == 0) {
      settings->syslog = strcmp(value, "5424") == 0 ? Syslog::kRfc5424 : Syslog::kRfc3164;
    } else if (strcmp(name, "--max-size") == 0) {
      known = Number(value, &settings->max_size);
    } else if (strcmp(name, "--max-age") == 0) {
      known = Number(value, &settings->max_age);
    } else if (strcmp(name, "--max-files") == 0) {
      known = Number(value, &settings->max_files);
    } else if (strcmp(name, "--compress") == 0) {
      settings->compress = value;
    } else if (strcmp(name, "--timestamps") == 0) {
      settings->stamp = strcmp(value, "iso") == 0 ? Stamp::kIso : Stamp::kTai64n;
    } else if (strcmp(name, "--format") == 0) {
      settings->json = strcmp(value, "json") == 0;
    } else if (strcmp(name, "--on-full") == 0) {
      settings->drop = strcmp(value, "drop") == 0;
    } else {
      known = false;
    }
    if (!known) Fail(name, "cannot be understood");
  }
  const char* path = settings->to == To::kFile ? settings->file : settings->socket;
  if (path == nullptr || path[0] != '/') Fail("the log", "must be an absolute path");
}

// What root does in another user's directory that user may redirect: it is done as that user.
void BecomeOwner(const char* file) {
  char path[PATH_MAX];
  struct stat stat;
  if (geteuid() != 0) return;
  snprintf(path, sizeof path, "%s", file);
  char* slash = strrchr(path, '/');
  slash[slash == path ? 1 : 0] = '\0';
  if (::stat(path, &stat) != 0) Fail(path, strerror(errno));
  if (stat.st_uid == 0) return;
  if (setgroups(1, &stat.st_gid) != 0 || setgid(stat.st_gid) != 0 || setuid(stat.st_uid) != 0) {
    Fail("setuid", strerror(errno));
  }
}

int Main(int argc, char** argv) {
  Settings settings;
  Parse(argc, argv, &settings);
  for (int signal :
       {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2, SIGTSTP}) {
    ::signal(signal, SIG_IGN);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGCHLD, SIG_DFL);
  const char* path = settings.to == To::kFile ? settings.file : settings.socket;
  if (settings.to == To::kFile) BecomeOwner(path);
  constexpr int kReadWrite = PROT_READ | PROT_WRITE;
  void* shared = mmap(nullptr, sizeof(Core), kReadWrite, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) Fail("mmap", strerror(errno));
  auto* core = new (shared) Core;  // the rest of it is zero
  Log file(settings, core);
  Messages messages(settings, &core->gap);
  Destination* log = settings.to == To::kFile ? static_cast<Destination*>(&file) : &messages;
  if (!log->Open()) Fail(path, strerror(errno));
  log->Begin();
  log->Close();
  Turn turn(&core->turn);
  if (!turn.Open()) Fail("memfd_create", strerror(errno));
  Holder holder(settings, log, &core->serials, &turn);
  fcntl(kControl, F_SETFD, FD_CLOEXEC);
  pid_t pid = fork();
  if (pid < 0) Fail("fork", strerror(errno));
  if (pid > 0) return 0;
  setsid();
  if (chdir("/") != 0) return 1;
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  if (null > 2) close(null);
  holder.Run();
}

}  // namespace
}  // namespace doublefork::logger

int main(int argc, char** argv) { return doublefork::logger::Main(argc, argv); }

#else

#include <stdio.h>

int main() {
  fputs("a log is captured on Linux only\n", stderr);
  return 1;
}

#endif
