// RocksDB's log is a sequence of 32 KiB blocks of records: u32 masked crc32c, u16 length, u8 type, payload; a record
// that does not fit goes on in the next block (types FIRST, MIDDLE, LAST; FULL when it fits). After a bad record the
// scan goes on behind it, or at the next block when its length is no guide. It never repairs anything: it looks for
// groups with the "synced" mark behind the first bad place. The mark says that all before it was durable once, so the
// bad place is damage, not a torn end.
#include "log_check.h"

#include <dirent.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace alopex {

namespace {

constexpr size_t kBlock = 32768, kHeader = 7;
enum RecordType : uint8_t { kZero = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

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

// Walks one log; `*bad` is set at the first bad record of all logs; true when a mark follows it.
bool MarkFollowsDamage(const std::string& log, bool* bad) {
  bool inside = false;  // between FIRST and LAST
  for (size_t block = 0; block < log.size(); block += kBlock) {
    const size_t end = std::min(block + kBlock, log.size());
    size_t at = block;
    while (at + kHeader <= end) {
      const char* p = log.data() + at;
      uint32_t crc;
      uint16_t length;
      memcpy(&crc, p, 4);
      memcpy(&length, p + 4, 2);
      const uint8_t type = p[6];
      if (type == kZero && length == 0 && crc == 0) break;  // room that was prepared and not written
      if (type > kLast || at + kHeader + length > end) {
        *bad = true;
        break;
      }
      if (Masked(Crc32c(p + 6, length + 1u)) != crc) {  // if its length is right, the next record can be found
        *bad = true;
        at += kHeader + length;
        continue;
      }
      const bool marked = (type == kFull || type == kFirst) && length >= kBatchHeaderBytes + sizeof kSyncedMark - 1 &&
                          memcmp(p + kHeader + kBatchHeaderBytes, kSyncedMark, sizeof kSyncedMark - 1) == 0;
      if (*bad && marked) return true;
      if ((type == kMiddle || type == kLast) != inside) *bad = true;
      inside = type == kFirst || type == kMiddle;
      at += kHeader + length;
    }
    if (at < end && at + kHeader > end && end == log.size() && end - block != kBlock) *bad = true;  // a header cut short
  }
  if (inside) *bad = true;
  return false;
}

}  // namespace

bool LogEndIsTorn(const std::string& folder) {
  std::vector<std::string> logs;  // six digits and more: sorted by length, then by text
  if (DIR* dir = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(dir)) {
      const std::string name = entry->d_name;
      if (name.size() > 4 && name.compare(name.size() - 4, 4, ".log") == 0) logs.push_back(name);
    }
    closedir(dir);
  }
  std::sort(logs.begin(), logs.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  bool bad = false;
  for (const std::string& name : logs) {
    std::string bytes;
    if (!ReadWhole(folder + "/" + name, &bytes)) return false;
    if (MarkFollowsDamage(bytes, &bad)) return false;
  }
  return bad;
}

}  // namespace alopex
