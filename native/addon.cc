// The addon's table of contents. Every function takes validated arguments from src/posix and
// returns its result, or -errno.
#include <napi.h>

#include "detach/exports.h"
#include "exec/exports.h"
#include "fork/exports.h"
#include "supervise/exports.h"
#include "syscalls/exports.h"

namespace {

Napi::Object Init(Napi::Env, Napi::Object exports) {
  doublefork::ExportProcess(exports);  // setsid getsid getpgid setpgid umask chdir kill waitpid ...
  doublefork::ExportDescriptor(
      exports);                          // open close dup dup2 dup3 pipe poll closeRange isatty ...
  doublefork::ExportAttribute(exports);  // getxattr
  doublefork::ExportLock(exports);       // flock fcntlLock
  doublefork::ExportIdentity(exports);   // setresuid setgroups chroot getpwnam ...
  doublefork::ExportLimits(exports);     // getrlimit setrlimit nice resources
  doublefork::ExportSignal(exports);     // sigprocmask disposition setDisposition
  doublefork::ExportSocket(exports);     // socket bind listen accept sendmsg recvmsg ...
  doublefork::ExportWatch(exports);      // watch
  doublefork::ExportFork(exports);       // fork memoryHolder prefault detach confine forkSupport
  doublefork::ExportExec(exports);       // launch spawn spawnOrphan
  doublefork::ExportHandles(exports);    // loopHandles
  doublefork::ExportInbox(exports);      // openInbox takeInbox closeInbox
  doublefork::ExportInventory(exports);  // openDescriptors ignoredSignals
  return exports;
}

}  // namespace

NODE_API_MODULE(doublefork, Init)
