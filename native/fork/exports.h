#ifndef DOUBLEFORK_FORK_EXPORTS_H_
#define DOUBLEFORK_FORK_EXPORTS_H_

#include <napi.h>

namespace doublefork {

void ExportFork(Napi::Object exports);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_EXPORTS_H_
