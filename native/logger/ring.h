// A pipe and what was read from it and is not in the log yet. The bytes are in memory that outlives
// the process: of the two processes that a logger is either may be killed at any instruction, and
// the other one goes on from here.
#ifndef DOUBLEFORK_LOGGER_RING_H_
#define DOUBLEFORK_LOGGER_RING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace doublefork::logger {

// As much as a pipe holds.
constexpr size_t kRing = 65536;
// As long a line as the journal is given in one entry: it takes memory for each pipe.
constexpr size_t kLongRing = 1024 * 1024;
constexpr size_t kFields = 1024;

// Shared between the processes. Counters are absolute and only grow; each change takes effect with
// one store.
struct Ring {
  std::atomic<uint64_t> head;  // what was read
  std::atomic<uint64_t> next;  // what head is after the read that is under way, if any
  std::atomic<uint64_t> tail;  // what is in the log
  uint8_t canary;              // the byte at `head`, unless that read has happened
  std::atomic<bool> skips;     // up to the next newline: what is before it was dropped
  std::atomic<bool> ended;     // nothing will come any more, and all is in the log
  char id[64];                 // the sender's name for it
  char fields[kFields];        // members of a JSON object, a line each
};

class Source {
 public:
  // Maps the memory. False with errno.
  bool Open(int fd, const char* id, const char* fields, size_t capacity);
  void Close();

  int fd = -1;
  Ring* ring = nullptr;
  size_t capacity = 0;  // bytes, a multiple of the page size
  uint64_t serial = 0;
  uint64_t since = 0;        // when something came last, ms
  bool at_end = false;       // all its writers are gone, and all was read
  uint64_t waits_since = 0;  // for another one to end its line

  size_t size() const { return ring->head.load() - ring->tail.load(); }
  // Contiguous, also where the ring is closed: it is mapped twice, side by side.
  const char* data() const { return bytes_ + ring->tail.load() % capacity; }

  // Reads what there is and fits. True: something came.
  bool Fill(uint64_t now);
  bool IsEmpty() const;
  // Decides whether a read under way, when the process was killed, has happened.
  void Recover();
  // Forgets what was read, but for what is before `keep`, and what is in the pipe.
  void Discard(uint64_t keep, uint64_t* bytes, uint64_t* lines);
  // Forgets the rest of a line of which the beginning was forgotten.
  void SkipLine();

 private:
  char* bytes_ = nullptr;
};

}  // namespace doublefork::logger

#endif  // DOUBLEFORK_LOGGER_RING_H_
