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

// Whether the thread has been in the call behind which `after` is: the SYSCALL instruction leaves
// that address in rcx, where it would otherwise be by mere chance.
inline bool ShowsEntry(const ucontext_t& context, const unsigned char* after) {
  return reinterpret_cast<const unsigned char*>(context.uc_mcontext.gregs[REG_RCX]) == after;
}

// The number of a call that has given its result, if the code says so: "mov $number, %eax" stands
// before the SYSCALL in libc; where that is a cancellation point, "mov N(%rsp), %edi" may stand
// between them (pselect, epoll_pwait). -1: unknown.
inline long NumberOfCallBefore(const ucontext_t& context) {
  const auto* const pc = reinterpret_cast<const unsigned char*>(context.uc_mcontext.gregs[REG_RIP]);
  const unsigned char* end = pc - kSyscallSize;
  constexpr unsigned char kMovEdi[] = {0x8b, 0x7c, 0x24};
  if (memcmp(end - 4, kMovEdi, sizeof kMovEdi) == 0) end -= 4;
  uint32_t number;
  memcpy(&number, end - sizeof number, sizeof number);
  constexpr unsigned char kMovEax = 0xb8;
  return end[-5] == kMovEax ? static_cast<long>(number) : -1;
}
constexpr bool kKeepsArguments = true;  // although the call has given its result

// Has an interrupted call that has given its result be issued again. The kernel leaves all
// registers but the result's as they were.
inline void IssueAgain(ucontext_t& context, long number, long) {
  auto& registers = context.uc_mcontext.gregs;
  registers[REG_RIP] -= kSyscallSize;
  registers[REG_RAX] = number;
}

inline uintptr_t StackPointer(const ucontext_t& context) {
  return static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RSP]);
}

inline long Argument(const ucontext_t& context, int index) {
  constexpr int kRegisters[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
  return static_cast<long>(context.uc_mcontext.gregs[kRegisters[index]]);
}
inline void SetArgument(ucontext_t& context, int index, long value) {
  constexpr int kRegisters[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
  context.uc_mcontext.gregs[kRegisters[index]] = value;
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
