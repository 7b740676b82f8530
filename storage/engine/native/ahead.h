// A large scan read by several threads: its rows come in the same order, but other threads resolve pieces of the span
// ahead of the one that asks for pages.
//
//     pieces     [mine][ taken ][ done ][ taken ][ free ][ free ] …
//                  ↑ the caller reads here         ↑ next for whoever has nothing to do
//                  └────────── at most kWindow pieces ──────────┘
//
// The pieces are cut at keys that the data files remember (history.h), so a span without large files is not cut. A piece
// that no helper has taken is read by the caller itself; while it would have to wait for one it works ahead too, and what
// a helper does not bring within a millisecond (its thread has no core) the caller reads after all. All
// iterators see the store as it was at one moment, before which the scan's timestamp had become visible: so the scan has
// to be at a timestamp that no later write is at or below.
#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cursor.h"
#include "store.h"

namespace alopex {

class AheadScan {
 public:
  // Takes over the rest of a scan that `cursor` has begun with `span`, whose keys end at `to`. Nothing when it is not
  // worth it, or all helpers are busy. The cursor must outlive the scan.
  static std::unique_ptr<AheadScan> Begin(const std::shared_ptr<Store>& store, Cursor* cursor,
                                          const SpanOptions& span, const std::string& to);
  ~AheadScan();
  // As Cursor::Fill; of a count, the rows may be more than asked for.
  Status Fill(uint32_t rows, PageOut* page);

 private:
  enum class State : uint8_t { kFree, kTaken, kDone, kMine };
  struct Rows {
    char* data = nullptr;  // of kPieceCapacity; none of a count
    size_t bytes = 0;
    uint32_t count = 0;
    bool has_rest = false;  // they did not fit: the caller reads on at `rest`
    std::string rest;
    Status status;
  };
  struct Piece {
    std::string from;  // it ends where the next one begins
    State state = State::kFree;
    Rows rows;
  };

  AheadScan(Cursor* cursor, bool count_only, const std::string& to)
      : cursor_(cursor), count_only_(count_only), to_(to) {}
  const std::string& EndOf(size_t piece) const {
    return piece + 1 < pieces_.size() ? pieces_[piece + 1].from : to_;
  }
  void Help(Cursor* cursor);
  // With mutex_ held: the next piece that is nobody's, and room for its rows; or pieces_.size().
  size_t TakeFree(Rows* rows);
  void Read(Cursor* cursor, size_t piece, Rows* rows);
  // With mutex_ held: the rows of a piece that was taken, unless the caller has lost patience.
  void Bring(size_t piece, Rows&& rows);
  // Hands rows of a piece that is done to the caller's page.
  void Hand(Piece* piece, uint32_t rows, PageOut* page);
  void Leave();

  Cursor* cursor_;
  const bool count_only_;
  const std::string to_;
  std::vector<Piece> pieces_;
  size_t next_ = 0;        // the piece the caller reads; guarded by mutex_ for helpers
  size_t free_ = 0;        // no piece before it is free
  size_t handed_ = 0;      // bytes of it that were handed on

  std::mutex mutex_;
  std::condition_variable done_, room_;
  bool stop_ = false;
  std::atomic<bool> hurry_{false};
  std::vector<char*> spare_;  // buffers of kPieceCapacity
  std::vector<std::unique_ptr<Cursor>> cursors_;
  std::vector<std::thread> helpers_;
};

}  // namespace alopex
