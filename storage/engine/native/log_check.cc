// RocksDB's log is a sequence of 32 KiB blocks of records: u32 masked crc32c, u16 length, u8 type, payload; a record
// that does not fit goes on in the next block (types FIRST, MIDDLE, LAST; FULL when it fits). Behind a bad record, whose
// length is no guide, groups are looked for by their "synced" mark, in its block byte by byte. The mark says that all
// before it was durable once, so the bad place is damage, not a torn end. Nothing is repaired.
#include "log_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace alopex {

namespace {

constexpr size_t kBlock = 32768, kHeader = 7;
enum RecordType : uint8_t { kZero = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4, kReusedFull = 5, kReusedLast = 8 };

uint32_t Crc32c(const char* data, size_t size) {
  static const auto table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int k = 0; k < 8; k++) c = c & 1 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
      t[i] = c;
    }
    return t;
  }();
  uint32_t crc = ~0u;
  for (size_t i = 0; i < size; i++) crc = table[(crc ^ static_cast<uint8_t>(data[i])) & 0xff] ^ (crc >> 8);
  return ~crc;
}

uint32_t Masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

bool ReadWhole(const std::string& path, std::string* bytes) {
  FILE* file = fopen(path.c_str(), "rb");
  if (!file) return false;
  char buffer[1 << 16];
  size_t n;
  while ((n = fread(buffer, 1, sizeof buffer, file)) > 0) bytes->append(buffer, n);
  const bool ok = !ferror(file);
  fclose(file);
  return ok;
}

struct Record {
  uint8_t type;
  uint16_t length;
  bool prepared;  // room that was made and not written
  bool good;      // it is whole, and what was written

  // Of the header at `at` and what follows it before `end`.
  Record(const std::string& log, size_t at, size_t end) {
    const char* p = log.data() + at;
    uint32_t crc;
    memcpy(&crc, p, 4);
    memcpy(&length, p + 4, 2);
    type = static_cast<uint8_t>(p[6]);
    prepared = type == kZero && length == 0 && crc == 0;
    good = type <= kLast && at + kHeader + length <= end && Masked(Crc32c(p + 6, length + 1u)) == crc;
  }
};

// Whether a good record at `at` begins a group with the mark.
bool IsMarked(const std::string& log, size_t at, const Record& record) {
  return (record.type == kFull || record.type == kFirst) &&
         record.length >= kBatchHeaderBytes + sizeof kSyncedMark - 1 &&
         memcmp(log.data() + at + kHeader + kBatchHeaderBytes, kSyncedMark, sizeof kSyncedMark - 1) == 0;
}

// Whether a marked group begins somewhere in [from, end) of a block.
bool MarkWithin(const std::string& log, size_t from, size_t end) {
  constexpr size_t kToMark = kHeader + kBatchHeaderBytes;
  for (size_t found = from + kToMark; (found = log.find(kSyncedMark, found)) < end; found++) {
    const size_t at = found - kToMark;
    const Record record(log, at, end);
    if (record.good && IsMarked(log, at, record)) return true;
  }
  return false;
}

// Walks one log; `*bad` is set at the first bad record of all logs; true when a mark follows it.
bool MarkFollowsDamage(const std::string& log, bool* bad) {
  bool inside = false;  // between FIRST and LAST
  for (size_t block = 0; block < log.size(); block += kBlock) {
    const size_t end = std::min(block + kBlock, log.size());
    size_t at = block;
    while (at + kHeader <= end) {
      const Record record(log, at, end);
      if (record.prepared) break;
      if (!record.good) {
        *bad = true;
        if (MarkWithin(log, at + 1, end)) return true;
        break;
      }
      if (*bad && IsMarked(log, at, record)) return true;
      if ((record.type == kMiddle || record.type == kLast) != inside) *bad = true;
      inside = record.type == kFirst || record.type == kMiddle;
      at += kHeader + record.length;
    }
    if (at < end && at + kHeader > end && end == log.size() && end - block != kBlock) *bad = true;  // a header cut short
  }
  if (inside) *bad = true;
  return false;
}

// In the order in which they were written.
std::vector<std::string> LogsOf(const std::string& folder) {
  std::vector<std::string> logs;  // six digits and more: sorted by length, then by text
  if (DIR* dir = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(dir)) {
      const std::string name = entry->d_name;
      if (name.size() > 4 && name.compare(name.size() - 4, 4, ".log") == 0) logs.push_back(folder + "/" + name);
    }
    closedir(dir);
  }
  std::sort(logs.begin(), logs.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return logs;
}

bool HidesRecords(const char* log, size_t size) {
  for (size_t block = 0; block < size; block += kBlock) {
    const size_t end = std::min(block + kBlock, size);
    for (size_t at = block; at + kHeader <= end;) {
      uint16_t length;
      memcpy(&length, log + at + 4, 2);
      const auto type = static_cast<uint8_t>(log[at + 6]);
      if (type >= kReusedFull && type <= kReusedLast) return true;
      if (type == kZero && length == 0) break;
      at += kHeader + length;
    }
  }
  return false;
}

}  // namespace

bool LogHidesRecords(const std::string& folder) {
  for (const std::string& name : LogsOf(folder)) {
    const int fd = open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;  // RocksDB reads it next and says why
    struct stat about;
    bool hides = fstat(fd, &about) != 0;
    if (!hides && about.st_size > 0) {
      const auto size = static_cast<size_t>(about.st_size);
      void* log = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
      hides = log == MAP_FAILED || HidesRecords(static_cast<const char*>(log), size);
      if (log != MAP_FAILED) munmap(log, size);
    }
    close(fd);
    if (hides) return true;
  }
  return false;
}

bool LogEndIsTorn(const std::string& folder) {
  bool bad = false;
  for (const std::string& name : LogsOf(folder)) {
    std::string bytes;
    if (!ReadWhole(name, &bytes)) return false;
    if (MarkFollowsDamage(bytes, &bad)) return false;
  }
  return bad;
}

}  // namespace alopex
