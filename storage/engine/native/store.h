// One open RocksDB folder. Shared by every JavaScript thread of the process that opens the same path.
//
// Fail-stop: after one failed write nothing is ever acknowledged again (`failure`), because what a failed fsync left
// on disk is unknown; the folder has to be opened anew.
#pragma once
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace alopex {

using rocksdb::Slice;
using rocksdb::Status;

enum Family : uint32_t { kData = 0, kRaft = 1, kState = 2, kLocal = 3, kFamilies = 4 };

struct OpenOptions {
  std::string path;
  size_t cache_bytes = size_t{128} << 20;
  size_t write_buffer_bytes = size_t{64} << 20;
  bool no_sync = false;  // control runs of the crash tests only
};

class Store {
 public:
  // The store that is open already in this process under the same path, or a new one.
  static Status Open(const OpenOptions& options, std::shared_ptr<Store>* store);
  ~Store();

  rocksdb::DB* db() const { return db_; }
  rocksdb::ColumnFamilyHandle* family(uint32_t id) const { return families_[id]; }
  const rocksdb::Options& data_options() const { return data_options_; }
  const std::string& path() const { return options_.path; }

  // Whether blocks can be added to the cache without driving out others.
  bool CacheHasRoom() const { return cache_->GetUsage() < cache_->GetCapacity() / 10 * 9; }

  // Writes one group (a serialized WriteBatch). `sync`: returns after an fsync that covers it and all before it.
  Status WriteGroup(std::string* serialized, bool sync, bool has_range_deletes);

  // Counts what an iterator cannot notice by the sequence number: range deletions and ingested files. Odd while one
  // of them is under way: then no kept iterator may be used.
  uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }

  Status Checkpoint(const std::string& to);
  Status Ingest(const std::vector<std::string>& files);
  // Free pages of the heap go back to the system: after a load, which leaves many.
  static void ReturnMemory();
  Status Flush();
  Status Compact();
  std::string ScratchFile();

 private:
  class Listener;
  explicit Store(OpenOptions options) : options_(std::move(options)) {}
  Status OpenDatabase();
  class EpochChange;

  OpenOptions options_;
  rocksdb::Options data_options_;
  std::shared_ptr<rocksdb::Cache> cache_;
  rocksdb::DB* db_ = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;

  std::mutex gate_;        // one group at a time; also held while a checkpoint picks its files
  Status failure_;         // guarded by gate_: the first failed write
  bool all_synced_ = true; // guarded by gate_: an fsync covers everything written so far
  std::shared_ptr<std::atomic<bool>> log_switched_ = std::make_shared<std::atomic<bool>>(false);
  std::atomic<uint64_t> epoch_{0};
  std::atomic<uint64_t> scratch_files_{0};
};

}  // namespace alopex
