// The addon's own operator new: Note [Small blocks] in engine/memory/small-blocks.hpp. It is not exported, so the host and
// libtorch keep theirs; memory never passes from one to the other. The other forms of new and delete call these, or malloc.
#include <cstdlib>
#include <new>

#include "engine/memory/small-blocks.hpp"

void* operator new(std::size_t bytes) {
  for (;;) {
    if (void* const block = tokenlearner::allocate_small(bytes == 0 ? 1 : bytes)) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void operator delete(void* block, std::size_t bytes) noexcept { tokenlearner::free_small(block, bytes); }

void operator delete(void* block) noexcept { std::free(block); }
