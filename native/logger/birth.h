#ifndef DOUBLEFORK_LOGGER_BIRTH_H_
#define DOUBLEFORK_LOGGER_BIRTH_H_

#include <stdint.h>

namespace doublefork::logger {

// When the file was made, in s since 1970, or where the file system does not know that, when it was
// last written to; 0: not to be had.
uint64_t BirthOf(int fd);

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_BIRTH_H_
