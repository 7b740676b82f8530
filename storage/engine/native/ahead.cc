#include "ahead.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "history.h"

namespace alopex {

namespace {

constexpr size_t kWindow = 8;         // pieces read before the caller has come to them; memory is bounded by it
constexpr size_t kWindowCounted = 64; // of counts, which take none
constexpr size_t kPiecesMin = 4;      // fewer are not worth a thread
constexpr size_t kPieceCapacity = kPageBytes + (size_t{64} << 10);
constexpr uint32_t kLookRows = 256;   // rows between two looks whether to stop

// Threads that read ahead, of all scans in the process: one core is the caller's.
const int kHelpersMax = std::min(3, static_cast<int>(std::thread::hardware_concurrency()) - 1);
std::atomic<int> helpers_at_work{0};

bool TakeHelper() {
  if (helpers_at_work.fetch_add(1) < kHelpersMax) return true;
  helpers_at_work.fetch_sub(1);
  return false;
}

}  // namespace

std::unique_ptr<AheadScan> AheadScan::Begin(const std::shared_ptr<Store>& store, Cursor* cursor,
                                            const SpanOptions& span, const std::string& to) {
  std::string position;
  if (!cursor->Position(&position) || !TakeHelper()) return nullptr;
  std::unique_ptr<AheadScan> scan(new AheadScan(cursor, span.count_only, to));
  int helpers = 1;
  while (TakeHelper()) helpers++;
  const auto give_back = [&helpers](int kept) {
    helpers_at_work.fetch_sub(helpers - kept);
    helpers = kept;
  };

  std::string lower, upper;
  SetStoredKey(&lower, position, kNewest);
  SetStoredKey(&upper, to, kNewest);
  const rocksdb::Range range(lower, upper);
  rocksdb::TablePropertiesCollection files;
  std::vector<std::string> cuts;
  if (store->db()->GetPropertiesOfTablesInRange(store->family(kData), &range, 1, &files).ok()) {
    for (const auto& file : files) AddCuts(*file.second, position, to, &cuts);
  }
  if (cuts.size() < kPiecesMin) {
    give_back(0);
    return nullptr;
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());

  // Once the cache is full, what helpers read does not drive out what is there: a scan larger than the cache would else
  // find nothing of itself the next time. What the caller reads does, so that the cache follows what is in use.
  const bool fills_cache = store->CacheHasRoom();
  for (int i = 0; i < helpers; i++) {
    scan->cursors_.emplace_back(new Cursor(store, kData, fills_cache));
    SpanOptions rest = span;
    rest.from = position;
    rest.to = to;
    scan->cursors_.back()->Start(rest);
  }
  if (cursor->epoch() % 2 != 0 || cursor->epoch() != store->epoch()) {
    give_back(0);  // files came or went since the scan began
    return nullptr;
  }
  scan->pieces_.resize(cuts.size() + 1);
  scan->pieces_[0].from = position;
  for (size_t i = 0; i < cuts.size(); i++) scan->pieces_[i + 1].from = std::move(cuts[i]);
  try {
    for (auto& each : scan->cursors_) {
      Cursor* helper = each.get();
      scan->helpers_.emplace_back([pointer = scan.get(), helper] { pointer->Help(helper); });
    }
  } catch (const std::system_error&) {  // no more threads: the caller reads alone
    give_back(static_cast<int>(scan->helpers_.size()));
  }
  return scan;
}

AheadScan::~AheadScan() {
  hurry_.store(true, std::memory_order_relaxed);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  room_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
  helpers_at_work.fetch_sub(static_cast<int>(helpers_.size()));
  for (Piece& piece : pieces_) free(piece.rows);
  for (char* buffer : spare_) free(buffer);
}

size_t AheadScan::TakeFree() {
  const size_t end = std::min(pieces_.size(), next_ + (count_only_ ? kWindowCounted : kWindow));
  for (free_ = std::max(free_, next_); free_ < end; free_++) {
    if (pieces_[free_].state != State::kFree) continue;
    pieces_[free_].state = State::kTaken;
    if (!count_only_) {
      if (spare_.empty()) {
        pieces_[free_].rows = static_cast<char*>(malloc(kPieceCapacity));
      } else {
        pieces_[free_].rows = spare_.back();
        spare_.pop_back();
      }
    }
    return free_++;
  }
  return pieces_.size();
}

void AheadScan::Help(Cursor* cursor) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_) {
    const size_t taken = TakeFree();
    if (taken == pieces_.size()) {
      if (free_ == pieces_.size()) return;
      room_.wait(lock);
      continue;
    }
    lock.unlock();
    Read(cursor, taken);
    lock.lock();
    pieces_[taken].state = State::kDone;
    if (taken == next_) done_.notify_one();
    if (!pieces_[taken].status.ok()) return;  // its iterator is of no use any more
  }
}

void AheadScan::Read(Cursor* cursor, size_t number) {
  Piece& piece = pieces_[number];
  PageOut page{piece.rows, count_only_ ? 0 : kPieceCapacity};
  cursor->Move(piece.from, EndOf(number));
  for (;;) {
    const uint32_t before = page.count;
    piece.status = cursor->Fill(before + kLookRows, &page);
    if (!piece.status.ok() || !cursor->Position(&piece.rest)) break;
    piece.has_rest = page.bytes >= kPageBytes || page.count == before || hurry_.load(std::memory_order_relaxed);
    if (piece.has_rest) break;
  }
  piece.bytes = page.bytes;
  piece.count = page.count;
}

void AheadScan::Hand(Piece* piece, uint32_t rows, PageOut* page) {
  if (count_only_) {
    page->count += piece->count;
    piece->count = 0;
    return;
  }
  const char* p = piece->rows + handed_;
  const size_t left = piece->bytes - handed_;
  size_t bytes = 0;
  while (bytes < left && page->count < rows) {
    uint32_t key_bytes, value_bytes;
    memcpy(&key_bytes, p + bytes, 4);
    memcpy(&value_bytes, p + bytes + 4, 4);
    const size_t size = kRowHeaderBytes + key_bytes + value_bytes;
    if (bytes + size > page->capacity) {
      if (page->count == 0) page->needed = size;
      break;
    }
    bytes += size;
    page->count++;
  }
  memcpy(page->data, p, bytes);
  page->bytes = bytes;
  handed_ += bytes;
}

// The caller is through with its piece.
void AheadScan::Leave() {
  Piece& piece = pieces_[next_];
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (piece.rows) spare_.push_back(piece.rows);
    piece.rows = nullptr;
    next_++;
  }
  handed_ = 0;
  room_.notify_one();
}

Status AheadScan::Fill(uint32_t rows, PageOut* page) {
  while (next_ < pieces_.size()) {
    Piece& piece = pieces_[next_];
    State state;
    size_t help = pieces_.size();
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (piece.state == State::kTaken) {
        help = TakeFree();
        if (help == pieces_.size()) done_.wait(lock, [&piece] { return piece.state != State::kTaken; });
      }
      if (piece.state == State::kFree) {
        piece.state = State::kMine;
        piece.has_rest = true;
        piece.rest = piece.from;
      }
      state = piece.state;
    }
    if (help < pieces_.size()) {
      Read(cursor_, help);
      std::lock_guard<std::mutex> lock(mutex_);
      pieces_[help].state = State::kDone;
      if (!pieces_[help].status.ok()) return pieces_[help].status;
      continue;
    }
    if (state == State::kDone) {
      if (!piece.status.ok()) return piece.status;
      Hand(&piece, rows, page);
      if (page->needed > 0 || (count_only_ ? page->count >= rows : page->count > 0)) return Status::OK();
      if (!piece.has_rest) {
        Leave();
        continue;
      }
      std::lock_guard<std::mutex> lock(mutex_);
      piece.state = State::kMine;
    }
    if (piece.has_rest) {
      piece.has_rest = false;
      cursor_->Move(piece.rest, EndOf(next_));
    }
    const uint32_t before = page->count;
    const Status status = cursor_->Fill(rows, page);
    if (!status.ok() || page->needed > 0) return status;
    if (count_only_ ? page->count >= rows : page->count > before) return status;
    Leave();
  }
  return Status::OK();
}

}  // namespace alopex
