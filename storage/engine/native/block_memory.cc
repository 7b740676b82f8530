#include "block_memory.h"

#include <sys/mman.h>

#include <cstdlib>

namespace alopex {

BlockMemory::~BlockMemory() {
  for (const auto& chunk : chunks_) munmap(reinterpret_cast<void*>(chunk.first), kChunkBytes);
}

void BlockMemory::Link(Span** list, Span* span) {
  span->previous = nullptr;
  span->next = *list;
  if (*list) (*list)->previous = span;
  *list = span;
}

void BlockMemory::Unlink(Span** list, Span* span) {
  (span->previous ? span->previous->next : *list) = span->next;
  if (span->next) span->next->previous = span->previous;
}

// nullptr: no memory.
BlockMemory::Chunk* BlockMemory::NewChunk() {
  void* mapped = mmap(nullptr, 2 * kChunkBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const from = static_cast<char*>(mapped);
  char* const at = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(from) + kChunkBytes - 1) & ~(kChunkBytes - 1));
  if (at > from) munmap(from, static_cast<size_t>(at - from));
  munmap(at + kChunkBytes, static_cast<size_t>(from + kChunkBytes - at));
#ifdef MADV_HUGEPAGE
  madvise(at, kChunkBytes, MADV_HUGEPAGE);
#endif
  auto& chunk = chunks_[reinterpret_cast<uintptr_t>(at)];
  chunk.reset(new Chunk);
  for (size_t i = kSpans; i-- > 0;) {
    chunk->spans[i].memory = at + i * kSpanBytes;
    Link(&free_, &chunk->spans[i]);
  }
  return chunk.get();
}

void* BlockMemory::Allocate(size_t size) {
  if (size > kBlockMax) return malloc(size);
  const size_t block_class = ClassOf(size > 0 ? size : 1);
  std::lock_guard<std::mutex> lock(mutex_);
  Span* span = with_room_[block_class];
  if (!span) {
    if (!free_ && !NewChunk()) return nullptr;
    span = free_;
    Unlink(&free_, span);
    span->block_bytes = block_class * kStep;
    span->capacity = static_cast<uint32_t>(kSpanBytes / span->block_bytes);
    span->used = span->fresh = 0;
    span->freed = nullptr;
    chunks_[reinterpret_cast<uintptr_t>(span->memory) & ~(kChunkBytes - 1)]->used++;
    Link(&with_room_[block_class], span);
  }
  void* block = span->freed;
  if (block) {
    span->freed = *static_cast<void**>(block);
  } else {
    block = span->memory + span->block_bytes * span->fresh++;
  }
  if (++span->used == span->capacity) Unlink(&with_room_[block_class], span);
  return block;
}

void BlockMemory::Deallocate(void* block) {
  if (!block) return;
  const auto address = reinterpret_cast<uintptr_t>(block);
  std::unique_lock<std::mutex> lock(mutex_);
  const auto found = chunks_.find(address & ~(kChunkBytes - 1));
  if (found == chunks_.end()) {
    lock.unlock();
    free(block);
    return;
  }
  Chunk* chunk = found->second.get();
  Span* span = &chunk->spans[(address & (kChunkBytes - 1)) / kSpanBytes];
  Span** list = &with_room_[span->block_bytes / kStep];
  if (span->used == span->capacity) Link(list, span);
  *static_cast<void**>(block) = span->freed;
  span->freed = block;
  if (--span->used > 0) return;
  Unlink(list, span);
  span->block_bytes = 0;
  Link(&free_, span);
  if (--chunk->used > 0) return;
  for (Span& each : chunk->spans) Unlink(&free_, &each);
  munmap(reinterpret_cast<void*>(found->first), kChunkBytes);
  chunks_.erase(found);
}

size_t BlockMemory::UsableSize(void*, size_t size) const {
  return size > kBlockMax ? size : ClassOf(size > 0 ? size : 1) * kStep;
}

}  // namespace alopex
