// What the event loop holds that daemonize() must know of before it forks and redirects.
#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include "base/loop.h"
#include "detach/exports.h"

namespace doublefork {
namespace {

struct Found {
  Napi::Array children;
  Napi::Array descriptors;
  bool terminal = false;
};

void Visit(uv_handle_t* handle, void* context) {
  auto* const found = static_cast<Found*>(context);
  if (handle->type == UV_PROCESS && uv_is_active(handle)) {
    const uv_pid_t pid = uv_process_get_pid(reinterpret_cast<uv_process_t*>(handle));
    found->children.Set(found->children.Length(), pid);
  }
  // libuv opens a terminal once more for itself: the handle for fd 1 has another number.
  if (handle->type == UV_TTY) found->terminal = true;
  uv_os_fd_t fd;
  if (uv_fileno(handle, &fd) == 0) found->descriptors.Set(found->descriptors.Length(), fd);
}

// loopHandles() -> { children, descriptors, terminal }: the pids of running child processes, the
// descriptors that the loop's handles work on, and whether one of those handles is a terminal.
// Throws EFAULT if they cannot be looked at.
Napi::Value LoopHandles(const Napi::CallbackInfo& info) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(info.Env(), &loop);
  if (!IsLoopSound(loop)) {
    Napi::Error error = Napi::Error::New(info.Env(), kBrokenLoop);
    error.Set("errno", static_cast<double>(-EFAULT));
    error.Set("code", "EFAULT");
    error.Set("syscall", "uv_walk");
    error.ThrowAsJavaScriptException();
    return {};
  }
  Found found = {Napi::Array::New(info.Env()), Napi::Array::New(info.Env())};
  uv_walk(loop, Visit, &found);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("children", found.children);
  result.Set("descriptors", found.descriptors);
  result.Set("terminal", found.terminal);
  return result;
}

// What takes the place of descriptors; -1: nothing does.
struct Replacement {
  int socket;
  int terminal;
};

void Replace(uv_handle_t* handle, int replacement) {
  uv_os_fd_t fd;
  if (replacement >= 0 && uv_fileno(handle, &fd) == 0 && fd > STDERR_FILENO) {
    dup2(replacement, fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

void Silence(uv_handle_t* handle, void* context) {
  if (uv_is_closing(handle)) return;
  const auto& replacement = *static_cast<const Replacement*>(context);
  switch (handle->type) {
    case UV_TTY:
    case UV_NAMED_PIPE:
    case UV_TCP:
      uv_read_stop(reinterpret_cast<uv_stream_t*>(handle));
      Replace(handle, handle->type == UV_TTY ? replacement.terminal : replacement.socket);
      break;
    case UV_UDP:
    case UV_POLL:
      Replace(handle, replacement.socket);
      break;
    case UV_FS_EVENT:
      uv_fs_event_stop(reinterpret_cast<uv_fs_event_t*>(handle));
      break;
    case UV_FS_POLL:
      uv_fs_poll_stop(reinterpret_cast<uv_fs_poll_t*>(handle));
      break;
    case UV_SIGNAL:
      uv_signal_stop(reinterpret_cast<uv_signal_t*>(handle));
      break;
    case UV_PROCESS:
      break;
    default:
      return;  // The loop's own, and Node's.
  }
  uv_unref(handle);
}

// Work that the threadpool has done and whose callbacks are due. (What it is in the midst of when
// the process is copied is a call that waits; file operations and computations have come to their
// end.) libuv's queue is a ring of pointers to the next and the one before, in every version of it.
void DropFinishedWork(uv_loop_t* loop) {
  uv_mutex_lock(&loop->wq_mutex);
  void** const ring = reinterpret_cast<void**>(&loop->wq);
  for (void** at = static_cast<void**>(ring[0]); at != ring; at = static_cast<void**>(at[0])) {
    --loop->active_reqs.count;
  }
  ring[0] = ring[1] = ring;
  uv_mutex_unlock(&loop->wq_mutex);
}

// silenceLoop(socket, terminal): nothing that the handles wait for happens here any more, and none
// of them keeps the loop alive. Under the descriptors of sockets there is `socket` from now on, and
// `terminal` under those of terminals unless it is -1.
void SilenceLoop(const Napi::CallbackInfo& info) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(info.Env(), &loop);
  Replacement replacement = {info[0].As<Napi::Number>().Int32Value(),
                             info[1].As<Napi::Number>().Int32Value()};
  uv_walk(loop, Silence, &replacement);
  DropFinishedWork(loop);
}

}  // namespace

void ExportHandles(Napi::Object exports) {
  exports.Set("silenceLoop", Napi::Function::New(exports.Env(), SilenceLoop, "silenceLoop"));
  exports.Set("loopHandles", Napi::Function::New(exports.Env(), LoopHandles, "loopHandles"));
}

}  // namespace doublefork
