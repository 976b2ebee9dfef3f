#include "base/failure.h"

#include <dlfcn.h>

#include <cstring>

namespace doublefork {

std::string Failure::Sentence() const {
  std::string sentence = what == nullptr ? "" : what;
  if (tid != 0) {
    sentence += ": thread " + std::to_string(tid) + " \"" + thread + "\"";
    Dl_info place;
    if (at != nullptr && dladdr(at, &place) != 0) {
      const char* const slash = strrchr(place.dli_fname, '/');
      sentence += " in ";
      if (place.dli_sname != nullptr) sentence += std::string(place.dli_sname) + " of ";
      sentence += slash == nullptr ? place.dli_fname : slash + 1;
    } else if (at != nullptr) {
      sentence += " in compiled JavaScript";  // the only code that belongs to no file
    }
  }
  if (hint != nullptr) sentence = sentence + "; " + hint;
  return sentence;
}

}  // namespace doublefork
