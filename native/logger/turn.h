// Whose turn it is to write. Of two writers the new one waits until the old one is gone: a lock
// that ends with its process says so, whoever killed that, and the kernel sees to it.
#ifndef DOUBLEFORK_LOGGER_TURN_H_
#define DOUBLEFORK_LOGGER_TURN_H_

#include <atomic>
#include <cstdint>

namespace doublefork::logger {

class Turn {
 public:
  // @param count shared: how many writers have taken their holder's place
  explicit Turn(std::atomic<uint64_t>* count) : count_(*count) {}

  // False with errno.
  bool Open();

  // In a new writer: waits for the end of the one before it. False: that has taken the holder's
  // place instead of ending, and makes another writer than this one.
  bool Begin();

  // In a writer that takes the holder's place.
  void End();

 private:
  std::atomic<uint64_t>& count_;
  uint64_t known_ = 0;  // `count_` at the fork of this process, which its holder has not changed
  int fd_ = -1;
};

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_TURN_H_
