#include "store.h"

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "block_memory.h"
#include "history.h"
#include "keys.h"
#include "log_check.h"

namespace alopex {

namespace {

constexpr size_t kSmallWriteBuffer = size_t{8} << 20;  // for the families with few and small entries
constexpr uint64_t kLogBytesMax = uint64_t{256} << 20; // write-ahead log kept before the oldest memtable is flushed

// Large buffers (a transaction's writes, memtables) come from the system and go back to it at once. Left alone, glibc
// raises the size from which it does so with the first that is freed, and a load leaves its memory in the heap for good.
constexpr int kMappedBytes = 256 << 10;
void SettleMalloc() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
  mallopt(M_TRIM_THRESHOLD, 4 * kMappedBytes);
#endif
}

// Stateless and needed until the last background thread is gone, so never freed.
const VersionedComparator* Order() {
  static const auto* order = new VersionedComparator;
  return order;
}

std::mutex open_mutex;
std::map<std::string, std::weak_ptr<Store>>& OpenStores() {
  static auto* stores = new std::map<std::string, std::weak_ptr<Store>>;
  return *stores;
}

Status Errno(const std::string& what) {
  const std::string text = strerror(errno);
  return errno == ENOSPC ? Status::NoSpace(what, text) : Status::IOError(what, text);
}

Status SyncFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0) return Errno(path);
  Status status = fsync(fd) == 0 ? Status::OK() : Errno(path);
  close(fd);
  return status;
}

// Copies the first `bytes` of a file and makes the copy durable.
Status CopyFile(const std::string& from, const std::string& to, uint64_t bytes) {
  const int in = open(from.c_str(), O_RDONLY);
  if (in < 0) return Errno(from);
  const int out = open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (out < 0) {
    close(in);
    return Errno(to);
  }
  Status status;
  std::string buffer(1 << 16, '\0');
  while (bytes > 0) {
    const ssize_t got = read(in, &buffer[0], std::min<uint64_t>(buffer.size(), bytes));
    if (got < 0) status = Errno(from);
    if (got <= 0) break;
    for (ssize_t done = 0; done < got && status.ok();) {
      const ssize_t put = write(out, buffer.data() + done, got - done);
      if (put < 0) status = Errno(to);
      done += std::max<ssize_t>(put, 0);
    }
    if (!status.ok()) break;
    bytes -= got;
  }
  if (status.ok() && fsync(out) != 0) status = Errno(to);
  close(in);
  close(out);
  return status;
}

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

rocksdb::ColumnFamilyOptions FamilyOptions(const OpenOptions& options, const std::shared_ptr<rocksdb::Cache>& cache,
                                           uint32_t id) {
  rocksdb::ColumnFamilyOptions family;
  family.write_buffer_size = id == kState || id == kLocal ? kSmallWriteBuffer : options.write_buffer_bytes;
  family.max_write_buffer_number = 3;
  family.compression = rocksdb::kNoCompression;
  family.level_compaction_dynamic_level_bytes = true;

  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 8 << 10;
  table.format_version = 5;
  table.checksum = rocksdb::kxxHash64;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  if (id == kData) {
    family.comparator = Order();
    family.prefix_extractor = std::make_shared<UserKeyTransform>();
    family.memtable_prefix_bloom_size_ratio = 0.02;
    family.table_properties_collector_factories.push_back(std::make_shared<NewestVersionCollectorFactory>());
    table.whole_key_filtering = false;
  }
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return family;
}

}  // namespace

// A memtable that is sealed begins a new log file. The next group is then synced whatever was asked, so that the end
// of the old log can never be lost while the new one survives.
class Store::Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(std::shared_ptr<std::atomic<bool>> switched) : switched_(std::move(switched)) {}
  void OnMemTableSealed(const rocksdb::MemTableInfo&) override { switched_->store(true); }

 private:
  std::shared_ptr<std::atomic<bool>> switched_;
};

class Store::EpochChange {
 public:
  EpochChange(Store* store, bool needed) : store_(needed ? store : nullptr) { Step(); }
  ~EpochChange() { Step(); }

 private:
  void Step() {
    if (store_) store_->epoch_.fetch_add(1, std::memory_order_release);
  }
  Store* store_;
};

Status Store::Open(const OpenOptions& options, std::shared_ptr<Store>* store) {
  std::lock_guard<std::mutex> lock(open_mutex);
  auto& slot = OpenStores()[options.path];
  *store = slot.lock();
  if (*store) return Status::OK();
  SettleMalloc();
  std::shared_ptr<Store> opened(new Store(options));
  Status status = opened->OpenDatabase();
  if (!status.ok()) return status;
  slot = opened;
  *store = opened;
  return Status::OK();
}

Status Store::OpenDatabase() {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = true;
  db.paranoid_checks = true;
  db.max_background_jobs = 2;
  db.max_open_files = -1;
  db.max_total_wal_size = kLogBytesMax;
  db.bytes_per_sync = 1 << 20;
  db.allow_concurrent_memtable_write = false;  // there is one writer: see WriteGroup
  db.enable_write_thread_adaptive_yield = false;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.info_log_level = rocksdb::WARN_LEVEL;
  db.max_log_file_size = 1 << 20;
  db.keep_log_file_num = 2;
  db.listeners.push_back(std::make_shared<Listener>(log_switched_));

  cache_ = rocksdb::NewLRUCache(options_.cache_bytes, -1, false, 0.5, std::make_shared<BlockMemory>());
  const char* names[kFamilies] = {"default", "raft", "state", "local"};
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (uint32_t id = 0; id < kFamilies; id++) families.emplace_back(names[id], FamilyOptions(options_, cache_, id));
  data_options_ = rocksdb::Options(db, families[kData].options);

  // A whole log opens at once. A log with a bad record opens only when nothing in it says that an fsync covered the
  // bad place: then it is the torn end of a crash, and everything before it is kept. Else acknowledged writes would
  // be lost without a word.
  if (LogHidesRecords(options_.path) && !LogEndIsTorn(options_.path)) {
    return Status::Corruption("a record of the log is damaged, and records behind it were durable");
  }
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
  Status status = rocksdb::DB::Open(db, options_.path, families, &families_, &db_);
  if (status.IsCorruption() && LogEndIsTorn(options_.path)) {
    db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    status = rocksdb::DB::Open(db, options_.path, families, &families_, &db_);
  }
  if (!status.ok()) {
    db_ = nullptr;
    return status;
  }
  // Batches name a family by number and travel between nodes, so the numbers must be the same everywhere.
  for (uint32_t id = 0; id < kFamilies; id++) {
    if (families_[id]->GetID() == id) continue;
    return Status::Corruption("column family " + std::string(names[id]) + " has another number");
  }
  // The headers this file was compiled with and the library it runs with must agree on the options' layout.
  const rocksdb::Options seen = db_->GetOptions(families_[kData]);
  if (seen.comparator != Order() || seen.write_buffer_size != options_.write_buffer_bytes || !seen.paranoid_checks ||
      seen.max_total_wal_size != kLogBytesMax || seen.max_background_jobs != 2) {
    return Status::InvalidArgument("RocksDB's headers and library do not agree: rebuild the native engine");
  }
  // The files of loads that a crash interrupted.
  std::vector<std::string> children;
  db_->GetEnv()->GetChildren(options_.path, &children);
  for (const std::string& child : children) {
    if (EndsWith(child, ".ingest")) unlink((options_.path + "/" + child).c_str());
  }
  return Status::OK();
}

Store::~Store() {
  for (auto* family : families_) {
    if (db_) db_->DestroyColumnFamilyHandle(family);
  }
  if (db_) {
    db_->FlushWAL(true);
    db_->Close();
    delete db_;
  }
}

Status Store::WriteGroup(std::string* serialized, bool sync, bool has_range_deletes) {
  std::lock_guard<std::mutex> lock(gate_);
  if (!failure_.ok()) return failure_;
  if (log_switched_->exchange(false)) sync = true;
  if (options_.no_sync) sync = false;
  // "All before me was synced": proof, for the next opening, that a bad record before this one is damage.
  if (all_synced_ && !options_.no_sync) serialized->insert(kBatchHeaderBytes, kSyncedMark, sizeof kSyncedMark - 1);
  rocksdb::WriteBatch batch(std::move(*serialized));
  rocksdb::WriteOptions write;
  write.sync = sync;
  EpochChange change(this, has_range_deletes);
  Status status = db_->Write(write, &batch);
  if (!status.ok()) {
    failure_ = status;
    return status;
  }
  all_synced_ = sync;
  return status;
}

// Live files as hard links, the small ones as copies. Memtables are flushed while no group is written, so that all
// families end at the same write and no log has to be copied.
Status Store::Checkpoint(const std::string& to) {
  Status status = Flush();  // most of the work, with writers running
  if (!status.ok()) return status;
  if (mkdir(to.c_str(), 0755) != 0) return Errno(to);
  std::vector<std::string> files;
  uint64_t manifest_bytes = 0;
  status = db_->DisableFileDeletions();
  if (!status.ok()) return status;
  {
    std::lock_guard<std::mutex> lock(gate_);
    status = db_->GetLiveFiles(files, &manifest_bytes, true);
  }
  for (const std::string& file : files) {
    if (!status.ok()) break;
    const std::string source = path() + file, target = to + file;
    if (EndsWith(file, ".sst")) {
      if (link(source.c_str(), target.c_str()) == 0) continue;
      status = errno == EXDEV ? CopyFile(source, target, UINT64_MAX) : Errno(target);
    } else {
      status = CopyFile(source, target, file.find("MANIFEST") == std::string::npos ? UINT64_MAX : manifest_bytes);
    }
  }
  db_->EnableFileDeletions(false);
  return status.ok() ? SyncFolder(to) : status;
}

Status Store::Ingest(const std::vector<std::string>& files) {
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  options.write_global_seqno = false;
  std::lock_guard<std::mutex> lock(gate_);
  if (!failure_.ok()) return failure_;
  EpochChange change(this, true);
  return db_->IngestExternalFile(families_[kData], files, options);
}

void Store::ReturnMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

Status Store::Flush() { return db_->Flush(rocksdb::FlushOptions(), families_); }

Status Store::Compact() {
  Status status = Flush();
  for (auto* family : families_) {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    if (status.ok()) status = db_->CompactRange(options, family, nullptr, nullptr);
  }
  return status;
}

std::string Store::ScratchFile() {
  return path() + "/" + std::to_string(getpid()) + "-" + std::to_string(scratch_files_.fetch_add(1)) + ".ingest";
}

}  // namespace alopex
