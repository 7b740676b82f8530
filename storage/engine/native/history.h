// Each data file remembers the newest timestamp in it, so that "did anything change after t?" opens only the files
// that can hold an answer.
#pragma once
#include <rocksdb/table_properties.h>

#include <algorithm>
#include <string>

#include "keys.h"

namespace alopex {

constexpr char kNewestVersionProperty[] = "alopex.newest";

class NewestVersionCollector final : public rocksdb::TablePropertiesCollector {
 public:
  const char* Name() const override { return "alopex.newest.1"; }
  rocksdb::Status AddUserKey(const Slice& key, const Slice&, rocksdb::EntryType type, rocksdb::SequenceNumber,
                             uint64_t) override {
    // A range deletion may cover versions of any time: the file counts as the newest there is.
    newest_ = type == rocksdb::kEntryRangeDeletion ? kNewest : std::max(newest_, TimestampOf(key));
    return rocksdb::Status::OK();
  }
  rocksdb::Status Finish(rocksdb::UserCollectedProperties* properties) override {
    (*properties)[kNewestVersionProperty] = std::string(reinterpret_cast<const char*>(&newest_), sizeof newest_);
    return rocksdb::Status::OK();
  }
  rocksdb::UserCollectedProperties GetReadableProperties() const override {
    return {{kNewestVersionProperty, std::to_string(newest_)}};
  }

 private:
  uint64_t newest_ = 0;
};

class NewestVersionCollectorFactory final : public rocksdb::TablePropertiesCollectorFactory {
 public:
  const char* Name() const override { return "alopex.newest.1"; }
  rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(Context) override {
    return new NewestVersionCollector;
  }
};

// False only for a file whose every version is at or before `after`.
inline bool MayHoldNewer(const rocksdb::TableProperties& file, uint64_t after) {
  const auto found = file.user_collected_properties.find(kNewestVersionProperty);
  if (found == file.user_collected_properties.end() || found->second.size() != sizeof(uint64_t)) return true;
  uint64_t newest;
  memcpy(&newest, found->second.data(), sizeof newest);
  return newest > after;
}

}  // namespace alopex
