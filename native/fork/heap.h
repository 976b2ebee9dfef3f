// Makes the memory that hides from fork() visible to it, for the length of one clone.
#ifndef DOUBLEFORK_FORK_HEAP_H_
#define DOUBLEFORK_FORK_HEAP_H_

#include <cstdint>

#include "fork/reason.h"
#include "fork/scratch.h"

namespace doublefork {

// V8 maps its heap with MADV_DONTFORK ("dc" in smaps), so that a child process that only wants to
// exec is cheap to make. A child that goes on running needs it.
class HiddenHeap {
 public:
  HiddenHeap() = default;
  ~HiddenHeap() { Hide(); }
  HiddenHeap(const HiddenHeap&) = delete;
  HiddenHeap& operator=(const HiddenHeap&) = delete;

  // Call it while the other threads are frozen: before, one of them may still map more.
  bool Unhide(Reason& reason);
  // Parent and child both: a later child_process.spawn stays as cheap as it was.
  void Hide();

 private:
  struct Range {
    uintptr_t begin;
    uintptr_t end;
  };

  bool FindCandidates(Reason& reason);
  bool FindHidden(Reason& reason);
  bool MakeVisible(Reason& reason);

  Scratch<Range> candidates_;
  Scratch<Range> ranges_;
  bool visible_ = false;
};

// Whether the mappings of this process can be read at all, without changing any.
bool MappingsAreReadable(Reason& reason);

}  // namespace doublefork

#endif  // DOUBLEFORK_FORK_HEAP_H_
