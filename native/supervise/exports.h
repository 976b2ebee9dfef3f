#ifndef DOUBLEFORK_SUPERVISE_EXPORTS_H_
#define DOUBLEFORK_SUPERVISE_EXPORTS_H_

#include <napi.h>

namespace doublefork {

void ExportInbox(Napi::Object exports);

}  // namespace doublefork

#endif  // DOUBLEFORK_SUPERVISE_EXPORTS_H_
