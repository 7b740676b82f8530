// What each data file remembers of itself: the newest timestamp in it, so that "did anything change after t?" opens only
// the files that can hold an answer, and a user key every 128 KiB, where a large scan may be cut into pieces (ahead.h).
#pragma once
#include <rocksdb/table_properties.h>

#include <algorithm>
#include <string>
#include <vector>

#include "keys.h"

namespace alopex {

constexpr char kNewestVersionProperty[] = "alopex.newest";
constexpr char kCutsProperty[] = "alopex.cuts";  // u8 length and key, one after the other
constexpr size_t kCutBytes = size_t{128} << 10;  // of keys and values between two cuts
constexpr size_t kCutKeyBytes = 64;              // a longer key is cut off: any string may part two keys

class NewestVersionCollector final : public rocksdb::TablePropertiesCollector {
 public:
  const char* Name() const override { return "alopex.newest.1"; }
  rocksdb::Status AddUserKey(const Slice& key, const Slice& value, rocksdb::EntryType type, rocksdb::SequenceNumber,
                             uint64_t) override {
    // A range deletion may cover versions of any time: the file counts as the newest there is.
    newest_ = type == rocksdb::kEntryRangeDeletion ? kNewest : std::max(newest_, TimestampOf(key));
    bytes_ += key.size() + value.size();
    if (bytes_ >= kCutBytes && type != rocksdb::kEntryRangeDeletion) {
      bytes_ = 0;
      const Slice user = UserKey(key);
      const size_t size = std::min(user.size(), kCutKeyBytes);
      cuts_ += static_cast<char>(size);
      cuts_.append(user.data(), size);
    }
    return rocksdb::Status::OK();
  }
  rocksdb::Status Finish(rocksdb::UserCollectedProperties* properties) override {
    (*properties)[kNewestVersionProperty] = std::string(reinterpret_cast<const char*>(&newest_), sizeof newest_);
    if (!cuts_.empty()) (*properties)[kCutsProperty] = cuts_;
    return rocksdb::Status::OK();
  }
  rocksdb::UserCollectedProperties GetReadableProperties() const override {
    return {{kNewestVersionProperty, std::to_string(newest_)}};
  }

 private:
  uint64_t newest_ = 0;
  size_t bytes_ = 0;
  std::string cuts_;
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

// Appends the file's cuts that lie between two user keys.
inline void AddCuts(const rocksdb::TableProperties& file, const Slice& from, const Slice& to,
                    std::vector<std::string>* cuts) {
  const auto found = file.user_collected_properties.find(kCutsProperty);
  if (found == file.user_collected_properties.end()) return;
  const std::string& packed = found->second;
  for (size_t at = 0; at < packed.size();) {
    const Slice key(packed.data() + at + 1, static_cast<unsigned char>(packed[at]));
    at += 1 + key.size();
    if (at > packed.size()) return;
    if (key.compare(from) > 0 && key.compare(to) < 0) cuts->push_back(key.ToString());
  }
}

}  // namespace alopex
