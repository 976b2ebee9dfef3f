#include "base/message.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/quiet.h"

namespace doublefork {
namespace {

const char* SignalName(int number) {
  switch (number) {
#define DOUBLEFORK_SIGNAL(name) \
  case name:                    \
    return #name
    DOUBLEFORK_SIGNAL(SIGABRT);
    DOUBLEFORK_SIGNAL(SIGALRM);
    DOUBLEFORK_SIGNAL(SIGBUS);
    DOUBLEFORK_SIGNAL(SIGFPE);
    DOUBLEFORK_SIGNAL(SIGHUP);
    DOUBLEFORK_SIGNAL(SIGILL);
    DOUBLEFORK_SIGNAL(SIGINT);
    DOUBLEFORK_SIGNAL(SIGKILL);
    DOUBLEFORK_SIGNAL(SIGPIPE);
    DOUBLEFORK_SIGNAL(SIGQUIT);
    DOUBLEFORK_SIGNAL(SIGSEGV);
    DOUBLEFORK_SIGNAL(SIGSYS);
    DOUBLEFORK_SIGNAL(SIGTERM);
    DOUBLEFORK_SIGNAL(SIGTRAP);
    DOUBLEFORK_SIGNAL(SIGUSR1);
    DOUBLEFORK_SIGNAL(SIGUSR2);
    DOUBLEFORK_SIGNAL(SIGXCPU);
    DOUBLEFORK_SIGNAL(SIGXFSZ);
#undef DOUBLEFORK_SIGNAL
    default:
      return nullptr;
  }
}

}  // namespace

bool Say(int fd, const char* text, size_t length) {
  while (length > 0) {
    const long written = quiet::Write(fd, text, length);
    if (written >= 0) {
      text += written;
      length -= static_cast<size_t>(written);
    } else if (written == -EAGAIN) {
      quiet::Poll(fd, POLLOUT, nullptr, nullptr);
    } else if (written != -EINTR) {
      return false;
    }
  }
  return true;
}

Message& operator<<(Message& message, Death death) {
  const int status = death.status;
  if (!WIFSIGNALED(status)) return message << "exited with code " << WEXITSTATUS(status);
  message << "was killed by ";
  const char* const name = SignalName(WTERMSIG(status));
  if (name != nullptr) {
    message << name;
  } else {
    message << "signal " << WTERMSIG(status);
  }
  return WCOREDUMP(status) ? message << " (core dumped)" : message;
}

int Death::ExitCode() const {
  if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
  return WEXITSTATUS(status) == 0 ? 1 : WEXITSTATUS(status);
}

}  // namespace doublefork
