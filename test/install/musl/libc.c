// What Debian's libstdc++ and libgcc_s need of glibc and musl lacks, as far as Node uses it.

#include <locale.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/random.h>
#include <time.h>

char __libc_single_threaded = 0;

uint32_t arc4random(void) {
  uint32_t value = 0;
  getrandom(&value, sizeof value, 0);
  return value;
}

size_t __strftime_l(char* to, size_t size, const char* format, const struct tm* time,
                    locale_t locale) {
  return strftime_l(to, size, format, time, locale);
}

int __cxa_thread_atexit_impl(void (*destructor)(void*), void* object, void* library) { return 0; }

// -1: not found; the caller then asks dl_iterate_phdr().
int _dl_find_object(void* address, void* result) { return -1; }

unsigned __cpu_model[4];
int __cpu_indicator_init(void) { return 0; }
