// x86-64: System V ABI, AMD64 supplement; Linux arch/x86/kernel/signal_64.c for the frame.
#ifndef DOUBLEFORK_FORK_ARCH_X64_H_
#define DOUBLEFORK_FORK_ARCH_X64_H_

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <cstdint>

#include "base/raw.h"

namespace doublefork::arch {

// clone(flags, stack, parent_tid, child_tid, tls): the last two are swapped on other processors.
inline long Clone(unsigned long flags, int* child_tid) {
  return Syscall(SYS_clone, static_cast<long>(flags), 0, 0, reinterpret_cast<long>(child_tid), 0);
}

inline char* ThreadPointer() {
  char* pointer;
  asm("mov %%fs:0, %0" : "=r"(pointer));
  return pointer;
}

// Where in glibc's thread control block the thread id can be: after the thread pointer.
constexpr int kControlBlockFirst = 0;
constexpr int kControlBlockLast = 2048;

// Signature in front of a restartable sequence's abort handler (rseq(2)); glibc registers with it.
constexpr uint32_t kRseqSignature = 0x53053053;

constexpr int kSyscallSize = 2;
inline bool IsSyscall(const unsigned char* at) { return at[0] == 0x0f && at[1] == 0x05; }

// The registers of an interrupted thread that tell what it was doing.
struct Interrupted {
  const unsigned char* pc;
  long number_or_result;  // the call's number if it is to restart, its result if it returned
  long arguments[3];      // the kernel leaves them as they were
};

inline Interrupted InterruptedAt(const ucontext_t& context) {
  const auto& registers = context.uc_mcontext.gregs;
  return {reinterpret_cast<const unsigned char*>(registers[REG_RIP]),
          registers[REG_RAX],
          {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX]}};
}

// x86-64 has no default: a handler installed past libc brings the code that ends it. The very bytes
// of glibc's own, by which debuggers and unwinders recognise a signal frame.
[[gnu::naked]] inline void DoubleforkRestorer() {
  asm("mov $15, %rax\n"  // SYS_rt_sigreturn
      "syscall\n");
}

constexpr unsigned long kRestorerFlag = 0x04000000;  // SA_RESTORER
inline void (*Restorer())() { return DoubleforkRestorer; }

// Leaves the thread to the kernel, which takes every register, the FPU state, the signal mask and
// the alternate stack from the frame. The kernel looks for the frame at sp - 8, where the handler's
// return address was; the ucontext follows it.
[[noreturn]] inline void ReturnFromSignal(const siginfo_t*, const ucontext_t* context) {
  asm volatile(
      "mov %0, %%rsp\n"
      "mov $15, %%eax\n"
      "syscall\n" ::"r"(context)
      : "memory");
  __builtin_unreachable();
}

}  // namespace doublefork::arch

#endif  // DOUBLEFORK_FORK_ARCH_X64_H_
