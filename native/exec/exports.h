#ifndef DOUBLEFORK_EXEC_EXPORTS_H_
#define DOUBLEFORK_EXEC_EXPORTS_H_

#include <napi.h>

namespace doublefork {

void ExportExec(Napi::Object exports);

}  // namespace doublefork

#endif  // DOUBLEFORK_EXEC_EXPORTS_H_
