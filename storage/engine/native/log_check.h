// Is a bad record in the write-ahead log the torn end of a crash, or damage in the middle?
#pragma once
#include <cstddef>
#include <string>

namespace alopex {

constexpr size_t kBatchHeaderBytes = 12;  // of a serialized WriteBatch: u64 sequence, u32 count
// A log-data record (tag 3, length 1) at the head of a group: an fsync covered everything written before it.
constexpr char kSyncedMark[] = "\x03\x01S";

// True when a record in the logs has a type of reused log files. There are none here, so a bit of it has turned; RocksDB
// takes it for the end of the log and says nothing. Looks at headers alone: a log is read in tens of milliseconds.
bool LogHidesRecords(const std::string& folder);

// True when the logs in `folder` hold a bad record and nothing after it proves that it had been synced.
bool LogEndIsTorn(const std::string& folder);

}  // namespace alopex
