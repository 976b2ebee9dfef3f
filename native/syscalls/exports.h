// What each file under syscalls/ adds to the addon. addon.cc is the table of contents.
#ifndef DOUBLEFORK_SYSCALLS_EXPORTS_H_
#define DOUBLEFORK_SYSCALLS_EXPORTS_H_

#include <napi.h>

namespace doublefork {

void ExportProcess(Napi::Object exports);
void ExportAttribute(Napi::Object exports);
void ExportDescriptor(Napi::Object exports);
void ExportLock(Napi::Object exports);
void ExportIdentity(Napi::Object exports);
void ExportLimits(Napi::Object exports);
void ExportSignal(Napi::Object exports);
void ExportWatch(Napi::Object exports);
void ExportSocket(Napi::Object exports);

}  // namespace doublefork

#endif  // DOUBLEFORK_SYSCALLS_EXPORTS_H_
