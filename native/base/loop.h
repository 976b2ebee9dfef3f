// Whether the handles of an event loop can be looked at.
#ifndef DOUBLEFORK_BASE_LOOP_H_
#define DOUBLEFORK_BASE_LOOP_H_

#include <sys/uio.h>
#include <uv.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/raw.h"

namespace doublefork {

constexpr const char* kBrokenLoop =
    "a handle of the event loop lies in memory that was given back: an addon has freed it without "
    "closing it";

// A link of the ring in which libuv keeps the handles: a pointer to the next and the one before, in
// every version of it.
struct HandleLink {
  HandleLink* next;
  HandleLink* previous;
};

// Copies memory that may not be there. Where the kernel cannot be asked it is taken to be.
template <typename T>
bool CopyIfThere(const void* from, T& to) {
#ifdef DOUBLEFORK_HAS_RAW_SYSCALLS
  iovec here = {&to, sizeof to};
  iovec there = {const_cast<void*>(from), sizeof to};
  const long got =
      arch::Syscall(SYS_process_vm_readv, arch::Syscall(SYS_getpid), reinterpret_cast<long>(&here),
                    1, reinterpret_cast<long>(&there), 1, 0);
  if (got == static_cast<long>(sizeof to)) return true;
  if (got >= 0 || got == -EFAULT) return false;
#endif
  to = *static_cast<const T*>(from);
  return true;
}

// False: an addon has freed one that it had not closed. To walk over it would be the end of the
// process.
inline bool IsLoopSound(const uv_loop_t* loop) {
  const auto* const first = reinterpret_cast<const HandleLink*>(&loop->handle_queue);
  const HandleLink* before = first;
  for (const HandleLink* at = first->next; at != first;) {
    constexpr size_t kOffset = offsetof(uv_handle_t, handle_queue);
    uv_handle_t handle;
    if (!CopyIfThere(reinterpret_cast<const char*>(at) - kOffset, handle)) return false;
    HandleLink link;
    memcpy(&link, &handle.handle_queue, sizeof link);
    if (handle.loop != loop || link.previous != before) return false;
    if (handle.type <= UV_UNKNOWN_HANDLE || handle.type >= UV_HANDLE_TYPE_MAX) return false;
    before = at;
    at = link.next;
  }
  return true;
}

}  // namespace doublefork

#endif  // DOUBLEFORK_BASE_LOOP_H_
