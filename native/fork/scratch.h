// A growing array that lives in memory straight from the kernel.
//
// While other threads are frozen one of them may hold malloc's lock, so nothing here may call
// malloc. The elements are plain data; an array of them may move while it grows.
#ifndef DOUBLEFORK_FORK_SCRATCH_H_
#define DOUBLEFORK_FORK_SCRATCH_H_

#include <sys/mman.h>

#include <cstddef>
#include <type_traits>

#include "fork/arch.h"

namespace doublefork {

template <typename T>
class Scratch {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (items_ != nullptr) arch::Syscall(SYS_munmap, Address(), static_cast<long>(bytes_));
  }

  // False when the kernel has no memory left.
  [[nodiscard]] bool Push(const T& item) {
    if ((size_ + 1) * sizeof(T) > bytes_ && !Grow()) return false;
    items_[size_++] = item;
    return true;
  }

  T* begin() { return items_; }
  T* end() { return items_ + size_; }
  const T* begin() const { return items_; }
  const T* end() const { return items_ + size_; }
  size_t size() const { return size_; }

 private:
  long Address() const { return reinterpret_cast<long>(items_); }

  bool Grow() {
    const size_t bytes = bytes_ == 0 ? 16384 : bytes_ * 2;
    const long address =
        items_ == nullptr
            ? arch::Syscall(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            : arch::Syscall(SYS_mremap, Address(), static_cast<long>(bytes_),
                            static_cast<long>(bytes), MREMAP_MAYMOVE);
    if (address < 0) return false;
    items_ = reinterpret_cast<T*>(address);
    bytes_ = bytes;
    return true;
  }

  T* items_ = nullptr;
  size_t size_ = 0;
  size_t bytes_ = 0;
};

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_SCRATCH_H_
