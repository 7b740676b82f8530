// Many sockets, one call into JavaScript for each turn of the event loop.
//
//     poll     each readable socket is read into the slab; the reads of the turn are entries of `control`
//     check    one call: JavaScript answers all of them; the answers lie in the outbox, entries of `control` too; they are sent
//     prepare  what came into the outbox since (from promises, timers) is sent before the loop waits
//
// Several answers are sent by one system call (see Submission): each one wakes a client, and a client that is woken on this
// processor would take it from the server at once, in the middle of the turn. What the kernel does not take goes back to
// JavaScript, which gives it to Node's own stream; so do errors and the end of input.
//
// Sockets are duplicates of the descriptors that Node owns: one that Node has closed can never be another file's here.
//
//     control, u32 each:  0 slab bytes used   1 reads   2 outbox bytes used   3 outbox entries   4 entries left over
//     from kReadsAt       reads: peer, start in the slab, bytes (0: the end of its input, or an error)
//     from kOutAt         outbox: peer, start, bytes; after sending the entries left over, from the first on
#define NAPI_VERSION 8
#include <errno.h>
#include <fcntl.h>
#ifdef __linux__
#include <linux/aio_abi.h>
#endif
#include <node_api.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include <cstdint>
#include <cstring>
#include <algorithm>
#include <vector>

namespace {

enum Word { kSlabUsed, kReads, kOutboxUsed, kEntries, kLeftOver };
constexpr uint32_t kReadsMax = 256, kEntriesMax = 256;
constexpr uint32_t kReadsAt = 8, kOutAt = kReadsAt + 3 * kReadsMax;
constexpr uint32_t kControlWords = kOutAt + 3 * kEntriesMax;
constexpr size_t kReadBytesMax = 64 * 1024;  // of one socket in a turn
constexpr size_t kSlabRoomMin = 2048;  // less room than this: read on in the next turn, into the next slab

struct Pump;

struct Peer {
  uv_poll_t poll;
  Pump* pump;
  uint32_t id;
  int fd;
};

// Several writes in one system call. Linux runs the writes of io_submit one after the other before it returns when the
// descriptors do not block (which is why it is not used for files here); the results lie in memory that is shared with
// the kernel. Where it cannot be had, the answers are sent one by one.
class Submission {
 public:
#ifdef __linux__
  ~Submission() {
    if (context_) syscall(SYS_io_destroy, context_);
  }
  bool Usable() {
    if (!tried_) {
      tried_ = true;
      if (syscall(SYS_io_setup, kEntriesMax, &context_) != 0) context_ = 0;
      if (context_ && Ring()->magic != kMagic) usable_ = false;
    }
    return context_ && usable_;
  }
  void Add(int fd, const char* bytes, uint32_t size) {
    iocb* write = &writes_[count_];
    memset(write, 0, sizeof *write);
    write->aio_data = count_;
    write->aio_lio_opcode = IOCB_CMD_PWRITE;
    write->aio_fildes = static_cast<uint32_t>(fd);
    write->aio_buf = reinterpret_cast<uint64_t>(bytes);
    write->aio_nbytes = size;
    list_[count_] = write;
    results_[count_++] = 0;
  }
  // Runs what was added; then Sent(i) is what the kernel took of the i-th: 0 also for an error.
  void Run() {
    const long run = syscall(SYS_io_submit, context_, count_, list_);
    if (run < 0) usable_ = false;
    Header* ring = Ring();
    long seen = 0;
    uint32_t head = ring->head;
    const uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    for (; head != tail; head = (head + 1) % ring->entries, seen++) Take(ring->events[head]);
    __atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
    for (io_event event; seen < run; seen++) {  // nothing, as long as the kernel does as said above
      while (syscall(SYS_io_getevents, context_, 1, 1, &event, nullptr) < 0 && errno == EINTR);
      Take(event);
      usable_ = false;
    }
    count_ = 0;
  }
  uint32_t Sent(uint32_t i) const { return results_[i]; }

 private:
  // The kernel's completion ring (struct aio_ring in its fs/aio.c; liburing's predecessor libaio reads it the same way).
  struct Header {
    uint32_t id, entries, head, tail, magic, compatible, incompatible, bytes;
    io_event events[1];
  };
  static constexpr uint32_t kMagic = 0xa10a10a1;
  void Take(const io_event& event) { results_[event.data] = event.res < 0 ? 0 : static_cast<uint32_t>(event.res); }
  Header* Ring() const { return reinterpret_cast<Header*>(context_); }

  aio_context_t context_ = 0;
  bool tried_ = false, usable_ = true;
  uint32_t count_ = 0;
  iocb writes_[kEntriesMax];
  iocb* list_[kEntriesMax];
  uint32_t results_[kEntriesMax];
#else
  bool Usable() { return false; }
  void Add(int, const char*, uint32_t) {}
  void Run() {}
  uint32_t Sent(uint32_t) const { return 0; }
#endif
};

struct Pump {
  napi_env env;
  uv_loop_t* loop;
  uv_check_t check;
  uv_prepare_t prepare;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  uint32_t* control = nullptr;
  char* outbox = nullptr;
  char* slab = nullptr;
  size_t slab_bytes = 0;
  napi_ref keep_control = nullptr, keep_outbox = nullptr, keep_slab = nullptr, on_reads = nullptr, on_left_over = nullptr;
  std::vector<Peer*> peers;
  std::vector<uint32_t> free_ids;
  uint32_t handles = 2;  // of libuv, not closed yet
  bool closing = false;
  Submission submission;
};

bool IsClosing(const Peer* peer) { return uv_is_closing(reinterpret_cast<const uv_handle_t*>(&peer->poll)); }

void ReadFrom(uv_poll_t* handle, int status, int) {
  auto* peer = static_cast<Peer*>(handle->data);
  Pump* pump = peer->pump;
  uint32_t* control = pump->control;
  const size_t room = pump->slab_bytes - control[kSlabUsed];
  if (control[kReads] == kReadsMax || room < kSlabRoomMin) return;  // the next turn reads it
  ssize_t got = status < 0 ? 0 : recv(peer->fd, pump->slab + control[kSlabUsed], std::min(room, kReadBytesMax), MSG_DONTWAIT);
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return;
    got = 0;
  }
  if (got == 0) uv_poll_stop(handle);
  uint32_t* entry = control + kReadsAt + 3 * control[kReads]++;
  entry[0] = peer->id;
  entry[1] = control[kSlabUsed];
  entry[2] = static_cast<uint32_t>(got);
  control[kSlabUsed] += static_cast<uint32_t>(got);
}

// Node ignores SIGPIPE, so that a write to a client that has gone is an error like any other.
uint32_t SendNow(int fd, const char* bytes, size_t size) {
  ssize_t sent;
  do sent = send(fd, bytes, size, MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? 0 : static_cast<uint32_t>(sent);
}

// Sends the outbox, which has one entry for a peer at most; true when something is left over for JavaScript.
bool SendOutbox(Pump* pump) {
  uint32_t* control = pump->control;
  uint32_t* const out = control + kOutAt;
  const uint32_t entries = control[kEntries];
  Submission& submission = pump->submission;
  const bool together = entries > 1 && submission.Usable();
  if (together) {
    for (uint32_t i = 0; i < entries; i++) {
      const uint32_t* entry = out + 3 * i;
      submission.Add(pump->peers[entry[0]]->fd, pump->outbox + entry[1], entry[2]);
    }
    submission.Run();
  }
  uint32_t left = 0;
  for (uint32_t i = 0; i < entries; i++) {
    const uint32_t peer = out[3 * i], start = out[3 * i + 1], bytes = out[3 * i + 2];
    const uint32_t sent = together ? submission.Sent(i) : SendNow(pump->peers[peer]->fd, pump->outbox + start, bytes);
    if (sent == bytes) continue;
    uint32_t* rest = out + 3 * left++;
    rest[0] = peer;
    rest[1] = start + sent;
    rest[2] = bytes - sent;
  }
  control[kEntries] = 0;
  control[kLeftOver] = left;
  if (left == 0) control[kOutboxUsed] = 0;
  return left > 0;
}

void Call(Pump* pump, napi_ref function) {
  napi_env env = pump->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value callback, receiver, result;
  napi_get_reference_value(env, function, &callback);
  napi_get_global(env, &receiver);
  if (napi_make_callback(env, nullptr, receiver, callback, 0, nullptr, &result) == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

void SendAndTell(Pump* pump) {
  if (pump->control[kEntries] > 0 && SendOutbox(pump)) Call(pump, pump->on_left_over);
}

void AfterPoll(uv_check_t* handle) {
  auto* pump = static_cast<Pump*>(handle->data);
  if (pump->control[kReads] == 0) return;
  Call(pump, pump->on_reads);
  SendAndTell(pump);
}

void BeforePoll(uv_prepare_t* handle) { SendAndTell(static_cast<Pump*>(handle->data)); }

// ── what JavaScript calls ──────────────────────────────────────────────────────────────────────────────────────────

struct Arguments {
  napi_env env;
  napi_value values[4];
  Pump* pump;
  Arguments(napi_env env, napi_callback_info info) : env(env) {
    size_t count = 4;
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, values, nullptr, &data);
    pump = static_cast<Pump*>(data);
  }
  int32_t Number(int i) const {
    int32_t value = -1;
    napi_get_value_int32(env, values[i], &value);
    return value;
  }
  char* Bytes(int i, size_t* size) const {
    void* data = nullptr;
    napi_get_buffer_info(env, values[i], &data, size);
    return static_cast<char*>(data);
  }
  Peer* PeerAt(int i) const {
    const int32_t id = Number(i);
    Peer* peer = id >= 0 && static_cast<size_t>(id) < pump->peers.size() ? pump->peers[id] : nullptr;
    return peer && !IsClosing(peer) ? peer : nullptr;
  }
};

void Keep(napi_env env, napi_ref* reference, napi_value value) {
  if (*reference) napi_delete_reference(env, *reference);
  napi_create_reference(env, value, 1, reference);
}

// attach(fd): the peer's number, or -1 when the descriptor cannot be used.
napi_value Attach(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Pump* pump = in.pump;
  int32_t id = -1;
  const int fd = fcntl(in.Number(0), F_DUPFD_CLOEXEC, 3);
  if (fd >= 0) {
    auto* peer = new Peer;
    if (uv_poll_init_socket(pump->loop, &peer->poll, fd) != 0) {
      delete peer;
      close(fd);
    } else {
      if (pump->free_ids.empty()) {
        id = static_cast<int32_t>(pump->peers.size());
        pump->peers.push_back(peer);
      } else {
        id = static_cast<int32_t>(pump->free_ids.back());
        pump->free_ids.pop_back();
        pump->peers[id] = peer;
      }
      peer->poll.data = peer;
      peer->pump = pump;
      peer->id = static_cast<uint32_t>(id);
      peer->fd = fd;
      pump->handles++;
      uv_poll_start(&peer->poll, UV_READABLE, ReadFrom);
    }
  }
  napi_value result;
  napi_create_int32(env, id, &result);
  return result;
}

// One of libuv's handles has been closed; with the last one, at the end of the environment, the pump goes.
void Forget(Pump* pump) {
  if (--pump->handles > 0 || !pump->closing) return;
  napi_remove_async_cleanup_hook(pump->cleanup);
  delete pump;
}

void Release(Peer* peer) {
  uv_close(reinterpret_cast<uv_handle_t*>(&peer->poll), [](uv_handle_t* handle) {
    auto* peer = static_cast<Peer*>(handle->data);
    Pump* pump = peer->pump;
    close(peer->fd);
    pump->peers[peer->id] = nullptr;
    pump->free_ids.push_back(peer->id);
    delete peer;
    Forget(pump);
  });
}

// detach(peer): lets the socket go. The number is another's only in a later turn. The outbox must have nothing for it.
napi_value Detach(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Peer* peer = in.PeerAt(0);
  if (peer) Release(peer);
  return nullptr;
}

// read(peer, on)
napi_value Read(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Peer* peer = in.PeerAt(0);
  bool on = false;
  napi_get_value_bool(env, in.values[1], &on);
  if (!peer) return nullptr;
  if (on) {
    uv_poll_start(&peer->poll, UV_READABLE, ReadFrom);
  } else {
    uv_poll_stop(&peer->poll);
  }
  return nullptr;
}

// send(): the outbox; the left-over entries are then in `control`.
napi_value Send(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  size_t count = 0;
  napi_get_cb_info(env, info, &count, nullptr, nullptr, &data);
  SendOutbox(static_cast<Pump*>(data));
  return nullptr;
}

// sendBytes(peer, buffer, bytes): how many the kernel took.
napi_value SendBytes(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Peer* peer = in.PeerAt(0);
  size_t size = 0;
  const char* bytes = in.Bytes(1, &size);
  napi_value result;
  napi_create_uint32(env, peer ? SendNow(peer->fd, bytes, static_cast<size_t>(in.Number(2))) : 0, &result);
  return result;
}

// slab(buffer): what is read from now on goes there.
napi_value Slab(napi_env env, napi_callback_info info) {
  Arguments in(env, info);
  Keep(env, &in.pump->keep_slab, in.values[0]);
  in.pump->slab = in.Bytes(0, &in.pump->slab_bytes);
  in.pump->control[kSlabUsed] = 0;
  return nullptr;
}

// The environment ends: an asynchronous hook, because libuv lets go of handles in its loop.
void CleanUp(napi_async_cleanup_hook_handle, void* data) {
  auto* pump = static_cast<Pump*>(data);
  pump->closing = true;
  for (Peer* peer : pump->peers) {
    if (peer && !IsClosing(peer)) Release(peer);
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&pump->check), [](uv_handle_t* h) { Forget(static_cast<Pump*>(h->data)); });
  uv_close(reinterpret_cast<uv_handle_t*>(&pump->prepare), [](uv_handle_t* h) { Forget(static_cast<Pump*>(h->data)); });
}

// open(control, outbox, onReads, onLeftOver): an object of functions.
napi_value Open(napi_env env, napi_callback_info info) {
  auto* pump = new Pump;
  Arguments in(env, info);
  pump->env = env;
  size_t size = 0;
  pump->control = reinterpret_cast<uint32_t*>(in.Bytes(0, &size));
  pump->outbox = in.Bytes(1, &size);
  Keep(env, &pump->keep_control, in.values[0]);
  Keep(env, &pump->keep_outbox, in.values[1]);
  Keep(env, &pump->on_reads, in.values[2]);
  Keep(env, &pump->on_left_over, in.values[3]);
  napi_get_uv_event_loop(env, &pump->loop);
  uv_check_init(pump->loop, &pump->check);
  uv_prepare_init(pump->loop, &pump->prepare);
  pump->check.data = pump->prepare.data = pump;
  uv_check_start(&pump->check, AfterPoll);
  uv_prepare_start(&pump->prepare, BeforePoll);
  uv_unref(reinterpret_cast<uv_handle_t*>(&pump->check));
  uv_unref(reinterpret_cast<uv_handle_t*>(&pump->prepare));
  napi_add_async_cleanup_hook(env, CleanUp, pump, &pump->cleanup);

  napi_value result;
  napi_create_object(env, &result);
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {{"attach", Attach}, {"detach", Detach},       {"read", Read},
                   {"send", Send},     {"sendBytes", SendBytes}, {"slab", Slab}};
  for (const auto& f : functions) {
    napi_value function;
    napi_create_function(env, f.name, NAPI_AUTO_LENGTH, f.function, pump, &function);
    napi_set_named_property(env, result, f.name, function);
  }
  return result;
}

napi_value Init(napi_env env, napi_value exports) {
  napi_value open, words;
  napi_create_function(env, "open", NAPI_AUTO_LENGTH, Open, nullptr, &open);
  napi_set_named_property(env, exports, "open", open);
  napi_create_uint32(env, kControlWords, &words);
  napi_set_named_property(env, exports, "controlWords", words);
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
