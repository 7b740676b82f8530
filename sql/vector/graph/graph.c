/*
 * The graph's own work: searching a layer, choosing neighbours, linking a slot, scanning slots exactly. layout.ts draws
 * the memory; graph.ts owns it. Algorithms 1 to 5 of Malkov and Yashunin, "Efficient and robust approximate nearest
 * neighbor search using hierarchical navigable small world graphs" (2016).
 *
 * Threads: each calls with a context of its own and shares the records. A list of links is changed by whoever holds its
 * node's lock, ids before the count; readers take no lock. A torn list is a list all the same: every word of it that was
 * ever counted names a slot whose vector was complete before it could be named. A node's own lists are all written
 * before the first other node names it.
 */
#include "../../types/vector/kernel.h"

#ifndef LOWEST_CHOSEN
#define LOWEST_CHOSEN(G) ((G)->m)
#endif

typedef struct {
  u32 stride, records, upper, upper_stride; /* record `s` begins at records + s * stride; upper: words per layer */
  u32 kind, groups, m, ef_construction;
  u32 slots, entry, lock, next; /* entry: slot + 1, 0: nobody linked yet; next: the slot to be linked next */
  u32 vector, element_bytes, heads, unused;
} Graph;

/* Followed by 2m ids, the links of the lowest layer; then, at graph.vector, by the vector. Right before the vector, in
   its first cache line, lies its scale: 1 / |v| where the metric is cosine, else 1. */
typedef struct {
  double created, deleted;
  u32 lock, upper; /* upper: address of level, then for each layer from 1 a count and m ids; 0: level 0 */
  u32 count, ids[];
} Record;

typedef struct {
  double at;
  u32 query; float scale;
  u32 allow, allowed; /* bitmap, and how many slots it speaks of; allow 0: all */
  u32 from, until, effort, state;
  u32 visited, near, open, rest; /* counts */
  u32 table_bits, seen, table, spare;
  i64 last; /* the sweep's last answer ended here */
  u32 position, expanded, query_bytes;
  /* addresses, set once */
  u32 near_at, open_at, rest_at, table_at[2], decode_at[2], picks_at, list_at, query_at, allow_at, image_at;
} Context;

enum { HEAP_MAX = 131072, TABLE_BITS_MAX = 18, SEEN_MAX = 131072, RETURNED = 0x80000000u };
/* WALKED and SWEPT: an answer lies in NEAR. */
enum { WALKING, WALKED, SWEEPING, SWEPT, OVER };
enum { MORE, ROUND, NOTHING };
#define INFINITE __builtin_inff()
#define KEY_MIN ((i64)1 << 63)

#define INLINE static inline __attribute__((always_inline))
#define AT(TYPE, ADDRESS) ((TYPE *)(ADDRESS))

INLINE Record *record(const Graph *g, u32 slot) { return AT(Record, g->records + slot * g->stride); }
INLINE const char *vector(const Graph *g, u32 slot) { return AT(char, g->records + slot * g->stride + g->vector); }
INLINE float *scale_at(const Graph *g, u32 slot) { return AT(float, g->records + slot * g->stride + g->vector - 4); }
INLINE u32 level(const Graph *g, u32 slot) {
  u32 upper = record(g, slot)->upper;
  return upper ? *AT(u32, upper) : 0;
}
/* A count, then the ids. */
INLINE u32 *links(const Graph *g, u32 slot, u32 layer) {
  Record *r = record(g, slot);
  return layer == 0 ? &r->count : AT(u32, r->upper + 4) + (layer - 1) * g->upper_stride;
}

/* ---------------------------------------------------------------------------------------------------- distances */

INLINE float finish(const Graph *g, float raw, float scale, const float *stored) {
  u32 metric = g->kind & 7;
  float d = metric == METRIC_COSINE ? 1 - raw * scale * *stored : metric == METRIC_IP ? -raw : raw;
  return d != d ? INFINITE : d;
}
INLINE float measure(const Graph *g, const char *q, float scale, u32 slot) {
  return finish(g, measure_one(g->kind, q, vector(g, slot), g->groups), scale, scale_at(g, slot));
}
INLINE v128_t measure4(const Graph *g, const char *q, float scale, const u32 *slots) {
  u32 a = slots[0], b = slots[1], c = slots[2], d = slots[3];
  v128_t raw = measure_four(g->kind, q, vector(g, a), vector(g, b), vector(g, c), vector(g, d), g->groups);
  u32 metric = g->kind & 7;
  if (metric == METRIC_COSINE) {
    v128_t scales = wasm_f32x4_make(*scale_at(g, a), *scale_at(g, b), *scale_at(g, c), *scale_at(g, d));
    scales = wasm_f32x4_mul(wasm_f32x4_splat(scale), scales);
    raw = wasm_f32x4_sub(wasm_f32x4_const_splat(1), wasm_f32x4_mul(raw, scales));
  } else if (metric == METRIC_IP) raw = wasm_f32x4_neg(raw);
  return wasm_v128_bitselect(raw, wasm_f32x4_splat(INFINITE), wasm_f32x4_eq(raw, raw));
}
/* Distances of the `count` slots; both arrays have room for three more. */
INLINE void measure_all(const Graph *g, const char *q, float scale, u32 *slots, u32 count, float *out) {
  if (count == 0) return;
  for (u32 i = count; i & 3; i++) slots[i] = slots[count - 1];
  for (u32 i = 0; i < count; i += 4) wasm_v128_store(out + i, measure4(g, q, scale, slots + i));
}
/* A stored vector as a query; halves are decoded to `decoded`. */
INLINE const char *as_query(const Graph *g, u32 slot, u32 decoded) {
  const char *v = vector(g, slot);
  if (g->kind >> 3 != F16) return v;
  half_to_float(v, AT(char, decoded), g->groups);
  return AT(char, decoded);
}

/* ------------------------------------------------ a distance and its slot in one number, ordered as the distance is */

INLINE i64 key(float d, u32 slot) {
  i32 bits = __builtin_bit_cast(i32, d + 0.0f);
  return (i64)(bits ^ ((bits >> 31) & 0x7fffffff)) << 32 | slot;
}
INLINE u32 slot_of(i64 k) { return (u32)k & ~RETURNED; }
INLINE float distance_of(i64 k) {
  i32 bits = (i32)(k >> 32);
  return __builtin_bit_cast(float, bits ^ ((bits >> 31) & 0x7fffffff));
}

/* Heaps of keys: the least first, or (NEAR) the greatest first. */
#define HEAP(NAME, BEFORE)                                                                                             \
  INLINE void NAME##_down(i64 *h, u32 n, u32 i, i64 k) {                                                               \
    for (u32 c; (c = 2 * i + 1) < n; i = c) {                                                                          \
      if (c + 1 < n && h[c + 1] BEFORE h[c]) c++;                                                                      \
      if (!(h[c] BEFORE k)) break;                                                                                     \
      h[i] = h[c];                                                                                                     \
    }                                                                                                                  \
    h[i] = k;                                                                                                          \
  }                                                                                                                    \
  INLINE void NAME##_push(i64 *h, u32 n, i64 k) {                                                                      \
    u32 i = n;                                                                                                         \
    for (u32 p; i > 0 && k BEFORE h[p = (i - 1) >> 1]; i = p) h[i] = h[p];                                             \
    h[i] = k;                                                                                                          \
  }
HEAP(least, <)
HEAP(greatest, >)

/* Ascending, in place. */
static void sort(i64 *near, u32 n) {
  while (n > 1) {
    i64 top = near[0], last = near[--n];
    greatest_down(near, n, 0, last);
    near[n] = top;
  }
}

/* -------------------------------------------------------------------- slots seen: a table of slot + 1, open addressing */

INLINE u32 hashed(u32 slot, u32 bits) { return (slot * 0x9e3779b1u) >> (32 - bits); }
INLINE u32 *found(u32 *table, u32 bits, u32 slot) {
  u32 mask = (1u << bits) - 1, i = hashed(slot, bits);
  while (table[i] && (table[i] & ~RETURNED) != slot + 1) i = (i + 1) & mask;
  return table + i;
}
static void clear_table(Context *c, u32 effort) {
  u32 bits = 10;
  while (bits < 16 && 1u << bits < effort * 48) bits++;
  c->table_bits = bits;
  c->seen = 0;
  c->table = c->table_at[0];
  c->spare = c->table_at[1];
  __builtin_memset(AT(u32, c->table), 0, 4u << bits);
}
static void grow_table(Context *c) {
  u32 *from = AT(u32, c->table), n = 1u << c->table_bits, *to = AT(u32, c->spare);
  c->table_bits++;
  __builtin_memset(to, 0, 4u << c->table_bits);
  for (u32 i = 0; i < n; i++)
    if (from[i]) *found(to, c->table_bits, (from[i] & ~RETURNED) - 1) = from[i];
  u32 table = c->table;
  c->table = c->spare;
  c->spare = table;
}

/* ------------------------------------------------------------------------------------------------------- one layer */

INLINE int is_wanted(const Graph *g, const Context *c, u32 slot) {
  if (slot >= c->until) return 0;
  if (c->allow && (slot >= c->allowed || !(AT(unsigned char, c->allow)[slot >> 3] >> (slot & 7) & 1))) return 0;
  const Record *r = record(g, slot);
  return r->created <= c->at && c->at < r->deleted;
}

/* Towards the query on the layers `top` to `bottom`, to the nearest that one step reaches. */
static u32 descend(const Graph *g, Context *c, const char *q, float scale, u32 at, u32 top, u32 bottom) {
  u32 slots[4 + 200];
  float out[4 + 200];
  float best = measure(g, q, scale, at);
  for (u32 layer = top; layer >= bottom && layer > 0; layer--) {
    for (int moved = 1; moved;) {
      moved = 0;
      const u32 *list = links(g, at, layer);
      u32 n = list[0];
      for (u32 i = 0; i < n; i++) slots[i] = list[1 + i];
      measure_all(g, q, scale, slots, n, out);
      c->visited += n;
      for (u32 i = 0; i < n; i++)
        if (out[i] < best) best = out[i], at = slots[i], moved = 1;
    }
  }
  return at;
}

/* The neighbours of `slot` on `layer` that were not seen before, into `slots`. */
INLINE u32 unseen(const Graph *g, Context *c, u32 slot, u32 layer, u32 *slots) {
  if (c->seen * 2 + 1024 > 1u << c->table_bits) grow_table(c);
  const u32 *list = links(g, slot, layer);
  u32 n = list[0], bits = c->table_bits, mask = (1u << bits) - 1, *table = AT(u32, c->table), count = 0;
  for (u32 j = 0; j < n; j++) {
    u32 x = list[1 + j], i = hashed(x, bits);
    for (; table[i]; i = (i + 1) & mask)
      if ((table[i] & ~RETURNED) == x + 1) goto seen;
    table[i] = x + 1;
    slots[count++] = x;
  seen:;
  }
  c->seen += count;
  c->visited += count;
  return count;
}

/* The `ef` nearest on a layer, ascending in NEAR: for linking, so every node counts and nothing is kept for later. */
static u32 nearest(const Graph *g, Context *c, const char *q, float scale, u32 start, u32 ef, u32 layer) {
  u32 slots[4 + 200];
  float out[4 + 200];
  i64 *near = AT(i64, c->near_at), *open = AT(i64, c->open_at);
  clear_table(c, ef);
  *found(AT(u32, c->table), c->table_bits, start) = start + 1;
  c->seen = 1;
  near[0] = open[0] = key(measure(g, q, scale, start), start);
  u32 n = 1, o = 1;
  while (o > 0) {
    i64 k = open[0];
    if (n == ef && k > near[0]) break;
    o--;
    if (o > 0) least_down(open, o, 0, open[o]);
    if (c->seen + 256 > SEEN_MAX) break;
    u32 count = unseen(g, c, slot_of(k), layer, slots);
    measure_all(g, q, scale, slots, count, out);
    for (u32 i = 0; i < count; i++) {
      i64 x = key(out[i], slots[i]);
      if (n < ef) greatest_push(near, n++, x);
      else if (x < near[0]) greatest_down(near, n, 0, x);
      else continue;
      least_push(open, o++, x);
    }
  }
  sort(near, n);
  return n;
}

/* --------------------------------------------------------------------------------------------------------- linking */

/* Of ascending candidates those that are nearer to the node than to any one chosen before, at most `max` (algorithm 4). */
static u32 choose(const Graph *g, Context *c, const i64 *from, u32 count, u32 max, i64 *chosen) {
  u32 ids[4 + 200];
  u32 n = 0;
  for (u32 i = 0; i < count && n < max; i++) {
    u32 slot = slot_of(from[i]);
    float d = distance_of(from[i]);
    if (n > 0) {
      const char *q = as_query(g, slot, c->decode_at[1]);
      float scale = *scale_at(g, slot);
      v128_t limit = wasm_f32x4_splat(d);
      u32 j = 0;
      for (; j < n; j += 4)
        if (wasm_v128_any_true(wasm_f32x4_lt(measure4(g, q, scale, ids + j), limit))) break;
      if (j < n) continue;
    }
    chosen[n] = from[i];
    for (u32 j = n; j < n + 4; j++) ids[j] = slot;
    n++;
  }
  return n;
}

INLINE void take(u32 *lock) {
  u32 expected = 0;
  while (!__atomic_compare_exchange_n(lock, &expected, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) expected = 0;
}
INLINE void release(u32 *lock) { __atomic_store_n(lock, 0, __ATOMIC_SEQ_CST); }

INLINE void write_list(u32 *list, const i64 *chosen, u32 count) {
  for (u32 i = 0; i < count; i++) list[1 + i] = slot_of(chosen[i]);
  __atomic_store_n(list, count, __ATOMIC_SEQ_CST);
}

/* `node` gets a link to `slot`; when it has no room for one more, the worst of its neighbours go. */
static void connect(const Graph *g, Context *c, u32 node, u32 slot, float d, u32 layer) {
  u32 slots[8 + 200];
  float out[8 + 200];
  i64 keys[8 + 200], chosen[8 + 200];
  u32 max = layer == 0 ? 2 * g->m : g->m;
  take(&record(g, node)->lock);
  u32 *list = links(g, node, layer), n = list[0];
  int there = 0;
  for (u32 i = 0; i < n; i++) there |= list[1 + i] == slot;
  if (!there && n < max) {
    list[1 + n] = slot;
    __atomic_store_n(list, n + 1, __ATOMIC_SEQ_CST);
  } else if (!there) {
    for (u32 i = 0; i < n; i++) slots[i] = list[1 + i];
    const char *q = as_query(g, node, c->decode_at[0]);
    measure_all(g, q, *scale_at(g, node), slots, n, out);
    for (u32 i = 0; i < n; i++) greatest_push(keys, i, key(out[i], slots[i]));
    greatest_push(keys, n, key(d, slot));
    sort(keys, n + 1);
    write_list(list, chosen, choose(g, c, keys, n + 1, max, chosen));
  }
  release(&record(g, node)->lock);
}

/* The node's list on a layer is chosen anew from the `count` slots at `list`: after nodes were taken out of the graph. */
EXPORT(choose_again) void choose_again(const Graph *g, Context *c, u32 node, u32 layer, u32 *list, u32 count) {
  u32 max = layer == 0 ? 2 * g->m : g->m;
  i64 *near = AT(i64, c->near_at), chosen[8 + 200];
  const char *q = as_query(g, node, c->decode_at[0]);
  for (u32 i = 0; i < count; i++)
    greatest_push(near, i, key(measure(g, q, *scale_at(g, node), list[i]), list[i]));
  sort(near, count);
  write_list(links(g, node, layer), chosen, choose(g, c, near, count, max, chosen));
}

INLINE int is_head(const Graph *g, u32 slot) {
  return !g->heads || AT(unsigned char, g->heads)[slot >> 3] >> (slot & 7) & 1;
}

EXPORT(link) void link_slot(Graph *g, Context *c, u32 slot) {
  u32 mine = level(g, slot);
  u32 entry = __atomic_load_n(&g->entry, __ATOMIC_SEQ_CST);
  if (entry == 0) {
    take(&g->lock);
    if (g->entry == 0) __atomic_store_n(&g->entry, slot + 1, __ATOMIC_SEQ_CST), entry = slot + 1;
    else entry = g->entry;
    release(&g->lock);
    if (entry == slot + 1) return;
  }
  u32 at = entry - 1, top = level(g, at);
  const char *q = as_query(g, slot, c->query_at);
  float scale = *scale_at(g, slot);
  if (top > mine) at = descend(g, c, q, scale, at, top, mine + 1);
  u32 highest = mine < top ? mine : top;
  i64 *near = AT(i64, c->near_at), *picks = AT(i64, c->picks_at);
  u32 picked[32];
  for (u32 layer = highest;; layer--) {
    u32 n = nearest(g, c, q, scale, at, g->ef_construction, layer);
    at = slot_of(near[0]);
    u32 max = layer == 0 ? LOWEST_CHOSEN(g) : g->m;
    i64 *chosen = picks + layer * 256;
    picked[layer] = choose(g, c, near, n, max, chosen);
    write_list(links(g, slot, layer), chosen, picked[layer]);
    if (layer == 0) break;
  }
  for (u32 layer = 0; layer <= highest; layer++)
    for (u32 i = 0; i < picked[layer]; i++) {
      i64 k = picks[layer * 256 + i];
      connect(g, c, slot_of(k), slot, distance_of(k), layer);
    }
  if (mine > top) {
    take(&g->lock);
    if (mine > level(g, g->entry - 1)) __atomic_store_n(&g->entry, slot + 1, __ATOMIC_SEQ_CST);
    release(&g->lock);
  }
}

/* Links what comes next, at most `count` slots, all below `until`. Threads share the counter. 0: there is nothing left. */
EXPORT(link_some) u32 link_some(Graph *g, Context *c, u32 until, u32 count) {
  for (u32 i = 0; i < count; i++) {
    u32 slot = __atomic_fetch_add(&g->next, 1, __ATOMIC_SEQ_CST);
    if (slot >= until) return 0;
    if (is_head(g, slot)) link_slot(g, c, slot);
  }
  return 1;
}

/* ----------------------------------------------------------------------------------------------- queries and images */

static float scale_of(const Graph *g, u32 element, const char *q) {
  if ((g->kind & 7) != METRIC_COSINE) return 1;
  float squares = measure_one(KIND(element, METRIC_COSINE), q, q, g->groups);
  return squares > 0 && squares < INFINITE ? (float)(1 / __builtin_sqrt((double)squares)) : 0;
}
/* After a slot's vector was written. */
EXPORT(stored) void stored(const Graph *g, Context *c, u32 slot) {
  u32 element = g->kind >> 3;
  *scale_at(g, slot) = scale_of(g, element == F16 ? F32 : element, as_query(g, slot, c->decode_at[0]));
}
/* After a query's bytes were written, padded: of halves where the first decoded vector lies, else where the query does. */
EXPORT(asked) void asked(const Graph *g, Context *c) {
  u32 element = g->kind >> 3;
  if (element == F16) half_to_float(AT(char, c->decode_at[0]), AT(char, c->query_at), g->groups);
  c->query = c->query_at;
  c->scale = scale_of(g, element == F16 ? F32 : element, AT(char, c->query));
}

INLINE u32 piece(u32 to, u32 from, u32 bytes) {
  __builtin_memcpy(AT(char, to), AT(char, from), bytes);
  return to + ((bytes + 7) & ~7u);
}
/* A search as bytes, so that another context (another thread's) may go on with it: header, NEAR, the rest. Gives its size. */
EXPORT(save) u32 save(Context *c) {
  u32 at = piece(c->image_at, (u32)c, sizeof(Context));
  at = piece(at, c->near_at, c->near * 8);
  at = piece(at, c->open_at, c->open * 8);
  at = piece(at, c->rest_at, c->rest * 8);
  at = piece(at, c->table, c->seen ? 4u << c->table_bits : 0);
  at = piece(at, c->query_at, c->query_bytes);
  at = piece(at, c->allow_at, c->allow ? (c->allowed + 7) >> 3 : 0);
  return at - c->image_at;
}
INLINE u32 back(u32 from, u32 to, u32 bytes) {
  __builtin_memcpy(AT(char, to), AT(char, from), bytes);
  return from + ((bytes + 7) & ~7u);
}
/* The image lies at image_at. */
EXPORT(load) void load(Context *c) {
  u32 at = c->image_at;
  __builtin_memcpy(c, AT(char, at), __builtin_offsetof(Context, near_at));
  at += sizeof(Context);
  c->table = c->table_at[0];
  c->spare = c->table_at[1];
  c->query = c->query_at;
  if (c->allow) c->allow = c->allow_at;
  at = back(at, c->near_at, c->near * 8);
  at = back(at, c->open_at, c->open * 8);
  at = back(at, c->rest_at, c->rest * 8);
  at = back(at, c->table, c->seen ? 4u << c->table_bits : 0);
  at = back(at, c->query_at, c->query_bytes);
  back(at, c->allow_at, c->allow ? (c->allowed + 7) >> 3 : 0);
}

/* ------------------------------------------------------------------------------------------------------- searching */

INLINE void offer(Context *c, i64 *near, i64 *rest, i64 x) {
  if (c->near < c->effort) greatest_push(near, c->near++, x);
  else if (x < near[0]) {
    rest[c->rest++] = near[0] | RETURNED;
    greatest_down(near, c->near, 0, x);
  } else rest[c->rest++] = x | RETURNED;
}

/* The sweep: every slot that was not returned, in order of key; `list` names them or is 0. A NEAR full is an answer. */
EXPORT(sweep) u32 sweep(const Graph *g, Context *c, const u32 *list, u32 until, u32 budget) {
  u32 slots[8];
  float out[8];
  i64 *near = AT(i64, c->near_at);
  const char *q = AT(char, c->query);
  u32 *table = AT(u32, c->table), n = 0, i = c->position;
  u32 end = until - i > budget ? i + budget : until;
  for (; i < end || n > 0;) {
    if (i < end) {
      u32 slot = list ? list[i] : i;
      i++;
      if (!is_head(g, slot) || !is_wanted(g, c, slot)) continue;
      slots[n++] = slot;
      if (n < 4 && i < end) continue;
    }
    measure_all(g, q, c->scale, slots, n, out);
    c->visited += n;
    for (u32 j = 0; j < n; j++) {
      i64 x = key(out[j], slots[j]);
      if (x <= c->last || (c->near == c->effort && x >= near[0])) continue;
      if (c->seen && *found(table, c->table_bits, slots[j]) & RETURNED) continue;
      if (c->near < c->effort) greatest_push(near, c->near++, x);
      else greatest_down(near, c->near, 0, x);
    }
    n = 0;
  }
  c->position = i;
  return i < until ? MORE : ROUND;
}

static void start_sweep(Context *c) {
  c->near = c->open = 0;
  c->position = c->from;
  c->state = SWEEPING;
}

/* The context's query, scale, at, allow, from, until and effort are set. An exact search is a sweep from the beginning. */
EXPORT(begin_exact) void begin_exact(Context *c) {
  c->rest = c->visited = c->seen = c->expanded = 0;
  c->last = KEY_MIN;
  start_sweep(c);
}
/* The next chunk of a list of slots is swept from its beginning; its answer is put in order. */
EXPORT(begin_list) void begin_list(Context *c) { c->position = 0; }
EXPORT(end_list) u32 end_list(Context *c) {
  i64 *near = AT(i64, c->near_at);
  sort(near, c->near);
  if (c->near > 0) c->last = near[c->near - 1];
  return c->near;
}

EXPORT(begin) void begin(const Graph *g, Context *c) {
  begin_exact(c);
  if (g->entry == 0) return;
  u32 entry = g->entry - 1;
  const char *q = AT(char, c->query);
  u32 at = descend(g, c, q, c->scale, entry, level(g, entry), 1);
  clear_table(c, c->effort);
  *found(AT(u32, c->table), c->table_bits, at) = at + 1;
  c->seen = 1;
  i64 k = key(measure(g, q, c->scale, at), at);
  AT(i64, c->open_at)[0] = k;
  c->open = 1;
  if (is_wanted(g, c, at)) AT(i64, c->near_at)[c->near++] = k;
  c->state = WALKING;
}

/* NEAR was handed out: what lies behind it. */
static void begin_round(const Graph *g, Context *c) {
  i64 *near = AT(i64, c->near_at), *open = AT(i64, c->open_at), *rest = AT(i64, c->rest_at);
  for (u32 i = 0; i < c->near; i++) *found(AT(u32, c->table), c->table_bits, slot_of(near[i])) |= RETURNED;
  u32 count = c->rest;
  c->near = c->rest = 0;
  for (u32 i = 0; i < count; i++) {
    i64 x = rest[i];
    u32 slot = slot_of(x);
    if (!((u32)x & RETURNED)) {
      least_push(open, c->open++, x);
      if (!is_wanted(g, c, slot)) continue;
    }
    offer(c, near, rest, x & ~(i64)RETURNED);
  }
  c->state = WALKING;
}

/*
 * Goes on with a search until an answer lies ascending in NEAR (ROUND), there is none any more (NOTHING), or about
 * `budget` more distances were computed (MORE).
 *
 *   OPEN  seen and not walked from: the least is next
 *   NEAR  the best of this round
 *   REST  seen and neither: for the next round; with RETURNED's bit what is (or was) in OPEN already
 */
EXPORT(run) u32 run(const Graph *g, Context *c, u32 budget) {
  u32 slots[8 + 200];
  float out[8 + 200];
  i64 *near = AT(i64, c->near_at), *open = AT(i64, c->open_at), *rest = AT(i64, c->rest_at);
  const char *q = AT(char, c->query);
  u32 stop = c->visited + budget, all = c->effort;
  if (c->state == WALKED) begin_round(g, c);
  if (c->state == WALKING) {
    while (c->open > 0) {
      i64 k = open[0];
      if (c->near == all && k > near[0]) break;
      if (c->visited >= stop) return MORE;
      if (c->seen + 512 > SEEN_MAX || c->open + 512 > HEAP_MAX || c->rest + 512 > HEAP_MAX) {
        /* Too far for walking: the sweep finds the rest. What NEAR holds was not returned and is found again. */
        c->near = c->open = 0;
        break;
      }
      c->open--;
      if (c->open > 0) least_down(open, c->open, 0, open[c->open]);
      c->expanded++;
      u32 count = unseen(g, c, slot_of(k), 0, slots);
      measure_all(g, q, c->scale, slots, count, out);
      for (u32 i = 0; i < count; i++) {
        i64 x = key(out[i], slots[i]);
        if (c->near == all && x > near[0]) {
          rest[c->rest++] = x;
          continue;
        }
        least_push(open, c->open++, x);
        if (is_wanted(g, c, slots[i])) offer(c, near, rest, x);
      }
    }
    if (c->near > 0) {
      c->state = WALKED;
      sort(near, c->near);
      return ROUND;
    }
    start_sweep(c);
  } else if (c->state == SWEPT) {
    c->last = near[c->near - 1];
    if (c->near < all) c->state = OVER;
    else start_sweep(c);
  }
  if (c->state == OVER) return NOTHING;
  if (sweep(g, c, 0, c->until, budget) == MORE) return MORE;
  c->state = c->near > 0 ? SWEPT : OVER;
  if (c->near == 0) return NOTHING;
  sort(near, c->near);
  return ROUND;
}
