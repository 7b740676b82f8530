// The block cache's memory: blocks of a few kilobytes, in pages of 2 MiB where the system has them. A point read touches
// some twenty places all over the cache; with pages of 4 KiB most of them cost a walk through the page tables as well.
//
//     chunk  2 MiB, aligned, mapped and given back whole
//     span   256 KiB of a chunk, for blocks of one size class (multiples of 512 bytes), free again when its last block is
//
// What is larger than 32 KiB (indexes, filters) comes from malloc.
#pragma once
#include <rocksdb/memory_allocator.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace alopex {

class BlockMemory final : public rocksdb::MemoryAllocator {
 public:
  ~BlockMemory() override;
  const char* Name() const override { return "alopex.blocks"; }
  void* Allocate(size_t size) override;
  void Deallocate(void* block) override;
  // What the cache counts against its capacity.
  size_t UsableSize(void* block, size_t size) const override;

 private:
  static constexpr size_t kStep = 512, kBlockMax = size_t{32} << 10, kClasses = kBlockMax / kStep + 1;
  static constexpr size_t kSpanBytes = size_t{256} << 10, kChunkBytes = size_t{2} << 20;
  static constexpr size_t kSpans = kChunkBytes / kSpanBytes;
  static size_t ClassOf(size_t size) { return (size + kStep - 1) / kStep; }

  struct Span {
    char* memory = nullptr;
    size_t block_bytes = 0;  // 0: free
    uint32_t used = 0, fresh = 0, capacity = 0;  // blocks in use; blocks ever taken
    void* freed = nullptr;                       // a list through the blocks themselves
    Span *next = nullptr, *previous = nullptr;   // among the spans of its class with room, or among the free ones
  };
  struct Chunk {
    Span spans[kSpans];
    uint32_t used = 0;  // spans
  };

  Chunk* NewChunk();
  static void Link(Span** list, Span* span);
  static void Unlink(Span** list, Span* span);

  std::mutex mutex_;
  std::unordered_map<uintptr_t, std::unique_ptr<Chunk>> chunks_;
  Span* with_room_[kClasses] = {};
  Span* free_ = nullptr;
};

}  // namespace alopex
