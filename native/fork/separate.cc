#include "fork/separate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/loop.h"
#include "base/pipe.h"
#include "base/quiet.h"
#include "fork/arch.h"
#include "fork/proc.h"
#include "fork/quiescence.h"
#include "fork/threads.h"

namespace doublefork {
namespace {

constexpr const char* kNoMemory = "no memory for the list of descriptors";

// /proc/self/fdinfo/N writes the open flags in octal, close-on-exec among them.
int OpenFlags(const char* line) {
  const char* number = line + sizeof "flags:" - 1;
  return static_cast<int>(proc::ReadNumber(number, 8));
}

constexpr char kUnlocked = 42;  // libuv's own choice

// What a pipe holds, by tee(2), which leaves it there. More than there is room for: -EMSGSIZE.
int Peek(int reader, char* into, int room) {
  int bytes = 0;
  arch::Syscall(SYS_ioctl, reader, FIONREAD, reinterpret_cast<long>(&bytes));
  if (bytes > room) return -EMSGSIZE;
  if (bytes == 0) return 0;
  const Pipe copy;
  if (copy.error() != 0) return -copy.error();
  const long copied = arch::Syscall(SYS_tee, reader, copy.writer(), bytes, SPLICE_F_NONBLOCK);
  if (copied <= 0) return static_cast<int>(copied);
  return static_cast<int>(quiet::Read(copy.reader(), into, copied));
}

// libuv's messages to its loops about signals: the handle, and the signal's number.
constexpr int kSignalMessageSize = 2 * sizeof(void*);

// Puts a new description under the number of the old one.
bool Replace(long fresh, int fd, int flags, Reason& reason) {
  long error = fresh;
  if (fresh >= 0) {
    error = arch::Syscall(SYS_dup3, fresh, fd, flags & O_CLOEXEC);
    arch::Syscall(SYS_close, fresh);
  }
  return error >= 0 || reason.Set(static_cast<int>(-error), "a descriptor cannot be renewed");
}

}  // namespace

bool KernelObjects::TakeInventory(Reason& reason) {
  const int error = proc::ForEachNumber("/proc/self/fd", [&](int fd, int folder) {
    return fd == folder || ReadDescriptor(folder, fd, reason) ? 0 : -1;
  });
  if (reason.error != 0) return false;
  if (error < 0) return reason.Set(-error, "/proc/self/fd cannot be read");
  return rings_.FindMappings(reason) && FindSignalLock(reason) && FindWakePipes(reason) &&
         NotePendingAsyncs(reason);
}

bool KernelObjects::ReadDescriptor(int folder, int fd, Reason& reason) {
  char link[64];
  if (proc::ReadLink(folder, fd, link, sizeof link) < 0) return true;  // It is closed.
  if (proc::StartsWith(link, "anon_inode:[eventfd]")) return ReadEventFd(fd, reason);
  if (proc::StartsWith(link, "anon_inode:[eventpoll]")) return ReadEpoll(fd, reason);
  if (proc::StartsWith(link, "anon_inode:[io_uring]")) return rings_.Note(fd, reason);
  if (parent_runs_ && IsForeignInotify(fd, link)) {
    return reason.Set(
        EBUSY,
        "files are watched by another loop than the main one: fs.watch() in a Worker, or "
        "an addon; each change would be told to only one of the two processes");
  }
  if (proc::StartsWith(link, "pipe:[")) {
    const char* inode = link + sizeof "pipe:[" - 1;
    return ReadPipe(fd, proc::ReadNumber(inode, 10), reason);
  }
  return true;
}

// inotify(7) tells an event to whoever reads first, and does not tell what it watches, by which it
// could be made anew. uv_loop_fork() knows for the main loop's.
bool KernelObjects::IsForeignInotify(int fd, const char* link) const {
  return proc::StartsWith(link, "anon_inode:inotify") && fd != main_loop_->inotify_fd &&
         (arch::Syscall(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC) != 0;
}

bool KernelObjects::ReadPipe(int fd, uint64_t inode, Reason& reason) {
  const long status = arch::Syscall(SYS_fcntl, fd, F_GETFL);
  const bool close_on_exec = (arch::Syscall(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC) != 0;
  const PipeEnd end = {fd, (status & O_ACCMODE) == O_WRONLY, (status & O_NONBLOCK) == 0,
                       close_on_exec, inode};
  return pipe_ends_.Push(end) || reason.Set(ENOMEM, kNoMemory);
}

bool KernelObjects::ReadEventFd(int fd, Reason& reason) {
  proc::Lines info(proc::Text<64>("/proc/self/fdinfo/", fd).get());
  EventFd event = {fd, 0, 0};
  while (const char* line = info.Next()) {
    if (proc::StartsWith(line, "flags:")) event.flags |= OpenFlags(line);
    if (proc::StartsWith(line, "eventfd-count:")) {
      const char* count = line + sizeof "eventfd-count:" - 1;
      event.count = proc::ReadNumber(count, 16);
    }
    if (proc::StartsWith(line, "eventfd-semaphore: 1")) event.flags |= EFD_SEMAPHORE;
  }
  if (info.error() < 0) return reason.Set(-info.error(), "/proc/self/fdinfo cannot be read");
  // Without close-on-exec it was inherited, or is meant to be: shared on purpose.
  if ((event.flags & O_CLOEXEC) == 0) return true;
  return event_fds_.Push(event) || reason.Set(ENOMEM, kNoMemory);
}

// Also one that is not close-on-exec: addons forget that, and what two processes share has no use.
bool KernelObjects::ReadEpoll(int fd, Reason& reason) {
  if (fd < first_epoll_) first_epoll_ = fd;
  if (fd == uv_backend_fd(main_loop_)) return true;  // uv_loop_fork() renews that one.
  proc::Lines info(proc::Text<64>("/proc/self/fdinfo/", fd).get());
  Epoll epoll = {fd, 0};
  while (const char* line = info.Next()) {
    if (proc::StartsWith(line, "flags:")) epoll.flags = OpenFlags(line);
    if (!proc::StartsWith(line, "tfd:")) continue;
    // "tfd:       12 events:       19 data:                c  pos:0 ino:2a sdev:f"
    Registration registration = {fd, 0, 0, 0};
    const char* at = line + sizeof "tfd:" - 1;
    registration.target = static_cast<int>(proc::ReadNumber(at, 10));
    at += sizeof " events:" - 1;
    registration.events = static_cast<uint32_t>(proc::ReadNumber(at, 16));
    at += sizeof " data:" - 1;
    registration.data = proc::ReadNumber(at, 16);
    if (!registrations_.Push(registration)) return reason.Set(ENOMEM, kNoMemory);
  }
  if (info.error() < 0) return reason.Set(-info.error(), "/proc/self/fdinfo cannot be read");
  return epolls_.Push(epoll) || reason.Set(ENOMEM, kNoMemory);
}

const KernelObjects::PipeEnd* KernelObjects::OtherEnd(const PipeEnd& reader) {
  for (const PipeEnd& end : pipe_ends_) {
    if (end.writable && end.inode == reader.inode) return &end;
  }
  return nullptr;
}

// libuv serialises its signal bookkeeping with a pipe that holds one byte: whoever reads it has the
// lock. Its descriptors are static variables of libuv, but it is made with the first loop, before
// any code of the program's, right after that loop's epoll. So it is the first pipe of that shape
// behind the first epoll, the numbers being given out from below; what is below that was open
// before, such as the pipe of a make(1) that hands out its jobs, with one byte in it, too.
bool KernelObjects::FindSignalLock(Reason& reason) {
  for (const PipeEnd& reader : pipe_ends_) {
    if (reader.writable || !reader.blocking || !reader.close_on_exec || reader.fd < first_epoll_) {
      continue;
    }
    const PipeEnd* const writer = OtherEnd(reader);
    if (writer == nullptr || !writer->blocking || !writer->close_on_exec) continue;
    WakePipe lock = {reader, *writer, 0, {}};
    lock.size = Peek(reader.fd, lock.content, sizeof lock.content);
    if (lock.size != 1 || lock.content[0] != kUnlocked) continue;
    return wake_pipes_.Push(lock) || reason.Set(ENOMEM, kNoMemory);
  }
  return reason.Set(ENOTSUP, "the pipe that libuv locks its signals with was not found");
}

// A thread that waits with epoll or poll for a pipe whose other end is in this process, too, is
// woken by other threads through it: libevent's and libusb's, and a Worker's loop, which libuv's
// signal handler tells of a signal. What the main loop watches is not among them: its signal pipe
// is renewed by uv_loop_fork(), and other pipes there are the program's.
bool KernelObjects::FindWakePipes(Reason& reason) {
  for (const Registration& registration : registrations_) {
    if (!NoteWakePipe(registration.target, reason)) return false;
  }
  for (const Thread& thread : FrozenThreads()) {
    unsigned long count = 0;
    const pollfd* const polled = PolledBy(thread, count);
    for (unsigned long i = 0; i < count; ++i) {
      if (!NoteWakePipe(polled[i].fd, reason)) return false;
    }
  }
  return true;
}

bool KernelObjects::NoteWakePipe(int fd, Reason& reason) {
  for (const WakePipe& known : wake_pipes_) {
    if (known.reader.fd == fd) return true;
  }
  for (const PipeEnd& reader : pipe_ends_) {
    if (reader.fd != fd || reader.writable) continue;
    const PipeEnd* const writer = OtherEnd(reader);
    if (writer == nullptr) return true;
    WakePipe pipe = {reader, *writer, 0, {}};
    pipe.size = Peek(fd, pipe.content, sizeof pipe.content);
    if (pipe.size < 0) {
      return reason.Set(EBUSY, "a pipe by which a thread is woken holds more than can be copied");
    }
    // Signals that came to the parent are not the child's.
    if (pipe.size % kSignalMessageSize == 0) pipe.size = 0;
    return wake_pipes_.Push(pipe) || reason.Set(ENOMEM, kNoMemory);
  }
  return true;
}

// uv_loop_fork() clears the pending flag of every uv_async_t. Without this, finished threadpool
// work and messages of Workers were lost.
bool KernelObjects::NotePendingAsyncs(Reason& reason) {
  struct Note {
    Scratch<uv_async_t*>* pending;
    bool complete;
  } note = {&pending_, true};
  if (!IsLoopSound(main_loop_)) return reason.Set(EFAULT, kBrokenLoop);
  const auto visit = [](uv_handle_t* handle, void* context) {
    auto* const async = reinterpret_cast<uv_async_t*>(handle);
    auto* const into = static_cast<Note*>(context);
    if (handle->type == UV_ASYNC && async->pending != 0 && !into->pending->Push(async)) {
      into->complete = false;
    }
  };
  uv_walk(main_loop_, visit, &note);
  // The threadpool's own, which uv_walk() skips as internal.
  visit(reinterpret_cast<uv_handle_t*>(&main_loop_->wq_async), &note);
  return note.complete || reason.Set(ENOMEM, kNoMemory);
}

bool KernelObjects::Separate(Reason& reason) {
  // Epolls after what they watch. The main loop last: it frees numbers that the list still names.
  return RenewEventFds(reason) && RenewWakePipes(reason) && rings_.Renew(reason) &&
         RenewEpolls(reason) && RenewMainLoop(reason);
}

bool KernelObjects::RenewEventFds(Reason& reason) {
  for (const EventFd& event : event_fds_) {
    const long fresh = arch::Syscall(SYS_eventfd2, 0, event.flags & (EFD_NONBLOCK | EFD_SEMAPHORE));
    if (fresh >= 0 && event.count > 0) {
      arch::Syscall(SYS_write, fresh, reinterpret_cast<long>(&event.count), sizeof event.count);
    }
    if (!Replace(fresh, event.fd, event.flags, reason)) return false;
  }
  return true;
}

bool KernelObjects::RenewEpolls(Reason& reason) {
  for (const Epoll& epoll : epolls_) {
    if (!Replace(arch::Syscall(SYS_epoll_create1, 0), epoll.fd, epoll.flags, reason)) return false;
  }
  for (const Registration& registration : registrations_) {
    epoll_event event = {};
    event.events = registration.events;
    event.data.u64 = registration.data;
    const long error = arch::Syscall(SYS_epoll_ctl, registration.epoll, EPOLL_CTL_ADD,
                                     registration.target, reinterpret_cast<long>(&event));
    // EBADF, EEXIST: the kernel lists a description that lives on under another number, or in
    // another process. The loop that registered it has closed it and expects nothing of it.
    if (error < 0 && error != -EBADF && error != -EEXIST && error != -EPERM) {
      return reason.Set(static_cast<int>(-error), "an epoll of libuv cannot be renewed");
    }
  }
  return true;
}

bool KernelObjects::RenewPipe(const WakePipe& pipe, Reason& reason) {
  int fresh[2];
  const long error = arch::Syscall(SYS_pipe2, reinterpret_cast<long>(fresh), 0);
  if (error < 0) {
    return reason.Set(static_cast<int>(-error), "a pipe that wakes a thread cannot be renewed");
  }
  if (pipe.size > 0) {
    arch::Syscall(SYS_write, fresh[1], reinterpret_cast<long>(pipe.content), pipe.size);
  }
  const auto replace = [&reason](int by, const PipeEnd& end) {
    if (!end.blocking) arch::Syscall(SYS_fcntl, by, F_SETFL, O_NONBLOCK);
    return Replace(by, end.fd, end.close_on_exec ? O_CLOEXEC : 0, reason);
  };
  const bool reader = replace(fresh[0], pipe.reader);
  return replace(fresh[1], pipe.writer) && reader;
}

bool KernelObjects::RenewWakePipes(Reason& reason) {
  for (const WakePipe& pipe : wake_pipes_) {
    if (!RenewPipe(pipe, reason)) return false;
  }
  return true;
}

// Its epoll, its wake-up eventfd, its signal pipe, its inotify and (Node 22 and later) its io_uring
// rings.
bool KernelObjects::RenewMainLoop(Reason& reason) {
  const int error = uv_loop_fork(main_loop_);
  if (error < 0) return reason.Set(-error, "libuv cannot renew the main loop");
  // It registers anew what is watched, except what the loop was about to watch for more or less (a
  // socket that takes no more now): of those libuv believes that the new epoll knew them, and
  // aborts.
  for (unsigned int fd = 0; fd < main_loop_->nwatchers; ++fd) {
    uv__io_t* const watcher = main_loop_->watchers[fd];
    if (watcher != nullptr) watcher->events = 0;
  }
  for (uv_async_t* async : pending_) uv_async_send(async);
  return true;
}

}  // namespace doublefork
