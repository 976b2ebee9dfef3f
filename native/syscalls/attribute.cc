// Extended attributes of files: getxattr(2).
#ifdef __linux__
#include <sys/xattr.h>
#endif

#include "syscalls/call.h"
#include "syscalls/exports.h"

namespace doublefork {
namespace {

#ifdef __linux__
// getxattr(path, name) -> the value, or -errno. What is longer is none that anybody here asks for.
Napi::Value Getxattr(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const std::string name = info[1].As<Napi::String>();
  char value[256];
  const ssize_t length = getxattr(path.c_str(), name.c_str(), value, sizeof value);
  if (length < 0) return Napi::Number::New(info.Env(), -errno);
  return Napi::String::New(info.Env(), value, static_cast<size_t>(length));
}
#endif

}  // namespace

void ExportAttribute(Napi::Object exports) {
#ifdef __linux__
  exports.Set("getxattr", Napi::Function::New(exports.Env(), Getxattr, "getxattr"));
#else
  (void)exports;
#endif
}

}  // namespace doublefork
