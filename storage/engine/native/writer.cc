#include "writer.h"

#include <cstring>

#include "log_check.h"

namespace alopex {

namespace {
constexpr size_t kGroupBytes = size_t{8} << 20;      // of one write; a larger batch is a group of its own
constexpr size_t kWakeBytes = size_t{256} << 10;     // queued bytes that wake the thread at once
constexpr size_t kKeptCapacity = size_t{4} << 20;    // memory the queue keeps between bursts
}  // namespace

bool Writer::Queue(const Slice& serialized, bool sync, bool has_range_deletes) {
  uint32_t operations;
  memcpy(&operations, serialized.data() + 8, 4);
  const auto size = static_cast<uint32_t>(serialized.size() - kBatchHeaderBytes);
  bool sleeps;
  size_t queued;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
    bytes_.append(serialized.data() + kBatchHeaderBytes, size);
    pending_.push_back({size, operations, sync, has_range_deletes});
    sleeps = !awake_;
    queued = bytes_.size();
  }
  if (sleeps && queued >= kWakeBytes) {
    Wake();
    return false;
  }
  return sleeps;
}

void Writer::Wake() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    awake_ = true;
  }
  wake_.notify_one();
}

void Writer::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    awake_ = true;
    if (stopped_ || !thread_.joinable()) return;
    stopped_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

uint32_t Writer::Take(std::string* group, bool* sync, bool* has_range_deletes) {
  uint32_t batches = 0, operations = 0;
  size_t size = 0;
  for (const Pending& next : pending_) {
    if (batches > 0 && size + next.bytes > kGroupBytes) break;
    batches++;
    size += next.bytes;
    operations += next.operations;
    *sync |= next.sync;
    *has_range_deletes |= next.has_range_deletes;
  }
  group->assign(kBatchHeaderBytes, '\0');
  memcpy(&(*group)[8], &operations, 4);
  group->append(bytes_, 0, size);
  pending_.erase(pending_.begin(), pending_.begin() + batches);
  bytes_.erase(0, size);
  if (bytes_.empty() && bytes_.capacity() > kKeptCapacity) bytes_.shrink_to_fit();
  return batches;
}

void Writer::Run() {
  std::string group;
  for (;;) {
    bool sync = false, has_range_deletes = false;
    uint32_t batches;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (pending_.empty() && !stop_) awake_ = false;
      wake_.wait(lock, [this] { return awake_; });
      if (pending_.empty()) {
        if (stop_) return;
        continue;
      }
      batches = Take(&group, &sync, &has_range_deletes);
    }
    const Status status = store_->WriteGroup(&group, sync, has_range_deletes);
    done_(batches, status);
    group.clear();
  }
}

}  // namespace alopex
