// How a versioned key looks in the store, and in which order RocksDB keeps it.
//
//     stored key = user key | 8 bytes: ~timestamp, big-endian
//
// The order is that of the user keys as byte strings and, within one user key, newest version first. The user key
// and the suffix are compared apart, so that a key which is the beginning of another one ("a", "ab") keeps all of
// its versions together. The suffix of zeros sorts before every version of its key, so "user key + zeros" is where
// a span begins or ends.
#pragma once
#include <rocksdb/comparator.h>
#include <rocksdb/slice.h>
#include <rocksdb/slice_transform.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

namespace alopex {

using rocksdb::Slice;

constexpr size_t kSuffixBytes = 8;
constexpr uint64_t kNewest = ~uint64_t{0};  // its suffix is all zeros: before every real version
constexpr uint64_t kOldest = 0;             // its suffix is all ones

inline Slice UserKey(const Slice& stored) {
  return Slice(stored.data(), stored.size() < kSuffixBytes ? 0 : stored.size() - kSuffixBytes);
}

inline uint64_t LoadBigEndian(const char* p) {
  uint64_t x;
  memcpy(&x, p, 8);
  return __builtin_bswap64(x);
}

inline uint64_t TimestampOf(const Slice& stored) {
  return ~LoadBigEndian(stored.data() + stored.size() - kSuffixBytes);
}

inline void StoreSuffix(char* p, uint64_t timestamp) {
  uint64_t x = __builtin_bswap64(~timestamp);
  memcpy(p, &x, 8);
}

inline void SetStoredKey(std::string* to, const Slice& user, uint64_t timestamp) {
  char suffix[kSuffixBytes];
  StoreSuffix(suffix, timestamp);
  to->assign(user.data(), user.size());
  to->append(suffix, kSuffixBytes);
}

inline uint64_t LoadBytes(const char* p) {
  uint64_t x;
  memcpy(&x, p, 8);
  return x;
}

// Keys are short and mostly alike at their beginning: eight bytes at a time in place of a call.
inline int CompareBytes(const char* a, const char* b, size_t size) {
  for (; size >= 8; a += 8, b += 8, size -= 8) {
    const uint64_t x = LoadBytes(a), y = LoadBytes(b);
    if (x != y) return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
  }
  for (; size > 0; a++, b++, size--) {
    if (*a != *b) return static_cast<unsigned char>(*a) < static_cast<unsigned char>(*b) ? -1 : 1;
  }
  return 0;
}

// Whether two user keys are one. Neighbours differ at their end, so that is where the look begins.
inline bool IsSameKey(const Slice& a, const Slice& b) {
  const size_t size = a.size();
  if (size != b.size()) return false;
  if (size >= 8 && LoadBytes(a.data() + size - 8) != LoadBytes(b.data() + size - 8)) return false;
  return CompareBytes(a.data(), b.data(), size) == 0;
}

class VersionedComparator final : public rocksdb::Comparator {
 public:
  const char* Name() const override { return "alopex.versioned.1"; }

  int Compare(const Slice& a, const Slice& b) const override {
    const Slice ua = UserKey(a), ub = UserKey(b);
    const int order = CompareBytes(ua.data(), ub.data(), std::min(ua.size(), ub.size()));
    if (order != 0) return order;
    if (ua.size() != ub.size()) return ua.size() < ub.size() ? -1 : 1;
    if (a.size() < kSuffixBytes || b.size() < kSuffixBytes) {  // bare prefixes, compared by RocksDB itself
      return a.compare(b);
    }
    const uint64_t sa = LoadBigEndian(a.data() + ua.size()), sb = LoadBigEndian(b.data() + ub.size());
    return sa < sb ? -1 : sa > sb ? 1 : 0;
  }

  // Timestamps in RocksDB's own sense are not used.
  int CompareWithoutTimestamp(const Slice& a, bool, const Slice& b, bool) const override { return Compare(a, b); }
  bool Equal(const Slice& a, const Slice& b) const override { return IsSameKey(a, b); }
  bool CanKeysWithDifferentByteContentsBeEqual() const override { return false; }

  // Index blocks hold separators instead of whole keys: the shortest user key between the two, before all of its
  // versions.
  void FindShortestSeparator(std::string* start, const Slice& limit) const override {
    const Slice us = UserKey(*start), ul = UserKey(limit);
    const size_t common = std::min(us.size(), ul.size());
    size_t i = 0;
    while (i < common && us[i] == ul[i]) i++;
    if (i == common || i + 1 >= us.size()) return;
    const auto byte = static_cast<unsigned char>(us[i]);
    if (byte == 0xff || byte + 1 >= static_cast<unsigned char>(ul[i])) return;
    start->resize(i + 1);
    (*start)[i] = static_cast<char>(byte + 1);
    start->append(kSuffixBytes, '\0');
  }
  void FindShortSuccessor(std::string*) const override {}
};

// What the bloom filters hold: one entry for a user key, whatever the number of its versions.
class UserKeyTransform final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "alopex.userkey.1"; }
  Slice Transform(const Slice& stored) const override { return UserKey(stored); }
  bool InDomain(const Slice& stored) const override { return stored.size() >= kSuffixBytes; }
};

}  // namespace alopex
