// poll(2) for one descriptor, on the event loop instead of in place of it.
#include <uv.h>

#include "syscalls/call.h"
#include "syscalls/exports.h"

namespace doublefork {
namespace {

struct Watch {
  uv_poll_t poll;
  bool repeats;
  Napi::FunctionReference callback;
};

void OnEvent(uv_poll_t* poll, int status, int) {
  auto* const watch = static_cast<Watch*>(poll->data);
  if (!watch->repeats || status < 0) uv_poll_stop(poll);
  const Napi::Env env = watch->callback.Env();
  const Napi::HandleScope scope(env);
  watch->callback.MakeCallback(env.Global(), {Napi::Number::New(env, status)});
}

void OnClosed(uv_handle_t* handle) { delete static_cast<Watch*>(handle->data); }

// watch(fd, callback, writable, repeats) -> a function that ends it, or -errno. The callback comes
// when the descriptor is readable, or writable: once, or as often as that is so. The watch keeps
// the process alive until it is ended.
Napi::Value StartWatch(const Napi::CallbackInfo& info) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(info.Env(), &loop);
  auto* const watch = new Watch;
  const int error = uv_poll_init(loop, &watch->poll, info[0].As<Napi::Number>().Int32Value());
  if (error != 0) {
    delete watch;
    return Napi::Number::New(info.Env(), error);
  }
  watch->poll.data = watch;
  watch->repeats = info[3].ToBoolean();
  watch->callback = Napi::Persistent(info[1].As<Napi::Function>());
  uv_poll_start(&watch->poll, info[2].ToBoolean() ? UV_WRITABLE : UV_READABLE, OnEvent);
  return Napi::Function::New(info.Env(), [watch](const Napi::CallbackInfo&) {
    auto* const handle = reinterpret_cast<uv_handle_t*>(&watch->poll);
    if (uv_is_closing(handle) == 0) uv_close(handle, OnClosed);
  });
}

}  // namespace

void ExportWatch(Napi::Object exports) {
  exports.Set("watch", Napi::Function::New(exports.Env(), StartWatch, "watch"));
}

}  // namespace doublefork
