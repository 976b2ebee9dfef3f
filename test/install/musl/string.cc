// std::string::_M_replace_cold() of GCC 13, for a libstdc++ that is older.

#include <cstring>

extern "C" void _ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE15_M_replace_coldEPcmPKcmm(
    void*, char* to, size_t length, const char* from, size_t replacement, size_t after) {
  if (replacement != 0 && replacement <= length) memmove(to, from, replacement);
  if (after != 0 && length != replacement) memmove(to + replacement, to + length, after);
  if (replacement <= length) return;
  if (from + replacement <= to + length) {
    memmove(to, from, replacement);
  } else if (from >= to + length) {
    memcpy(to, from + (replacement - length), replacement);
  } else {
    const size_t left = (to + length) - from;
    memmove(to, from, left);
    memcpy(to + left, to + replacement, replacement - left);
  }
}
