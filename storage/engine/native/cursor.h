// Reads that resolve versions: a reader at time t sees of each user key the newest version at or before t.
//
// RocksDB's iterators are kept and used again: making one costs more than a seek. Before each use an iterator is
// brought up to date: by its sequence number (cheap while no memtable was flushed), or made anew when something
// happened that the sequence number does not show (Store::epoch).
#pragma once
#include <rocksdb/iterator.h>

#include <memory>
#include <string>

#include "keys.h"
#include "store.h"

namespace alopex {

// A kept iterator with bounds that may change between seeks.
class FreshIterator {
 public:
  enum class Kind { kPoint, kSpan };
  FreshIterator(std::shared_ptr<Store> store, uint32_t family, Kind kind, bool fills_cache = true)
      : store_(std::move(store)), family_(family), kind_(kind), fills_cache_(fills_cache) {}
  // The iterator, up to date, with stored-key bounds [from, to) (span iterators only).
  rocksdb::Iterator* Use(const Slice& from, const Slice& to);
  rocksdb::Iterator* Use() { return Use(Slice(), Slice()); }
  // Other bounds for the next seek of the iterator as it is (span iterators only).
  void SetBounds(const Slice& from, const Slice& to);
  uint64_t epoch() const { return epoch_; }
  // After an error: the next use begins with a new iterator.
  void Drop() { iterator_.reset(); }
  // Lets go of memtables and files that are otherwise dead, if there are newer ones.
  void DropIfStale(uint64_t super_version);

 private:
  std::shared_ptr<Store> store_;
  uint32_t family_;
  Kind kind_;
  bool fills_cache_;
  std::string from_, to_;
  Slice from_slice_, to_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  uint64_t sequence_ = 0, epoch_ = 0, super_version_ = 0;
};

uint64_t SuperVersion(const Store& store, uint32_t family);

// One page of rows in the caller's memory: u32 key length, u32 value length, u64 timestamp, key, value.
struct PageOut {
  char* data;
  size_t capacity;
  size_t bytes = 0;
  uint32_t count = 0;
  size_t needed = 0;  // > 0: not even the first row fits; make room for so many bytes and ask again
};
constexpr size_t kRowHeaderBytes = 16;
constexpr size_t kPageBytes = size_t{256} << 10;  // a page ends after the row that crosses this

struct Version {
  bool found = false;
  uint64_t timestamp = 0;
  Slice value;  // valid until the reader's next call
};

class PointReader {
 public:
  explicit PointReader(std::shared_ptr<Store> store)
      : iterator_(std::move(store), kData, FreshIterator::Kind::kPoint) {}
  // Newest version of `user` at or before `at`, deletion marks included.
  Status Read(const Slice& user, uint64_t at, Version* version);
  void DropIfStale(uint64_t super_version) { iterator_.DropIfStale(super_version); }

 private:
  FreshIterator iterator_;
  std::string seek_;
};

struct SpanOptions {
  Slice from, to;     // user keys; whole keys in an unversioned family
  uint64_t at = 0;
  bool reverse = false;
  bool tombstones = false;   // return deletion marks too
  bool all_versions = false; // every version at or before `at`
  bool count_only = false;   // pages without rows: only their number (forward only)
};

class Cursor {
 public:
  Cursor(std::shared_ptr<Store> store, uint32_t family, bool fills_cache = true)
      : versioned_(family == kData), iterator_(std::move(store), family, FreshIterator::Kind::kSpan, fills_cache) {}
  void Start(const SpanOptions& options);
  // Goes on with [from, to) in the state of the store that Start saw (versioned and forward only).
  void Move(const Slice& from, const Slice& to);
  // The first user key that the next page looks at; false at the end (or after an error, which Fill reports).
  bool Position(std::string* user) const;
  // Of the store, when Start saw it.
  uint64_t epoch() const { return iterator_.epoch(); }
  // Fills a page with at most `rows` rows. An empty page without `needed` is the end.
  Status Fill(uint32_t rows, PageOut* page);
  void DropIfStale(uint64_t super_version) { iterator_.DropIfStale(super_version); }

 private:
  void FillPlain(uint32_t rows, PageOut* page);
  void FillForward(uint32_t rows, PageOut* page);
  void FillReverse(uint32_t rows, PageOut* page);
  void Seek(const Slice& user, uint64_t timestamp);
  void SeekForPrev(const Slice& user, uint64_t timestamp);

  bool versioned_;
  FreshIterator iterator_;
  rocksdb::Iterator* it_ = nullptr;
  uint64_t at_ = 0;
  bool reverse_ = false, tombstones_ = false, all_versions_ = false, count_only_ = false;
  std::string from_, to_, user_, seek_;
};

// True when some key in [from, to) has a version newer than `after`. Opens only the files that may hold one.
Status ChangedSince(Store* store, const Slice& from, const Slice& to, uint64_t after, bool* changed);

}  // namespace alopex
