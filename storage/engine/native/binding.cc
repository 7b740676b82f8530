// What JavaScript sees: open(path, options, onDone) gives an object of functions bound to one handle.
//
// Arguments and results of the hot calls travel in a registered buffer (`control`), not in JavaScript values: a
// conversion costs as much as the read itself. All functions of a handle run on the thread that opened it.
//
//     control, u32 each:  0 from bytes   1 to bytes    2 at, low   3 at, high   4 slot   5 rows   6 flags
//                         7 ahead        8 status       9 result a   10 result b  11 low      12 high
//     control, bytes 64…  from key, to key
//
// Handles are a few hundred bytes and are never freed, so that a function kept after `close` finds a closed handle
// and not freed memory; what they hold (iterators, the store) is let go by close.
#define NAPI_VERSION 8
#include <node_api.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/version.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ahead.h"
#include "cursor.h"
#include "keys.h"
#include "store.h"
#include "writer.h"

namespace alopex {

namespace {

enum Word { kFromBytes, kToBytes, kAtLow, kAtHigh, kSlot, kRows, kFlags, kAheadNow, kStatus, kResultA, kResultB, kLow, kHigh };
constexpr size_t kKeysAt = 64;
enum Outcome : uint32_t { kNone = 0, kFound = 1, kDeleted = 2, kGrow = 3, kFailed = 4 };
enum SpanFlag : uint32_t { kFirst = 1, kReverse = 2, kTombstones = 4, kAllVersions = 8, kAhead = 16, kCountOnly = 32 };

// A scan that has returned so much is a large one: others may read ahead for it.
constexpr size_t kAheadFromBytes = size_t{512} << 10;
constexpr uint32_t kAheadFromRows = 4096;

struct Slot {
  std::unique_ptr<Cursor> cursor;
  std::unique_ptr<AheadScan> ahead;
  SpanOptions span;  // of the running scan, without its keys
  std::string to;
  bool may_read_ahead = false;
  size_t returned_bytes = 0;
  uint32_t returned_rows = 0;
  uint32_t family = kData;
  char* page = nullptr;
  size_t capacity = 0;
  napi_ref keep = nullptr;
};

struct Handle {
  std::shared_ptr<Store> store;
  std::unique_ptr<Writer> writer;
  std::unique_ptr<PointReader> points;
  std::unique_ptr<rocksdb::SstFileWriter> load;
  std::string load_key, load_file;
  std::vector<std::string> load_files;
  std::vector<Slot> slots;
  uint32_t* control = nullptr;
  char* keys = nullptr;
  char* values = nullptr;
  size_t value_capacity = 0;
  napi_ref keep_control = nullptr, keep_values = nullptr;
  napi_threadsafe_function completions = nullptr;
  uint32_t outstanding = 0;
  Status error;

  uint64_t At() const { return control[kAtLow] | uint64_t{control[kAtHigh]} << 32; }
  Slice From() const { return Slice(keys, control[kFromBytes]); }
  Slice To() const { return Slice(keys + control[kFromBytes], control[kToBytes]); }
  void Answer(Outcome outcome) { control[kStatus] = outcome; }
  void AnswerTime(uint64_t timestamp) {
    control[kLow] = static_cast<uint32_t>(timestamp);
    control[kHigh] = static_cast<uint32_t>(timestamp >> 32);
  }
  void Fail(const Status& status) {
    error = status;
    Answer(kFailed);
  }
  void LetGo() {
    writer.reset();
    slots.clear();
    points.reset();
    load.reset();
    store.reset();
  }
};

// The reason, as EngineError names it.
const char* Reason(const Status& status) {
  if (status.IsNoSpace()) return "disk-full";
  if (status.IsCorruption()) return "corruption";
  if (status.IsShutdownInProgress()) return "closed";
  if (status.IsInvalidArgument() || status.IsNotSupported()) return "invalid";
  const std::string text = status.ToString();
  const auto says = [&text](const char* words) { return text.find(words) != std::string::npos; };
  return says("While lock file") || says("lock hold by") ? "locked" : "io";
}

napi_value Undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

napi_value ErrorOf(napi_env env, const Status& status) {
  napi_value code, message, error;
  const std::string text = status.ToString();
  napi_create_string_utf8(env, Reason(status), NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, text.data(), text.size(), &message);
  napi_create_error(env, code, message, &error);
  return error;
}

napi_value Throw(napi_env env, const Status& status) {
  napi_throw(env, ErrorOf(env, status));
  return nullptr;
}

struct Arguments {
  napi_env env;
  napi_value values[6];
  Handle* handle;
  Arguments(napi_env env, napi_callback_info info) : env(env) {
    size_t count = 6;
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, values, nullptr, &data);
    handle = static_cast<Handle*>(data);
  }
  uint32_t Number(int i) const {
    uint32_t value = 0;
    napi_get_value_uint32(env, values[i], &value);
    return value;
  }
  double Double(int i) const {
    double value = 0;
    napi_get_value_double(env, values[i], &value);
    return value;
  }
  bool Flag(int i) const {
    bool value = false;
    napi_get_value_bool(env, values[i], &value);
    return value;
  }
  Slice Bytes(int i) const {
    void* data = nullptr;
    size_t size = 0;
    if (napi_get_buffer_info(env, values[i], &data, &size) != napi_ok) return Slice();
    return Slice(static_cast<char*>(data), size);
  }
  std::string Text(int i) const {
    size_t size = 0;
    napi_get_value_string_utf8(env, values[i], nullptr, 0, &size);
    std::string text(size, '\0');
    napi_get_value_string_utf8(env, values[i], &text[0], size + 1, &size);
    return text;
  }
};

// The handle of a hot call, which takes no arguments at all.
Handle* HandleOf(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  size_t count = 0;
  napi_get_cb_info(env, info, &count, nullptr, nullptr, &data);
  return static_cast<Handle*>(data);
}

void KeepAlive(napi_env env, napi_ref* reference, napi_value value) {
  if (*reference) napi_delete_reference(env, *reference);
  napi_create_reference(env, value, 1, reference);
}

// ── reads ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// registerBuffers(control, values)
napi_value RegisterBuffers(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  const Slice control = in.Bytes(0), values = in.Bytes(1);
  in.handle->control = reinterpret_cast<uint32_t*>(const_cast<char*>(control.data()));
  in.handle->keys = const_cast<char*>(control.data()) + kKeysAt;
  in.handle->values = const_cast<char*>(values.data());
  in.handle->value_capacity = values.size();
  KeepAlive(env, &in.handle->keep_control, in.values[0]);
  KeepAlive(env, &in.handle->keep_values, in.values[1]);
  return nullptr;
}

// get(): status found | none | deleted | grow; a = value bytes, low and high = timestamp, the value in `values`.
napi_value Get(napi_env env, napi_callback_info info) {
  Handle* h = HandleOf(env, info);
  Version version;
  const Status status = h->points->Read(h->From(), h->At(), &version);
  if (!status.ok()) {
    h->Fail(status);
  } else if (!version.found) {
    h->Answer(kNone);
  } else {
    h->control[kResultA] = static_cast<uint32_t>(version.value.size());
    h->AnswerTime(version.timestamp);
    if (version.value.size() > h->value_capacity) {
      h->Answer(kGrow);
    } else {
      memcpy(h->values, version.value.data(), version.value.size());
      h->Answer(version.value.empty() ? kDeleted : kFound);
    }
  }
  return nullptr;
}

// getRaw(family): the value of an unversioned key, copied into `values`.
napi_value GetRaw(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Handle* h = in.handle;
  rocksdb::PinnableSlice value;
  const Status status = h->store->db()->Get(rocksdb::ReadOptions(), h->store->family(in.Number(0)), h->From(), &value);
  if (status.IsNotFound()) {
    h->Answer(kNone);
  } else if (!status.ok()) {
    h->Fail(status);
  } else {
    h->control[kResultA] = static_cast<uint32_t>(value.size());
    if (value.size() > h->value_capacity) {
      h->Answer(kGrow);
    } else {
      memcpy(h->values, value.data(), value.size());
      h->Answer(kFound);
    }
  }
  return nullptr;
}

// getMany(keys, n): keys packed as u32 length + bytes; the found rows as a page in `values`; a = rows, b = bytes.
napi_value GetMany(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Handle* h = in.handle;
  const Slice packed = in.Bytes(0);
  const char* p = packed.data();
  const uint64_t at = h->At();
  size_t bytes = 0;
  uint32_t rows = 0;
  bool fits = true;
  for (uint32_t i = in.Number(1); i > 0; i--) {
    uint32_t length;
    memcpy(&length, p, 4);
    const Slice key(p + 4, length);
    p += 4 + length;
    Version version;
    const Status status = h->points->Read(key, at, &version);
    if (!status.ok()) {
      h->Fail(status);
      return nullptr;
    }
    if (!version.found || version.value.empty()) continue;
    const size_t size = kRowHeaderBytes + length + version.value.size();
    fits = fits && bytes + size <= h->value_capacity;
    if (fits) {
      char* row = h->values + bytes;
      const auto value_bytes = static_cast<uint32_t>(version.value.size());
      memcpy(row, &length, 4);
      memcpy(row + 4, &value_bytes, 4);
      memcpy(row + 8, &version.timestamp, 8);
      memcpy(row + kRowHeaderBytes, key.data(), length);
      memcpy(row + kRowHeaderBytes + length, version.value.data(), value_bytes);
    }
    bytes += size;
    rows++;
  }
  h->control[kResultA] = rows;
  h->control[kResultB] = static_cast<uint32_t>(bytes);
  h->Answer(fits ? kFound : kGrow);
  return nullptr;
}

// changedSince(): `at` is the time after which a version counts.
napi_value Changed(napi_env env, napi_callback_info info) {
  Handle* h = HandleOf(env, info);
  bool changed = false;
  const Status status = ChangedSince(h->store.get(), h->From(), h->To(), h->At(), &changed);
  if (status.ok()) {
    h->Answer(changed ? kFound : kNone);
  } else {
    h->Fail(status);
  }
  return nullptr;
}

// slot(number, family, page): registers a cursor's page.
napi_value RegisterSlot(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  const uint32_t number = in.Number(0);
  if (number >= in.handle->slots.size()) in.handle->slots.resize(number + 1);
  Slot& slot = in.handle->slots[number];
  const Slice page = in.Bytes(2);
  slot.family = in.Number(1);
  slot.page = const_cast<char*>(page.data());
  slot.capacity = page.size();
  KeepAlive(env, &slot.keep, in.values[2]);
  return nullptr;
}

// fill(): the next page of slot's cursor; the flag `first` starts it over [from, to).
// a = rows, b = bytes (grow: the bytes that the page needs), ahead = 1: others read ahead, `settle` has to be called.
napi_value Fill(napi_env env, napi_callback_info info) {
  Handle* h = HandleOf(env, info);
  Slot& slot = h->slots[h->control[kSlot]];
  const uint32_t flags = h->control[kFlags];
  if (flags & kFirst) {
    if (!slot.cursor) slot.cursor.reset(new Cursor(h->store, slot.family));
    SpanOptions span;
    span.from = h->From();
    span.to = h->To();
    span.at = h->At();
    span.reverse = (flags & kReverse) != 0;
    span.tombstones = (flags & kTombstones) != 0;
    span.all_versions = (flags & kAllVersions) != 0;
    span.count_only = (flags & kCountOnly) != 0;
    slot.ahead.reset();
    slot.cursor->Start(span);
    slot.span = span;
    slot.may_read_ahead = (flags & kAhead) != 0;
    slot.returned_bytes = slot.returned_rows = 0;
    if (slot.may_read_ahead) slot.to.assign(span.to.data(), span.to.size());
  }
  PageOut page{slot.page, slot.capacity};
  const uint32_t rows = h->control[kRows];
  const Status status = slot.ahead ? slot.ahead->Fill(rows, &page) : slot.cursor->Fill(rows, &page);
  if (slot.may_read_ahead) {
    slot.returned_bytes += page.bytes;
    slot.returned_rows += page.count;
    if (status.ok() && (slot.returned_bytes >= kAheadFromBytes || slot.returned_rows >= kAheadFromRows)) {
      slot.may_read_ahead = false;
      slot.ahead = AheadScan::Begin(h->store, slot.cursor.get(), slot.span, slot.to);
    }
  }
  h->control[kAheadNow] = slot.ahead != nullptr;
  h->control[kResultA] = page.count;
  h->control[kResultB] = static_cast<uint32_t>(page.needed > 0 ? page.needed : page.bytes);
  if (page.needed > 0) {
    h->Answer(kGrow);
  } else if (!status.ok()) {
    h->Fail(status);
  } else {
    h->Answer(page.count > 0 ? kFound : kNone);
  }
  return nullptr;
}

// settle(slot): nobody reads ahead any more.
napi_value Settle(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  in.handle->slots[in.Number(0)].ahead.reset();
  return nullptr;
}

// release(slot): ends a cursor that is not to be kept.
napi_value Release(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Slot& slot = in.handle->slots[in.Number(0)];
  slot.cursor.reset();
  return nullptr;
}

// trim(busy slots as a bit mask in a buffer of bytes): idle iterators let go of what newer files have replaced.
napi_value Trim(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Handle* h = in.handle;
  if (!h->store) return nullptr;
  const Slice busy = in.Bytes(0);
  const uint64_t version = SuperVersion(*h->store, kData);
  h->points->DropIfStale(version);
  for (size_t i = 0; i < h->slots.size(); i++) {
    Slot& slot = h->slots[i];
    if (slot.cursor && slot.family == kData && i < busy.size() && !busy[i]) slot.cursor->DropIfStale(version);
  }
  return nullptr;
}

// The last error as an Error with `code`.
napi_value LastError(napi_env env, napi_callback_info info) { return ErrorOf(env, HandleOf(env, info)->error); }

napi_value ApproximateBytes(napi_env env, napi_callback_info info) {
  Handle* h = HandleOf(env, info);
  std::string from, to;
  SetStoredKey(&from, h->From(), kNewest);
  SetStoredKey(&to, h->To(), kNewest);
  const rocksdb::Range range(from, to);
  rocksdb::SizeApproximationOptions options;
  options.include_memtabtles = true;
  uint64_t size = 0;
  h->store->db()->GetApproximateSizes(options, h->store->family(kData), &range, 1, &size);
  napi_value result;
  napi_create_double(env, static_cast<double>(size), &result);
  return result;
}

napi_value ApproximateKeys(napi_env env, napi_callback_info info) {
  Handle* h = HandleOf(env, info);
  uint64_t keys = 0;
  h->store->db()->GetIntProperty(h->store->family(kData), rocksdb::DB::Properties::kEstimateNumKeys, &keys);
  napi_value result;
  napi_create_double(env, static_cast<double>(keys), &result);
  return result;
}

// property(family, name): RocksDB's own words about itself, for metrics and tools.
napi_value Property(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  std::string text;
  if (!in.handle->store->db()->GetProperty(in.handle->store->family(in.Number(0)), in.Text(1), &text)) return nullptr;
  napi_value result;
  napi_create_string_utf8(env, text.data(), text.size(), &result);
  return result;
}

// ── writes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

struct Completion {
  Handle* handle;
  uint32_t batches;
  Status status;
};

// onDone(batches, error | undefined), on the JavaScript thread.
void CallDone(napi_env env, napi_value callback, void*, void* data) {
  std::unique_ptr<Completion> completion(static_cast<Completion*>(data));
  if (!env) return;
  Handle* h = completion->handle;
  h->outstanding -= completion->batches;
  if (h->outstanding == 0 && h->completions) napi_unref_threadsafe_function(env, h->completions);
  napi_value arguments[2], undefined = Undefined(env);
  napi_create_uint32(env, completion->batches, &arguments[0]);
  arguments[1] = completion->status.ok() ? undefined : ErrorOf(env, completion->status);
  napi_call_function(env, undefined, callback, 2, arguments, nullptr);
}

// write(buffer, bytes, flags: 1 sync, 2 has range deletes): true when `wake` has to be called.
napi_value Write(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Handle* h = in.handle;
  const uint32_t flags = in.Number(2);
  if (h->outstanding++ == 0) napi_ref_threadsafe_function(env, h->completions);
  const bool sleeps = h->writer->Queue(Slice(in.Bytes(0).data(), in.Number(1)), flags & 1, flags & 2);
  napi_value result;
  napi_get_boolean(env, sleeps, &result);
  return result;
}

napi_value WakeWriter(napi_env env, napi_callback_info info) {
  Handle* h = HandleOf(env, info);
  if (h->writer) h->writer->Wake();
  return nullptr;
}

// ── slow work, on a thread of libuv's pool ─────────────────────────────────────────────────────────────────────────

struct Task {
  std::function<Status()> work;
  Status status;
  napi_async_work handle = nullptr;
  napi_deferred deferred = nullptr;
  napi_ref keep = nullptr;  // a buffer that the work reads
};

napi_value RunTask(napi_env env, std::function<Status()> work, napi_value keep = nullptr) {
  auto* task = new Task;
  task->work = std::move(work);
  if (keep) napi_create_reference(env, keep, 1, &task->keep);
  napi_value promise, name;
  napi_create_promise(env, &task->deferred, &promise);
  napi_create_string_utf8(env, "alopex.engine", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(
      env, nullptr, name,
      [](napi_env, void* data) {
        auto* task = static_cast<Task*>(data);
        task->status = task->work();
      },
      [](napi_env env, napi_status, void* data) {
        std::unique_ptr<Task> task(static_cast<Task*>(data));
        if (task->status.ok()) {
          napi_resolve_deferred(env, task->deferred, Undefined(env));
        } else {
          napi_reject_deferred(env, task->deferred, ErrorOf(env, task->status));
        }
        if (task->keep) napi_delete_reference(env, task->keep);
        napi_delete_async_work(env, task->handle);
      },
      task, &task->handle);
  napi_queue_async_work(env, task->handle);
  return promise;
}

napi_value Checkpoint(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  auto store = in.handle->store;
  std::string to = in.Text(0);
  return RunTask(env, [store, to] { return store->Checkpoint(to); });
}

napi_value Flush(napi_env env, napi_callback_info info) {
  auto store = HandleOf(env, info)->store;
  return RunTask(env, [store] { return store->Flush(); });
}

napi_value Compact(napi_env env, napi_callback_info info) {
  auto store = HandleOf(env, info)->store;
  return RunTask(env, [store] { return store->Compact(); });
}

Status FinishLoadFile(Handle* h) {
  if (!h->load) return Status::OK();
  const Status status = h->load->Finish();
  h->load.reset();
  return status;
}

constexpr uint64_t kLoadFileBytes = uint64_t{64} << 20;

constexpr size_t kEntryHeaderBytes = 12;
constexpr uint32_t kEntryRemoved = 0xffffffff;

// Appends rows, as versions at `at`, to the file of the running load: those of a page, or entries of a transaction's
// buffer (engine.ts). A row without a value is a deletion mark.
Status LoadRows(Handle* h, const Slice& rows, bool are_entries, uint64_t at) {
  const char* p = rows.data();
  const char* end = p + rows.size();
  const size_t header = are_entries ? kEntryHeaderBytes : kRowHeaderBytes;
  Status status;
  while (p < end && status.ok()) {
    if (!h->load) {
      h->load_file = h->store->ScratchFile();
      h->load_files.push_back(h->load_file);
      const Store& store = *h->store;
      h->load.reset(new rocksdb::SstFileWriter(rocksdb::EnvOptions(), store.data_options(), store.family(kData)));
      status = h->load->Open(h->load_file);
      if (!status.ok()) break;
    }
    uint32_t key_bytes, value_bytes;
    memcpy(&key_bytes, p, 4);
    memcpy(&value_bytes, p + 4, 4);
    if (are_entries && value_bytes == kEntryRemoved) value_bytes = 0;
    SetStoredKey(&h->load_key, Slice(p + header, key_bytes), at);
    status = h->load->Put(h->load_key, Slice(p + header + key_bytes, value_bytes));
    const size_t size = header + key_bytes + value_bytes;
    p += are_entries ? (size + 3) & ~size_t{3} : size;
    if (status.ok() && h->load->FileSize() >= kLoadFileBytes) status = FinishLoadFile(h);
  }
  return status;
}

// load(buffer, start, end, are entries, at low, at high)
napi_value LoadTask(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Handle* h = in.handle;
  const uint32_t start = in.Number(1);
  const Slice rows(in.Bytes(0).data() + start, in.Number(2) - start);
  const bool are_entries = in.Flag(3);
  const uint64_t at = in.Number(4) | uint64_t{in.Number(5)} << 32;
  return RunTask(env, [h, rows, are_entries, at] { return LoadRows(h, rows, are_entries, at); }, in.values[0]);
}

// loadEnd(commit): ingests the files of the load, or throws them away.
napi_value LoadEnd(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Handle* h = in.handle;
  const bool commit = in.Flag(0);
  return RunTask(env, [h, commit] {
    Status status = commit ? FinishLoadFile(h) : Status::OK();
    if (status.ok() && commit && !h->load_files.empty()) status = h->store->Ingest(h->load_files);
    h->load.reset();
    for (const std::string& file : h->load_files) unlink(file.c_str());  // ingesting linked them
    h->load_files.clear();
    Store::ReturnMemory();
    return status;
  });
}

// ── open and close ─────────────────────────────────────────────────────────────────────────────────────────────────

// The process or worker ends without `close`.
void OnExit(void* data) {
  auto* h = static_cast<Handle*>(data);
  h->LetGo();
}

napi_value Close(napi_env env, napi_callback_info info) {
  Handle* h = HandleOf(env, info);
  napi_remove_env_cleanup_hook(env, OnExit, h);
  return RunTask(env, [h] {
    h->LetGo();
    napi_release_threadsafe_function(h->completions, napi_tsfn_release);
    h->completions = nullptr;
    return Status::OK();
  });
}

struct Function {
  const char* name;
  napi_callback call;
};
constexpr Function kFunctions[] = {
    {"registerBuffers", RegisterBuffers}, {"registerSlot", RegisterSlot}, {"get", Get}, {"getRaw", GetRaw},
    {"getMany", GetMany}, {"changedSince", Changed}, {"fill", Fill}, {"settle", Settle}, {"release", Release}, {"trim", Trim},
    {"lastError", LastError}, {"approximateBytes", ApproximateBytes}, {"approximateKeys", ApproximateKeys},
    {"property", Property}, {"write", Write}, {"wake", WakeWriter}, {"checkpoint", Checkpoint}, {"flush", Flush},
    {"compact", Compact}, {"load", LoadTask}, {"loadEnd", LoadEnd}, {"close", Close},
};

// open(path, cacheBytes, writeBufferBytes, noSync, onDone)
napi_value Open(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  OpenOptions options;
  options.path = in.Text(0);
  options.cache_bytes = static_cast<size_t>(in.Double(1));
  options.write_buffer_bytes = static_cast<size_t>(in.Double(2));
  options.no_sync = in.Flag(3);
  std::shared_ptr<Store> store;
  const Status status = Store::Open(options, &store);
  if (!status.ok()) return Throw(env, status);

  auto* h = new Handle;
  h->store = store;
  h->points.reset(new PointReader(store));
  napi_value name;
  napi_create_string_utf8(env, "alopex.writer", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, in.values[4], nullptr, name, 0, 1, nullptr, nullptr, nullptr, CallDone,
                                  &h->completions);
  napi_unref_threadsafe_function(env, h->completions);
  const napi_threadsafe_function completions = h->completions;
  h->writer.reset(new Writer(store, [h, completions](uint32_t batches, const Status& status) {
    auto* completion = new Completion{h, batches, status};
    if (napi_call_threadsafe_function(completions, completion, napi_tsfn_blocking) != napi_ok) delete completion;
  }));
  napi_add_env_cleanup_hook(env, OnExit, h);

  napi_value object;
  napi_create_object(env, &object);
  for (const Function& function : kFunctions) {
    napi_value value;
    napi_create_function(env, function.name, NAPI_AUTO_LENGTH, function.call, h, &value);
    napi_set_named_property(env, object, function.name, value);
  }
  return object;
}

// selfTest(path, batch, bytes, at, page): writes a batch to a new store and puts a forward and a reverse scan of all of
// it into `page`; returns the page's bytes. Everything in it is done here, on this thread, without fsync.
napi_value SelfTest(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  OpenOptions options;
  options.path = in.Text(0);
  options.cache_bytes = size_t{1} << 20;
  options.write_buffer_bytes = size_t{1} << 20;
  options.no_sync = true;
  std::shared_ptr<Store> store;
  Status status = Store::Open(options, &store);
  std::string batch(in.Bytes(1).data(), in.Number(2));
  if (status.ok()) status = store->WriteGroup(&batch, false, false);
  const Slice out = in.Bytes(4);
  PageOut page{const_cast<char*>(out.data()), out.size()};
  SpanOptions span;
  const std::string end(4, '\xff');
  span.to = end;
  span.at = in.Number(3);
  for (int pass = 0; pass < 2 && status.ok(); pass++) {
    Cursor cursor(store, kData);
    span.reverse = pass == 1;
    cursor.Start(span);
    status = cursor.Fill(UINT32_MAX, &page);
  }
  if (!status.ok()) return Throw(env, status);
  napi_value result;
  napi_create_uint32(env, static_cast<uint32_t>(page.bytes), &result);
  return result;
}

}  // namespace

}  // namespace alopex

NAPI_MODULE_INIT() {
  napi_value open, test, version;
  napi_create_function(env, "open", NAPI_AUTO_LENGTH, alopex::Open, nullptr, &open);
  napi_set_named_property(env, exports, "open", open);
  napi_create_function(env, "selfTest", NAPI_AUTO_LENGTH, alopex::SelfTest, nullptr, &test);
  napi_set_named_property(env, exports, "selfTest", test);
  const std::string text =
      std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." + std::to_string(ROCKSDB_PATCH);
  napi_create_string_utf8(env, text.data(), text.size(), &version);
  napi_set_named_property(env, exports, "rocksdbVersion", version);
  return exports;
}
