// Is a bad record in the write-ahead log the torn end of a crash, or damage in the middle?
#pragma once
#include <cstddef>
#include <string>

namespace alopex {

constexpr size_t kBatchHeaderBytes = 12;  // of a serialized WriteBatch: u64 sequence, u32 count
// A log-data record (tag 3, length 1) at the head of a group: an fsync covered everything written before it.
constexpr char kSyncedMark[] = "\x03\x01S";

// True when the logs in `folder` hold a bad record and nothing after it proves that it had been synced.
bool LogEndIsTorn(const std::string& folder);

}  // namespace alopex
