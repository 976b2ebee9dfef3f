// What the event loop holds that daemonize() must know of before it forks and redirects.
#include <uv.h>

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
Napi::Value LoopHandles(const Napi::CallbackInfo& info) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(info.Env(), &loop);
  Found found = {Napi::Array::New(info.Env()), Napi::Array::New(info.Env())};
  uv_walk(loop, Visit, &found);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("children", found.children);
  result.Set("descriptors", found.descriptors);
  result.Set("terminal", found.terminal);
  return result;
}

}  // namespace

void ExportHandles(Napi::Object exports) {
  exports.Set("loopHandles", Napi::Function::New(exports.Env(), LoopHandles, "loopHandles"));
}

}  // namespace doublefork
