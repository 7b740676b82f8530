/*
 * The graph's own work: searching a layer, choosing neighbours, linking a slot, scanning slots exactly. layout.ts draws
 * the memory; graph.ts owns it. Algorithms 1 to 5 of Malkov and Yashunin, "Efficient and robust approximate nearest
 * neighbor search using hierarchical navigable small world graphs" (2016).
 *
 * Threads: each calls with a context of its own and shares the records. A list of links is changed by whoever holds its
 * node's lock, ids before the count; readers take no lock. A torn list is a list all the same: an id that is read while it
 * is written may be of two halves, but every slot below `slots` has a complete vector, and other ids are passed over. A
 * node's own lists are all written before the first other node names it.
 */
#include "../../types/vector/kernel.h"


typedef struct {
  u32 stride, records, upper, upper_stride; /* bytes of a record; the first block; upper: bytes per layer */
  u32 kind, groups, m, ef_construction;
  u32 slots, entry, lock, next; /* entry: slot + 1, 0: nobody linked yet; next: the slot to be linked next */
  u32 scale, heads;             /* scale: in the record */
  u32 block_bits, block_bytes;  /* a block has 2^block_bits slots: their records, codes, vectors */
  u32 vectors, vector_stride, codes, code_stride, code_groups; /* places in a block; code_groups of eight elements */
  u32 coded, tried, poor;       /* coded: walks measure codes, or upper halves; tried, poor: how well they did */
  u32 dead;                     /* slots; the owner counts them */
} Graph;

typedef struct {
  u16 count;
  unsigned char ids[]; /* three bytes each */
} List;

/*
 * `links`: of the lowest layer, up to 2m. Behind them, at graph.scale, 1 / |v| where the metric is cosine, else 1; where
 * there are codes it lies in the code.
 */
typedef struct {
  double created, deleted;
  u32 upper; /* address of a u16, the level, then for each layer from 1 a list of up to m; 0: level 0 */
  u16 lock;
  List links;
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
  u32 code; float code_scale, code_norm; /* of the query; code: bytes behind its floats, 0: the walk measures floats */
  u32 kind;                              /* what they are measured against then */
  /* addresses, set once */
  u32 near_at, open_at, rest_at, table_at[2], decode_at[2], code_at, picks_at, list_at, query_at, allow_at, image_at;
  u32 touched; /* what touch() loaded: kept, so that it is loaded */
} Context;

enum { HEAP_MAX = 131072, TABLE_BITS_MAX = 18, SEEN_MAX = 131072, RETURNED = 0x80000000u };
/* WALKED and SWEPT: an answer lies in NEAR. */
enum { WALKING, WALKED, SWEEPING, SWEPT, OVER };
enum { MORE, ROUND, NOTHING };
#define INFINITE __builtin_inff()
#define KEY_MIN ((i64)1 << 63)

#define INLINE static inline __attribute__((always_inline))
#define AT(TYPE, ADDRESS) ((TYPE *)(ADDRESS))

/* A vector in 8 bits an element: v is about `step` * element. */
typedef struct {
  float scale, norm; /* cosine: 1 / |elements| and 1 / |v|; else the step, and for l2 |step * elements|^2 */
  signed char elements[];
} Code;

/* What distances are measured from: by its code if it has one. */
typedef struct {
  const char *floats, *code; /* code: 16 bits an element */
  float scale, code_scale, code_norm;
  u32 kind; /* what walks measure where there is no code: the graph's, or UPPER */
} Query;

INLINE u32 block(const Graph *g, u32 slot) { return g->records + (slot >> g->block_bits) * g->block_bytes; }
INLINE u32 place(const Graph *g, u32 slot) { return slot & ((1u << g->block_bits) - 1); }
INLINE Record *record(const Graph *g, u32 slot) { return AT(Record, block(g, slot) + place(g, slot) * g->stride); }
INLINE const char *vector(const Graph *g, u32 slot) {
  return AT(char, block(g, slot) + g->vectors + place(g, slot) * g->vector_stride);
}
INLINE Code *code(const Graph *g, u32 slot) {
  return AT(Code, block(g, slot) + g->codes + place(g, slot) * g->code_stride);
}
INLINE float *scale_at(const Graph *g, u32 slot) {
  return g->code_groups ? &code(g, slot)->norm : (float *)((char *)record(g, slot) + g->scale);
}
INLINE u32 level(const Graph *g, u32 slot) {
  u32 upper = record(g, slot)->upper;
  return upper ? *AT(u16, upper) : 0;
}
INLINE List *links(const Graph *g, u32 slot, u32 layer) {
  Record *r = record(g, slot);
  return layer == 0 ? &r->links : AT(List, r->upper + 2 + (layer - 1) * g->upper_stride);
}
/* Memory goes on behind the last id. */
INLINE u32 id_at(const List *list, u32 i) {
  u32 word;
  __builtin_memcpy(&word, list->ids + 3 * i, 4);
  return word & 0xffffff;
}
INLINE void set_id(List *list, u32 i, u32 slot) {
  u16 low = (u16)slot;
  __builtin_memcpy(list->ids + 3 * i, &low, 2);
  list->ids[3 * i + 2] = (unsigned char)(slot >> 16);
}
/* The ids that may be walked to, into `out`, which has room for 200; gives their number. */
INLINE u32 read_list(const Graph *g, const List *list, u32 *out) {
  u32 slots = __atomic_load_n(&g->slots, __ATOMIC_RELAXED), n = list->count, kept = 0;
  for (u32 i = 0; i < n; i++) {
    u32 slot = out[kept] = id_at(list, i);
    kept += slot < slots;
  }
  return kept;
}

/* ---------------------------------------------------------------------------------------------------- distances */

INLINE float finish(const Graph *g, float raw, float scale, const float *stored) {
  u32 metric = g->kind & 7;
  float d = metric == METRIC_COSINE ? 1 - raw * scale * *stored : metric == METRIC_IP ? -raw : raw;
  return d != d ? INFINITE : d;
}
INLINE float measure_exactly(const Graph *g, const Query *q, u32 slot) {
  return finish(g, measure_one(g->kind, q->floats, vector(g, slot), g->groups), q->scale, scale_at(g, slot));
}
INLINE v128_t measure4_floats(const Graph *g, const Query *q, const u32 *slots, u32 kind) {
  u32 a = slots[0], b = slots[1], c = slots[2], d = slots[3];
  v128_t raw = measure_four(kind, q->floats, vector(g, a), vector(g, b), vector(g, c), vector(g, d), g->groups);
  u32 metric = g->kind & 7;
  if (metric == METRIC_COSINE) {
    v128_t scales = wasm_f32x4_make(*scale_at(g, a), *scale_at(g, b), *scale_at(g, c), *scale_at(g, d));
    scales = wasm_f32x4_mul(wasm_f32x4_splat(q->scale), scales);
    raw = wasm_f32x4_sub(wasm_f32x4_const_splat(1), wasm_f32x4_mul(raw, scales));
  } else if (metric == METRIC_IP) raw = wasm_f32x4_neg(raw);
  return wasm_v128_bitselect(raw, wasm_f32x4_splat(INFINITE), wasm_f32x4_eq(raw, raw));
}
INLINE v128_t measure4_exactly(const Graph *g, const Query *q, const u32 *slots) {
  return measure4_floats(g, q, slots, g->kind);
}
INLINE v128_t measure4_codes(const Graph *g, const Query *q, const u32 *slots) {
  const Code *a = code(g, slots[0]), *b = code(g, slots[1]), *c = code(g, slots[2]), *d = code(g, slots[3]);
  v128_t scales = wasm_f32x4_make(a->scale, b->scale, c->scale, d->scale);
  v128_t raw = product_four(q->code, (char *)a->elements, (char *)b->elements, (char *)c->elements, (char *)d->elements,
                            g->code_groups);
  raw = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(raw), wasm_f32x4_mul(wasm_f32x4_splat(q->code_scale), scales));
  u32 metric = g->kind & 7;
  if (metric == METRIC_COSINE) raw = wasm_f32x4_sub(wasm_f32x4_const_splat(1), raw);
  else if (metric == METRIC_IP) raw = wasm_f32x4_neg(raw);
  else {
    v128_t norms = wasm_f32x4_make(a->norm, b->norm, c->norm, d->norm);
    norms = wasm_f32x4_add(wasm_f32x4_splat(q->code_norm), norms);
    raw = wasm_f32x4_sub(norms, wasm_f32x4_add(raw, raw));
  }
  return wasm_v128_bitselect(raw, wasm_f32x4_splat(INFINITE), wasm_f32x4_eq(raw, raw));
}
INLINE v128_t measure4(const Graph *g, const Query *q, const u32 *slots) {
  return q->code ? measure4_codes(g, q, slots) : measure4_floats(g, q, slots, q->kind);
}
INLINE float measure(const Graph *g, const Query *q, u32 slot) {
  u32 slots[4] = {slot, slot, slot, slot};
  if (q->code) return wasm_f32x4_extract_lane(measure4_codes(g, q, slots), 0);
  return finish(g, measure_one(q->kind, q->floats, vector(g, slot), g->groups), q->scale, scale_at(g, slot));
}
/* Distances of the `count` slots; both arrays have room for three more. */
INLINE v128_t measure4_roughly(const Graph *g, const Query *q, const u32 *slots) {
  return measure4_floats(g, q, slots, q->kind);
}
#define MEASURE_ALL(NAME, FOUR)                                                                                        \
  INLINE void NAME(const Graph *g, const Query *q, u32 *slots, u32 count, float *out) {                                \
    if (count == 0) return;                                                                                            \
    for (u32 i = count; i & 3; i++) slots[i] = slots[count - 1];                                                       \
    for (u32 i = 0; i < count; i += 4) wasm_v128_store(out + i, FOUR(g, q, slots + i));                                \
  }
MEASURE_ALL(measure_all_codes, measure4_codes)
MEASURE_ALL(measure_all_roughly, measure4_roughly)
MEASURE_ALL(measure_all_exactly, measure4_exactly)
INLINE void measure_all(const Graph *g, const Query *q, u32 *slots, u32 count, float *out) {
  if (q->code) measure_all_codes(g, q, slots, count, out);
  else measure_all_roughly(g, q, slots, count, out);
}

INLINE float greatest_of(const Graph *g, const char *v) {
  v128_t max = wasm_f32x4_const_splat(0);
  for (u32 i = 0; i < g->groups; i++) max = wasm_f32x4_max(max, wasm_f32x4_abs(wasm_v128_load(v + i * 16)));
  max = wasm_f32x4_max(max, wasm_i32x4_shuffle(max, max, 2, 3, 0, 1));
  return wasm_f32x4_extract_lane(wasm_f32x4_max(max, wasm_i32x4_shuffle(max, max, 1, 0, 3, 2)), 0);
}
/* Eight elements times `factor`, rounded. */
INLINE v128_t eight(const Graph *g, const char *v, u32 i, v128_t factor) {
  v128_t low = wasm_f32x4_nearest(wasm_f32x4_mul(wasm_v128_load(v + i * 32), factor));
  v128_t high = wasm_f32x4_const_splat(0);
  if (2 * i + 1 < g->groups) high = wasm_f32x4_nearest(wasm_f32x4_mul(wasm_v128_load(v + i * 32 + 16), factor));
  return wasm_i16x8_narrow_i32x4(wasm_i32x4_trunc_sat_f32x4(low), wasm_i32x4_trunc_sat_f32x4(high));
}
INLINE float inverse(double squares) { return squares > 0 ? (float)(1 / __builtin_sqrt(squares)) : 0; }

/* The code of floats, 16 bits an element, to be measured from. */
static void encode_query(const Graph *g, Query *q, const char *floats, u32 to) {
  float max = greatest_of(g, floats), step = max / 32767;
  v128_t factor = wasm_f32x4_splat(max > 0 ? 32767 / max : 0);
  short *elements = AT(short, to);
  for (u32 i = 0; i < g->code_groups; i++) wasm_v128_store(elements + i * 8, eight(g, floats, i, factor));
  double squares = 0;
  for (u32 i = 0; i < g->code_groups * 8; i++) squares += (double)elements[i] * elements[i];
  u32 metric = g->kind & 7;
  q->code = AT(char, to);
  q->code_scale = metric == METRIC_COSINE ? inverse(squares) : step;
  q->code_norm = metric == METRIC_L2 ? (float)(squares * step * step) : 0;
}
/* The code of a stored vector, 8 bits an element. */
static void encode(const Graph *g, u32 slot) {
  const char *v = vector(g, slot);
  Code *c = code(g, slot);
  float max = greatest_of(g, v), step = max / 127;
  v128_t factor = wasm_f32x4_splat(max > 0 ? 127 / max : 0);
  v128_t sums = wasm_i32x4_const_splat(0);
  for (u32 i = 0; i < g->code_groups; i++) {
    v128_t e = eight(g, v, i, factor);
    sums = wasm_i32x4_add(sums, wasm_i32x4_dot_i16x8(e, e));
    wasm_v128_store64_lane(c->elements + i * 8, wasm_i8x16_narrow_i16x8(e, e), 0);
  }
  double squares = wasm_i32x4_extract_lane(sums, 0) + wasm_i32x4_extract_lane(sums, 1) +
                   wasm_i32x4_extract_lane(sums, 2) + wasm_i32x4_extract_lane(sums, 3);
  u32 metric = g->kind & 7;
  c->scale = metric == METRIC_COSINE ? inverse(squares) : step;
  if (metric == METRIC_L2) c->norm = (float)(squares * step * step);
}

INLINE int is_parted(const Graph *g) { return g->kind >> 3 == PARTED; }
/* What walks measure where they have no codes. */
INLINE u32 walked_kind(const Graph *g) { return is_parted(g) && g->coded ? KIND(UPPER, g->kind & 7) : g->kind; }

/* Measures from a stored vector; `room`: where it may be decoded. */
static void from_stored(const Graph *g, Query *q, u32 slot, u32 room) {
  const char *v = vector(g, slot);
  q->code = 0;
  q->scale = *scale_at(g, slot);
  q->floats = v;
  q->kind = walked_kind(g);
  if (is_parted(g)) {
    join(v, AT(char, room), g->groups);
    q->floats = AT(char, room);
  } else if (g->coded) {
    const Code *c = code(g, slot);
    for (u32 i = 0; i < g->code_groups; i++)
      wasm_v128_store(AT(char, room + i * 16), wasm_i16x8_load8x8(c->elements + i * 8));
    q->code = AT(char, room);
    q->code_scale = c->scale;
    q->code_norm = c->norm;
  } else if (g->kind >> 3 == F16) {
    half_to_float(v, AT(char, room), g->groups);
    q->floats = AT(char, room);
  }
}
static void from_context(const Context *c, Query *q) {
  q->floats = AT(char, c->query);
  q->scale = c->scale;
  q->code = c->code ? AT(char, c->query + c->code) : 0;
  q->code_scale = c->code_scale;
  q->code_norm = c->code_norm;
  q->kind = c->kind;
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

/* Loads that nobody waits for: the cache misses of all codes overlap, and that of the next node's links with them. */
INLINE u32 touch_codes(const Graph *g, const u32 *slots, u32 count) {
  u32 sum = 0, last = g->code_stride - 4;
  for (u32 i = 0; i < count; i++) {
    const char *c = (const char *)code(g, slots[i]);
    for (u32 at = 0; at < last; at += 64) sum += *(const volatile u32 *)(c + at);
    sum += *(const volatile u32 *)(c + last);
  }
  return sum;
}
INLINE u32 touch_links(const Graph *g, u32 slot) {
  const char *r = (const char *)record(g, slot);
  u32 last = g->stride - 4 < 128 ? g->stride - 4 : 128;
  return *(const volatile u32 *)r + *(const volatile u32 *)(r + 64) + *(const volatile u32 *)(r + last);
}
/* Before the distances of `slots` are measured; open: what is walked from next, perhaps. */
INLINE void touch(const Graph *g, Context *c, const u32 *slots, u32 count, const i64 *open, u32 opened) {
  u32 sum = touch_codes(g, slots, count);
  if (opened > 0) sum += touch_links(g, slot_of(open[0]));
  c->touched = sum;
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
enum { NO_SLOT = 0x7fffffff };
/* `without`: seen and returned before anything is; or NO_SLOT. */
static void clear_table(Context *c, u32 effort, u32 without) {
  u32 bits = 10;
  while (bits < 16 && 1u << bits < effort * 48) bits++;
  c->table_bits = bits;
  c->seen = without != NO_SLOT;
  c->table = c->table_at[0];
  c->spare = c->table_at[1];
  __builtin_memset(AT(u32, c->table), 0, 4u << bits);
  if (without != NO_SLOT) *found(AT(u32, c->table), bits, without) = (without + 1) | RETURNED;
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

/* Towards the query on the layers `top` to `bottom`, to the nearest that one step reaches; `without` is stepped over. */
static u32 descend(const Graph *g, Context *c, const Query *q, u32 at, u32 top, u32 bottom, u32 without) {
  u32 slots[4 + 200];
  float out[4 + 200];
  float best = measure(g, q, at);
  for (u32 layer = top; layer >= bottom && layer > 0; layer--) {
    for (int moved = 1; moved;) {
      moved = 0;
      u32 n = read_list(g, links(g, at, layer), slots);
      measure_all(g, q, slots, n, out);
      c->visited += n;
      for (u32 i = 0; i < n; i++)
        if (out[i] < best && slots[i] != without) best = out[i], at = slots[i], moved = 1;
    }
  }
  return at;
}

/* The neighbours of `slot` on `layer` that were not seen before, into `slots`. */
INLINE u32 unseen(const Graph *g, Context *c, u32 slot, u32 layer, u32 *slots) {
  if (c->seen * 2 + 1024 > 1u << c->table_bits) grow_table(c);
  u32 n = read_list(g, links(g, slot, layer), slots);
  u32 bits = c->table_bits, mask = (1u << bits) - 1, *table = AT(u32, c->table), count = 0;
  for (u32 j = 0; j < n; j++) {
    u32 x = slots[j], i = hashed(x, bits);
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

/*
 * The `ef` nearest on a layer, ascending in NEAR, beginning from the `n` slots in NEAR, ascending: for linking and on the
 * way down, so every node counts (but for `without`) and nothing is kept for later.
 */
static u32 nearest(const Graph *g, Context *c, const Query *q, u32 n, u32 ef, u32 layer, u32 without) {
  u32 slots[4 + 200];
  float out[4 + 200];
  i64 *near = AT(i64, c->near_at), *open = AT(i64, c->open_at);
  clear_table(c, ef, without);
  if (n > ef) n = ef;
  u32 o = n;
  for (u32 i = 0; i < n; i++) {
    u32 slot = slot_of(near[i]);
    *found(AT(u32, c->table), c->table_bits, slot) = slot + 1;
    open[i] = near[i];
  }
  c->seen += n;
  for (u32 i = 1; i < n; i++) greatest_push(near, i, near[i]);
  while (o > 0) {
    i64 k = open[0];
    if (n == ef && k > near[0]) break;
    o--;
    if (o > 0) least_down(open, o, 0, open[o]);
    if (c->seen + 256 > SEEN_MAX) break;
    u32 count = unseen(g, c, slot_of(k), layer, slots);
    if (q->code) touch(g, c, slots, count, open, o);
    measure_all(g, q, slots, count, out);
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

/* Slots of the layer above that a slot's linking and a search begin with: one alone is often of another cluster. */
enum { BEAM_LINKED = 8, BEAM_SEARCHED = 4 };

/* From the entry towards the query: NEAR gets up to `beam` slots of `bottom` to begin the next layer with. Gives their number. */
static u32 come_down(const Graph *g, Context *c, const Query *q, u32 entry, u32 top, u32 bottom, u32 beam,
                     u32 without) {
  u32 at = entry;
  if (top > bottom) at = descend(g, c, q, at, top, bottom + 1, without);
  AT(i64, c->near_at)[0] = key(measure(g, q, at), at);
  return top >= bottom && bottom > 0 ? nearest(g, c, q, 1, beam, bottom, without) : 1;
}

/* --------------------------------------------------------------------------------------------------------- linking */

/*
 * Of ascending candidates those that are nearer to the node than to any one chosen before, at most `max` (algorithm 4);
 * then the nearest of the others, up to `fill`.
 */
static u32 choose(const Graph *g, Context *c, const i64 *from, u32 count, u32 max, u32 fill, i64 *chosen) {
  u32 ids[4 + 200];
  i64 others[200];
  u32 n = 0, left = 0;
  for (u32 i = 0; i < count && n < max; i++) {
    u32 slot = slot_of(from[i]);
    float d = distance_of(from[i]);
    if (n > 0) {
      Query q;
      from_stored(g, &q, slot, c->decode_at[1]);
      v128_t limit = wasm_f32x4_splat(d);
      u32 j = 0;
      for (; j < n; j += 4)
        if (wasm_v128_any_true(wasm_f32x4_lt(measure4(g, &q, ids + j), limit))) break;
      if (j < n) {
        if (left < fill) others[left++] = from[i];
        continue;
      }
    }
    chosen[n] = from[i];
    for (u32 j = n; j < n + 4; j++) ids[j] = slot;
    n++;
  }
  for (u32 i = 0; i < left && n < fill; i++) chosen[n++] = others[i];
  return n;
}

#define TAKE(LOCK)                                                                                                     \
  for (__typeof__(LOCK) expected = 0;                                                                                  \
       !__atomic_compare_exchange_n(&(LOCK), &expected, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);)                    \
    expected = 0;
#define RELEASE(LOCK) __atomic_store_n(&(LOCK), 0, __ATOMIC_SEQ_CST)

INLINE void write_list(List *list, const i64 *chosen, u32 count) {
  for (u32 i = 0; i < count; i++) set_id(list, i, slot_of(chosen[i]));
  __atomic_store_n(&list->count, (u16)count, __ATOMIC_SEQ_CST);
}

/* `node` gets a link to `slot`; when it has no room for one more, the worst of its neighbours go. */
static void connect(const Graph *g, Context *c, u32 node, u32 slot, float d, u32 layer) {
  u32 slots[8 + 200];
  float out[8 + 200];
  i64 keys[8 + 200], chosen[8 + 200];
  u32 max = layer == 0 ? 2 * g->m : g->m;
  Record *r = record(g, node);
  TAKE(r->lock);
  List *list = links(g, node, layer);
  u32 n = read_list(g, list, slots);
  int there = 0;
  for (u32 i = 0; i < n; i++) there |= slots[i] == slot;
  if (!there && n < max) {
    set_id(list, n, slot);
    __atomic_store_n(&list->count, (u16)(n + 1), __ATOMIC_SEQ_CST);
  } else if (!there) {
    Query q;
    from_stored(g, &q, node, c->decode_at[0]);
    measure_all(g, &q, slots, n, out);
    for (u32 i = 0; i < n; i++) greatest_push(keys, i, key(out[i], slots[i]));
    greatest_push(keys, n, key(d, slot));
    sort(keys, n + 1);
    write_list(list, chosen, choose(g, c, keys, n + 1, max, 0, chosen));
  }
  RELEASE(r->lock);
}

/* The node's list on a layer is chosen anew from the `count` slots at `list`: after nodes were taken out of the graph. */
EXPORT(choose_again) void choose_again(const Graph *g, Context *c, u32 node, u32 layer, u32 *list, u32 count) {
  u32 max = layer == 0 ? 2 * g->m : g->m;
  i64 *near = AT(i64, c->near_at), chosen[8 + 200];
  Query q;
  from_stored(g, &q, node, c->decode_at[0]);
  for (u32 i = 0; i < count; i++) greatest_push(near, i, key(measure(g, &q, list[i]), list[i]));
  sort(near, count);
  write_list(links(g, node, layer), chosen, choose(g, c, near, count, max, 0, chosen));
}

INLINE int is_head(const Graph *g, u32 slot) {
  return !g->heads || AT(unsigned char, g->heads)[slot >> 3] >> (slot & 7) & 1;
}

/*
 * Codes do when the nearest of a search's candidates are found among the first by their codes: of a sixth of the first 64
 * all but one within three eighths. Where that is often not so (narrow clusters far from each other, vectors far from the
 * origin), walks measure the vectors from now on.
 */
static void judge_codes(Graph *g, const Query *q, const i64 *near, u32 count) {
  if (count < 16) return;
  if (count > 64) count = 64;
  float exact[64], best[10];
  u32 wanted = count * 10 / 64, held = 0, good = 0;
  for (u32 i = 0; i < count; i++) {
    float d = exact[i] = measure_exactly(g, q, slot_of(near[i]));
    if (held == wanted && !(d < best[held - 1])) continue;
    u32 j = held < wanted ? held++ : held - 1;
    for (; j > 0 && d < best[j - 1]; j--) best[j] = best[j - 1];
    best[j] = d;
  }
  for (u32 i = 0; i < count * 3 / 8; i++) good += exact[i] <= best[held - 1];
  int is_poor = good + 1 < wanted;
  u32 tried = __atomic_add_fetch(&g->tried, 1, __ATOMIC_SEQ_CST);
  u32 poor = __atomic_add_fetch(&g->poor, is_poor, __ATOMIC_SEQ_CST);
  if (tried >= 64 && poor * 16 > tried) __atomic_store_n(&g->coded, 0, __ATOMIC_SEQ_CST);
}

EXPORT(link) void link_slot(Graph *g, Context *c, u32 slot) {
  u32 mine = level(g, slot);
  u32 entry = __atomic_load_n(&g->entry, __ATOMIC_SEQ_CST);
  if (entry == 0) {
    TAKE(g->lock);
    if (g->entry == 0) __atomic_store_n(&g->entry, slot + 1, __ATOMIC_SEQ_CST), entry = slot + 1;
    else entry = g->entry;
    RELEASE(g->lock);
    if (entry == slot + 1) return;
  }
  u32 top = level(g, entry - 1);
  Query q;
  from_stored(g, &q, slot, c->query_at);
  if (q.code) encode_query(g, &q, q.floats, c->code_at);
  u32 n = come_down(g, c, &q, entry - 1, top, mine + 1, BEAM_LINKED, NO_SLOT);
  u32 highest = mine < top ? mine : top;
  i64 *near = AT(i64, c->near_at), *picks = AT(i64, c->picks_at);
  u32 picked[32];
  for (u32 layer = highest;; layer--) {
    n = nearest(g, c, &q, n, g->ef_construction, layer, NO_SLOT);
    u32 max = layer == 0 ? g->m + g->m / 2 : g->m;
    i64 *chosen = picks + layer * 256;
    if (layer == 0 && g->coded && (slot & 7) == 0) judge_codes(g, &q, near, n);
    picked[layer] = choose(g, c, near, n, max, layer == 0 ? max : 0, chosen);
    write_list(links(g, slot, layer), chosen, picked[layer]);
    if (layer == 0) break;
  }
  for (u32 layer = 0; layer <= highest; layer++)
    for (u32 i = 0; i < picked[layer]; i++) {
      i64 k = picks[layer * 256 + i];
      connect(g, c, slot_of(k), slot, distance_of(k), layer);
    }
  if (mine > top) {
    TAKE(g->lock);
    if (mine > level(g, g->entry - 1)) __atomic_store_n(&g->entry, slot + 1, __ATOMIC_SEQ_CST);
    RELEASE(g->lock);
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
  Query q;
  if (element == PARTED) {
    char *v = (char *)vector(g, slot), *floats = AT(char, c->decode_at[0]);
    __builtin_memcpy(floats, v, g->groups * 16);
    *scale_at(g, slot) = scale_of(g, F32, floats);
    part(floats, v, g->groups);
    return;
  }
  from_stored(g, &q, slot, c->decode_at[0]);
  *scale_at(g, slot) = scale_of(g, element == F16 ? F32 : element, q.floats);
  if (g->code_groups) encode(g, slot);
}
/* The vectors of `count` slots, `bytes` each, which lie together at `from`; list: the slots, then how far behind `from` each lies. */
EXPORT(stored_all) void stored_all(const Graph *g, Context *c, u32 from, const u32 *list, u32 count, u32 bytes) {
  for (u32 i = 0; i < count; i++) {
    __builtin_memcpy((char *)vector(g, list[i]), AT(char, from + list[count + i]), bytes);
    stored(g, c, list[i]);
  }
}

/*
 * A checkpoint's block at `from`: the slots from `first` on, `count` of `slots`. Upper lists take `upper_used` bytes.
 * Gives how many were good: what follows is damaged.
 */
EXPORT(restored) u32 restored(Graph *g, u32 from, u32 first, u32 count, u32 slots, u32 upper, u32 upper_used) {
  u32 width = 2 + 6 * g->m;
  const double *created = AT(double, from), *deleted = created + count;
  const u32 *uppers = (u32 *)(deleted + count);
  const char *lists = (char *)(uppers + count), *heads = lists + count * width;
  for (u32 i = 0; i < count; i++, lists += width) {
    if (!heads[i]) continue;
    const List *list = (const List *)lists;
    u32 slot = first + i;
    if (list->count > 2 * g->m || uppers[i] > upper_used) return i;
    for (u32 j = 0; j < list->count; j++)
      if (id_at(list, j) >= slots) return i;
    if (g->heads) AT(unsigned char, g->heads)[slot >> 3] |= 1 << (slot & 7);
    Record *r = record(g, slot);
    r->created = created[i];
    r->deleted = deleted[i];
    g->dead += deleted[i] < __builtin_inf();
    r->upper = uppers[i] ? uppers[i] - 1 + upper : 0;
    __builtin_memcpy(&r->links, lists, width);
  }
  return count;
}

/* Where the slot's floats lie, until the next call. */
EXPORT(floats_of) u32 floats_of(const Graph *g, Context *c, u32 slot) {
  join(vector(g, slot), AT(char, c->decode_at[0]), g->groups);
  return c->decode_at[0];
}
/* After a query's bytes were written, padded: of halves where the first decoded vector lies, else where the query does. */
EXPORT(asked) void asked(const Graph *g, Context *c) {
  u32 element = g->kind >> 3;
  if (element == F16) half_to_float(AT(char, c->decode_at[0]), AT(char, c->query_at), g->groups);
  c->query = c->query_at;
  c->scale = scale_of(g, element == F16 || element == PARTED ? F32 : element, AT(char, c->query));
  c->code = 0;
  c->kind = walked_kind(g);
  if (!g->coded || element == PARTED) return;
  Query q;
  c->code = g->groups * 16;
  encode_query(g, &q, AT(char, c->query), c->query + c->code);
  c->code_scale = q.code_scale;
  c->code_norm = q.code_norm;
  c->query_bytes = c->code + g->code_groups * 16;
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

/* What the walk found by codes, by its vectors. */
static void measure_again(const Graph *g, Context *c, const Query *q, i64 *near) {
  u32 slots[4];
  float out[4];
  for (u32 i = 0, n; i < c->near; i += n) {
    for (n = 0; n < 4 && i + n < c->near; n++) slots[n] = slot_of(near[i + n]);
    measure_all_exactly(g, q, slots, n, out);
    for (u32 j = 0; j < n; j++) near[i + j] = key(out[j], slots[j]);
  }
  for (u32 i = 1; i < c->near; i++) greatest_push(near, i, near[i]);
  c->visited += c->near;
}

/* The sweep: every slot that was not returned, in order of key; `list` names them or is 0. A NEAR full is an answer. */
EXPORT(sweep) u32 sweep(const Graph *g, Context *c, const u32 *list, u32 until, u32 budget) {
  u32 slots[8];
  float out[8];
  i64 *near = AT(i64, c->near_at);
  Query q;
  from_context(c, &q);
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
    measure_all_exactly(g, &q, slots, n, out);
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

/* `without` is neither found nor passed through, but where the walk begins with it; or NO_SLOT. */
EXPORT(begin) void begin(const Graph *g, Context *c, u32 without) {
  begin_exact(c);
  clear_table(c, c->effort, without);
  if (g->entry == 0) return;
  u32 entry = g->entry - 1;
  Query q;
  from_context(c, &q);
  i64 *near = AT(i64, c->near_at), *open = AT(i64, c->open_at);
  u32 n = come_down(g, c, &q, entry, level(g, entry), 1, BEAM_SEARCHED, without);
  if (n > c->effort) n = c->effort;
  clear_table(c, c->effort, without);
  c->open = n;
  for (u32 i = 0; i < n; i++) {
    i64 k = open[i] = near[i];
    u32 slot = slot_of(k);
    if (slot == without) continue;
    *found(AT(u32, c->table), c->table_bits, slot) = slot + 1;
    c->seen++;
    if (is_wanted(g, c, slot)) greatest_push(near, c->near++, k);
  }
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
  Query q;
  from_context(c, &q);
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
      if (q.code) touch(g, c, slots, count, open, c->open);
      measure_all(g, &q, slots, count, out);
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
      if (c->code || c->kind != g->kind) measure_again(g, c, &q, near);
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
