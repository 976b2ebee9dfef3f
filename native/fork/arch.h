// What differs between processors. Each arch_*.h gives the same names.
#ifndef DOUBLEFORK_FORK_ARCH_H_
#define DOUBLEFORK_FORK_ARCH_H_

#if defined(__x86_64__)
#include "fork/arch_x64.h"
#elif defined(__aarch64__)
#include "fork/arch_arm64.h"
#endif

#endif  // DOUBLEFORK_FORK_ARCH_H_
