// The writer thread of one engine: group commit.
//
// Everything that is queued while one fsync runs becomes one RocksDB write with one fsync. Groups are written in
// the order of the queue, and the owner hears once a group how many of its batches are done.
//
//     queue:  [a]      [b c d]     [e f]
//     disk:   write+fsync(a)  write+fsync(b c d)  write+fsync(e f)
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "store.h"

namespace alopex {

class Writer {
 public:
  // `done(n, status)` is called on the writer thread: the first n batches that are not done yet ended with `status`.
  using Done = std::function<void(uint32_t n, const Status& status)>;
  Writer(std::shared_ptr<Store> store, Done done) : store_(std::move(store)), done_(std::move(done)) {}
  ~Writer() { Stop(); }

  // Queues the operations of a serialized WriteBatch (copied). True: the thread sleeps, call Wake when this turn's
  // batches are all queued. A long queue wakes it by itself.
  bool Queue(const Slice& serialized, bool sync, bool has_range_deletes);
  void Wake();
  // Writes what is queued and ends the thread.
  void Stop();

 private:
  struct Pending {
    uint32_t bytes, operations;
    bool sync, has_range_deletes;
  };
  void Run();
  // Moves the front of the queue into `group`, at most kGroupBytes; returns the number of batches.
  uint32_t Take(std::string* group, bool* sync, bool* has_range_deletes);

  std::shared_ptr<Store> store_;
  Done done_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Pending> pending_;
  std::string bytes_;  // the pending batches' operations, one after the other
  bool awake_ = true, stop_ = false, stopped_ = false;
  std::thread thread_;
};

}  // namespace alopex
