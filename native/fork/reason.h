#ifndef DOUBLEFORK_FORK_REASON_H_
#define DOUBLEFORK_FORK_REASON_H_

#include "base/failure.h"

namespace doublefork {

using Reason = Failure;

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_REASON_H_
