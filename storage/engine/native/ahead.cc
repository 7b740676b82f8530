#include "ahead.h"

#include <algorithm>
#include <chrono>
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
constexpr auto kPatience = std::chrono::milliseconds(1);

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
  for (Piece& piece : pieces_) free(piece.rows.data);
  for (char* buffer : spare_) free(buffer);
}

size_t AheadScan::TakeFree(Rows* rows) {
  const size_t end = std::min(pieces_.size(), next_ + (count_only_ ? kWindowCounted : kWindow));
  for (free_ = std::max(free_, next_); free_ < end; free_++) {
    if (pieces_[free_].state != State::kFree) continue;
    pieces_[free_].state = State::kTaken;
    *rows = Rows();
    if (!count_only_) {
      if (spare_.empty()) {
        rows->data = static_cast<char*>(malloc(kPieceCapacity));
      } else {
        rows->data = spare_.back();
        spare_.pop_back();
      }
    }
    return free_++;
  }
  return pieces_.size();
}

void AheadScan::Help(Cursor* cursor) {
  Rows rows;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_) {
    const size_t taken = TakeFree(&rows);
    if (taken == pieces_.size()) {
      if (free_ == pieces_.size()) return;
      room_.wait(lock);
      continue;
    }
    lock.unlock();
    Read(cursor, taken, &rows);
    const bool failed = !rows.status.ok();
    lock.lock();
    Bring(taken, std::move(rows));
    if (failed) return;  // its iterator is of no use any more
  }
}

void AheadScan::Read(Cursor* cursor, size_t piece, Rows* rows) {
  PageOut page{rows->data, count_only_ ? 0 : kPieceCapacity};
  cursor->Move(pieces_[piece].from, EndOf(piece));
  for (;;) {
    const uint32_t before = page.count;
    rows->status = cursor->Fill(before + kLookRows, &page);
    if (!rows->status.ok() || !cursor->Position(&rows->rest)) break;
    rows->has_rest = page.bytes >= kPageBytes || page.count == before || hurry_.load(std::memory_order_relaxed);
    if (rows->has_rest) break;
  }
  rows->bytes = page.bytes;
  rows->count = page.count;
}

void AheadScan::Bring(size_t number, Rows&& rows) {
  Piece& piece = pieces_[number];
  if (piece.state != State::kTaken) {
    if (rows.data) spare_.push_back(rows.data);
    return;
  }
  piece.rows = std::move(rows);
  piece.state = State::kDone;
  if (number == next_) done_.notify_one();
}

void AheadScan::Hand(Piece* piece, uint32_t rows, PageOut* page) {
  if (count_only_) {
    page->count += piece->rows.count;
    piece->rows.count = 0;
    return;
  }
  const char* p = piece->rows.data + handed_;
  const size_t left = piece->rows.bytes - handed_;
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
    if (piece.rows.data) spare_.push_back(piece.rows.data);
    piece.rows.data = nullptr;
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
    Rows rows_of_help;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      bool is_late = false;
      if (piece.state == State::kTaken) {
        help = TakeFree(&rows_of_help);
        if (help == pieces_.size()) {
          is_late = !done_.wait_for(lock, kPatience, [&piece] { return piece.state != State::kTaken; });
        }
      }
      if (piece.state == State::kFree || is_late) {
        piece.state = State::kMine;
        piece.rows.has_rest = true;
        piece.rows.rest = piece.from;
      }
      state = piece.state;
    }
    if (help < pieces_.size()) {
      Read(cursor_, help, &rows_of_help);
      const Status status = rows_of_help.status;
      std::lock_guard<std::mutex> lock(mutex_);
      Bring(help, std::move(rows_of_help));
      if (!status.ok()) return status;
      continue;
    }
    if (state == State::kDone) {
      if (!piece.rows.status.ok()) return piece.rows.status;
      Hand(&piece, rows, page);
      if (page->needed > 0 || (count_only_ ? page->count >= rows : page->count > 0)) return Status::OK();
      if (!piece.rows.has_rest) {
        Leave();
        continue;
      }
      std::lock_guard<std::mutex> lock(mutex_);
      piece.state = State::kMine;
    }
    if (piece.rows.has_rest) {
      piece.rows.has_rest = false;
      cursor_->Move(piece.rows.rest, EndOf(next_));
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
