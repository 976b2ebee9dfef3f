// System calls past libc.
#ifndef DOUBLEFORK_BASE_RAW_H_
#define DOUBLEFORK_BASE_RAW_H_

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#define DOUBLEFORK_HAS_RAW_SYSCALLS

#include <sys/syscall.h>

namespace doublefork::arch {

// A system call that leaves errno alone: errno belongs to whatever the thread was doing. The result
// is -errno on failure, as the kernel gives it.
#if defined(__x86_64__)
inline long Syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                    long f = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
#else
inline long Syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                    long f = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc #0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory");
  return x0;
}
#endif

}  // namespace doublefork::arch

#endif

#endif  // DOUBLEFORK_BASE_RAW_H_
