#include "cursor.h"

#include "history.h"

namespace alopex {

namespace {

// Versions of one key stepped over one by one before the iterator seeks past them.
constexpr int kStepsBeforeSeek = 6;

bool IsVersionOf(const rocksdb::Iterator* it, const Slice& user) { return it->Valid() && IsSameKey(UserKey(it->key()), user); }

// Writes a row behind the page's rows without counting it; false when it does not fit.
bool Place(PageOut* page, const Slice& user, uint64_t timestamp, const Slice& value, size_t* size) {
  *size = kRowHeaderBytes + user.size() + value.size();
  if (page->bytes + *size > page->capacity) {
    if (page->count == 0) page->needed = *size;
    return false;
  }
  char* row = page->data + page->bytes;
  const auto key_bytes = static_cast<uint32_t>(user.size()), value_bytes = static_cast<uint32_t>(value.size());
  memcpy(row, &key_bytes, 4);
  memcpy(row + 4, &value_bytes, 4);
  memcpy(row + 8, &timestamp, 8);
  memcpy(row + kRowHeaderBytes, user.data(), user.size());
  memcpy(row + kRowHeaderBytes + user.size(), value.data(), value.size());
  return true;
}

void Keep(PageOut* page, size_t size) {
  page->bytes += size;
  page->count++;
}

bool IsFull(const PageOut& page, uint32_t rows) { return page.count >= rows || page.bytes >= kPageBytes; }

}  // namespace

uint64_t SuperVersion(const Store& store, uint32_t family) {
  uint64_t number = 0;
  store.db()->GetIntProperty(store.family(family), rocksdb::DB::Properties::kCurrentSuperVersionNumber, &number);
  return number;
}

void FreshIterator::SetBounds(const Slice& from, const Slice& to) {
  from_.assign(from.data(), from.size());
  to_.assign(to.data(), to.size());
  from_slice_ = from_;
  to_slice_ = to_;
}

rocksdb::Iterator* FreshIterator::Use(const Slice& from, const Slice& to) {
  if (kind_ == Kind::kSpan) SetBounds(from, to);
  const uint64_t epoch = store_->epoch();
  const uint64_t sequence = store_->db()->GetLatestSequenceNumber();
  const bool settled = epoch_ == epoch && epoch % 2 == 0;
  if (iterator_ && (!settled || (sequence_ != sequence && !iterator_->Refresh().ok()))) iterator_.reset();
  if (!iterator_) {
    rocksdb::ReadOptions options;
    options.verify_checksums = true;
    options.fill_cache = fills_cache_;
    options.background_purge_on_iterator_cleanup = true;
    if (kind_ == Kind::kPoint) {
      options.prefix_same_as_start = true;
    } else {
      options.total_order_seek = true;
      options.iterate_lower_bound = &from_slice_;
      options.iterate_upper_bound = &to_slice_;
    }
    super_version_ = SuperVersion(*store_, family_);
    iterator_.reset(store_->db()->NewIterator(options, store_->family(family_)));
  }
  epoch_ = epoch;
  sequence_ = sequence;
  return iterator_.get();
}

void FreshIterator::DropIfStale(uint64_t super_version) {
  if (iterator_ && super_version != super_version_) iterator_.reset();
}

Status PointReader::Read(const Slice& user, uint64_t at, Version* version) {
  rocksdb::Iterator* it = iterator_.Use();
  SetStoredKey(&seek_, user, at);
  it->Seek(seek_);
  version->found = IsVersionOf(it, user);
  if (version->found) {
    version->timestamp = TimestampOf(it->key());
    version->value = it->value();
    return Status::OK();
  }
  if (it->Valid()) return Status::OK();
  const Status status = it->status();
  if (!status.ok()) iterator_.Drop();
  return status;
}

void Cursor::Start(const SpanOptions& options) {
  at_ = options.at;
  reverse_ = options.reverse;
  tombstones_ = options.tombstones;
  all_versions_ = options.all_versions;
  count_only_ = options.count_only;
  if (versioned_) {
    SetStoredKey(&from_, options.from, kNewest);
    SetStoredKey(&to_, options.to, kNewest);
    it_ = iterator_.Use(from_, to_);
  } else {
    it_ = iterator_.Use(options.from, options.to);
    from_.assign(options.from.data(), options.from.size());
  }
  if (reverse_) {
    it_->SeekToLast();
  } else {
    it_->Seek(from_);
  }
}

void Cursor::Move(const Slice& from, const Slice& to) {
  SetStoredKey(&from_, from, kNewest);
  SetStoredKey(&to_, to, kNewest);
  iterator_.SetBounds(from_, to_);
  it_->Seek(from_);
}

bool Cursor::Position(std::string* user) const {
  if (!it_->Valid()) return false;
  const Slice key = UserKey(it_->key());
  user->assign(key.data(), key.size());
  return true;
}

Status Cursor::Fill(uint32_t rows, PageOut* page) {
  if (!versioned_) {
    FillPlain(rows, page);
  } else if (reverse_) {
    FillReverse(rows, page);
  } else {
    FillForward(rows, page);
  }
  if (it_->Valid()) return Status::OK();
  const Status status = it_->status();
  if (!status.ok()) iterator_.Drop();
  return status;
}

void Cursor::Seek(const Slice& user, uint64_t timestamp) {
  SetStoredKey(&seek_, user, timestamp);
  it_->Seek(seek_);
}

void Cursor::SeekForPrev(const Slice& user, uint64_t timestamp) {
  SetStoredKey(&seek_, user, timestamp);
  it_->SeekForPrev(seek_);
}

void Cursor::FillPlain(uint32_t rows, PageOut* page) {
  size_t size;
  for (; it_->Valid() && !IsFull(*page, rows); it_->Next()) {
    if (!Place(page, it_->key(), 0, it_->value(), &size)) return;
    Keep(page, size);
  }
}

// Newest version first: the first one at or before `at` is what the reader sees, the rest of its key is stepped over.
void Cursor::FillForward(uint32_t rows, PageOut* page) {
  size_t size;
  while (it_->Valid() && !IsFull(*page, rows)) {
    const Slice stored = it_->key();
    const Slice user = UserKey(stored);
    const uint64_t timestamp = TimestampOf(stored);
    if (timestamp > at_) {
      user_.assign(user.data(), user.size());
      int steps = 0;
      do it_->Next();
      while (++steps < kStepsBeforeSeek && IsVersionOf(it_, user_) && TimestampOf(it_->key()) > at_);
      if (IsVersionOf(it_, user_) && TimestampOf(it_->key()) > at_) Seek(user_, at_);
      continue;
    }
    const Slice value = it_->value();
    Slice done;  // the key that was dealt with, in memory that survives the next step
    if (count_only_) {
      user_.assign(user.data(), user.size());
      done = user_;
      page->count += !value.empty();
    } else if (!value.empty() || tombstones_ || all_versions_) {
      if (!Place(page, user, timestamp, value, &size)) return;
      done = Slice(page->data + page->bytes + kRowHeaderBytes, user.size());
      Keep(page, size);
    } else {
      user_.assign(user.data(), user.size());
      done = user_;
    }
    it_->Next();
    if (all_versions_) continue;
    int steps = 0;
    while (IsVersionOf(it_, done)) {
      if (++steps == kStepsBeforeSeek) {
        Seek(done, kOldest);
      } else {
        it_->Next();
      }
    }
  }
}

// Oldest version first: each version at or before `at` takes the place of the one before it, until a newer one or the
// key's end.
void Cursor::FillReverse(uint32_t rows, PageOut* page) {
  size_t size = 0;
  while (it_->Valid() && !IsFull(*page, rows)) {
    const Slice first = UserKey(it_->key());
    user_.assign(first.data(), first.size());
    bool seen = false, mark = false;
    int steps = 0;
    while (IsVersionOf(it_, user_) && TimestampOf(it_->key()) <= at_) {
      if (!all_versions_ && ++steps == kStepsBeforeSeek) Seek(user_, at_);
      const uint64_t timestamp = TimestampOf(it_->key());
      const Slice value = it_->value();
      if (!Place(page, user_, timestamp, value, &size)) {
        // Stand where the next page begins: on this key's oldest version, or on this very version.
        SeekForPrev(user_, all_versions_ ? timestamp : kOldest);
        return;
      }
      seen = true;
      mark = value.empty();
      if (all_versions_) Keep(page, size);
      if (steps == kStepsBeforeSeek) {
        SeekForPrev(user_, kNewest);
        break;
      }
      it_->Prev();
      if (all_versions_ && IsFull(*page, rows)) return;
    }
    if (seen && !all_versions_ && (!mark || tombstones_)) Keep(page, size);
    for (steps = 0; IsVersionOf(it_, user_);) {
      if (++steps == kStepsBeforeSeek) {
        SeekForPrev(user_, kNewest);
      } else {
        it_->Prev();
      }
    }
  }
}

Status ChangedSince(Store* store, const Slice& from, const Slice& to, uint64_t after, bool* changed) {
  std::string lower, upper, user, seek;
  SetStoredKey(&lower, from, kNewest);
  SetStoredKey(&upper, to, kNewest);
  const Slice lower_slice(lower), upper_slice(upper);
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.total_order_seek = true;
  options.background_purge_on_iterator_cleanup = true;
  options.iterate_lower_bound = &lower_slice;
  options.iterate_upper_bound = &upper_slice;
  options.table_filter = [after](const rocksdb::TableProperties& file) { return MayHoldNewer(file, after); };
  std::unique_ptr<rocksdb::Iterator> it(store->db()->NewIterator(options, store->family(kData)));
  *changed = false;
  it->Seek(lower);
  while (it->Valid()) {
    if (TimestampOf(it->key()) > after) {
      *changed = true;
      return Status::OK();
    }
    const Slice key = UserKey(it->key());
    user.assign(key.data(), key.size());
    int steps = 0;
    do it->Next();
    while (++steps < kStepsBeforeSeek && IsVersionOf(it.get(), user));
    if (IsVersionOf(it.get(), user)) {
      SetStoredKey(&seek, user, kOldest);
      it->Seek(seek);
      if (IsVersionOf(it.get(), user)) it->Next();
    }
  }
  return it->status();
}

}  // namespace alopex
