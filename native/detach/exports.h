#ifndef DOUBLEFORK_DETACH_EXPORTS_H_
#define DOUBLEFORK_DETACH_EXPORTS_H_

#include <napi.h>

namespace doublefork {

void ExportHandles(Napi::Object exports);
void ExportInventory(Napi::Object exports);

}  // namespace doublefork

#endif  // DOUBLEFORK_DETACH_EXPORTS_H_
