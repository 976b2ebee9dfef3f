// AArch64: Linux arch/arm64/kernel/signal.c for the frame { siginfo_t; ucontext_t }.
#ifndef DOUBLEFORK_FORK_ARCH_ARM64_H_
#define DOUBLEFORK_FORK_ARCH_ARM64_H_

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <cstdint>

#include "base/raw.h"

namespace doublefork::arch {

// clone(flags, stack, parent_tid, tls, child_tid): the last two are swapped on x86-64.
inline long Clone(unsigned long flags, int* child_tid) {
  return Syscall(SYS_clone, static_cast<long>(flags), 0, 0, 0, reinterpret_cast<long>(child_tid));
}

inline char* ThreadPointer() {
  char* pointer;
  asm("mrs %0, tpidr_el0" : "=r"(pointer));
  return pointer;
}

// Where glibc's thread control block can hold the thread id: before the thread pointer.
constexpr int kControlBlockFirst = -2304;
constexpr int kControlBlockLast = 0;

// Signature in front of a restartable sequence's abort handler (rseq(2)); glibc registers with it.
constexpr uint32_t kRseqSignature = 0xd428bc00;

constexpr int kSyscallSize = 4;
inline bool IsSyscall(const unsigned char* at) {
  uint32_t instruction;
  memcpy(&instruction, at, sizeof instruction);
  return instruction == 0xd4000001;  // svc #0
}

// The registers of an interrupted thread that tell what it was doing.
struct Interrupted {
  const unsigned char* pc;
  long number_or_result;  // the call's number if it is to restart, its result if it returned
  long arguments[3];      // valid if it is to restart: the result shares a register with the first
};

inline Interrupted InterruptedAt(const ucontext_t& context) {
  const auto& machine = context.uc_mcontext;
  const auto* const pc = reinterpret_cast<const unsigned char*>(machine.pc);
  const auto registers = [&](int i) { return static_cast<long>(machine.regs[i]); };
  const bool restarts = IsSyscall(pc);
  return {pc, restarts ? registers(8) : registers(0), {registers(0), registers(1), registers(2)}};
}

// No register tells whether the thread has been in the call: SVC leaves no trace.
inline bool ShowsEntry(const ucontext_t&, const unsigned char*) { return true; }

// The number of a call that has given its result.
inline long NumberOfCallBefore(const ucontext_t& context) {
  return static_cast<long>(context.uc_mcontext.regs[8]);
}
constexpr bool kKeepsArguments = false;  // The result is where the first was.

// Has an interrupted call that has given its result be issued again. The result is where the first
// argument was; the number is still in its place.
inline void IssueAgain(ucontext_t& context, long, long first_argument) {
  context.uc_mcontext.pc -= kSyscallSize;
  context.uc_mcontext.regs[0] = static_cast<uint64_t>(first_argument);
}

inline uintptr_t StackPointer(const ucontext_t& context) {
  return static_cast<uintptr_t>(context.uc_mcontext.sp);
}

// Of a call that is to be issued (again).
inline long Argument(const ucontext_t& context, int index) {
  return static_cast<long>(context.uc_mcontext.regs[index]);
}
inline void SetArgument(ucontext_t& context, int index, long value) {
  context.uc_mcontext.regs[index] = static_cast<uint64_t>(value);
}

// The vDSO holds the code that ends a handler.
constexpr unsigned long kRestorerFlag = 0;
inline void (*Restorer())() { return nullptr; }

// Leaves the thread to the kernel, which takes every register, the FPU state, the signal mask and
// the alternate stack from the frame. The frame begins with the siginfo_t.
[[noreturn]] inline void ReturnFromSignal(const siginfo_t* info, const ucontext_t*) {
  asm volatile(
      "mov sp, %0\n"
      "mov x8, #139\n"  // SYS_rt_sigreturn
      "svc #0\n" ::"r"(info)
      : "memory");
  __builtin_unreachable();
}

}  // namespace doublefork::arch

#endif  // DOUBLEFORK_FORK_ARCH_ARM64_H_
