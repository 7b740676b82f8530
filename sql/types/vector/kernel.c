/*
 * Distances, four elements at a time: what is computed a thousand times in every search. distance.ts is the meaning.
 *
 * Two doors. The pairs and the scans over packed float4 vectors (`l2` ... `gather`) serve kernel.ts. The graph (graph.c)
 * measures one query against one stored vector or against four at once: four chains of additions do not wait for each
 * other, and the cache misses of four vectors overlap. Stored vectors begin at multiples of 16 bytes and are padded with
 * zeros to such a multiple, so these loops have no tails; a query of halves is turned into float4 before.
 */
#include "kernel.h"

#define INLINE static inline __attribute__((always_inline))

INLINE v128_t load4(const void *p) { return wasm_v128_load(p); }

/* Four halves as float4: exponent and fraction move to their place, 2^112 mends the exponent (subnormal halves too). */
INLINE v128_t load4_half(const void *p) {
  v128_t u = wasm_u32x4_load16x4(p);
  v128_t sign = wasm_i32x4_shl(wasm_v128_and(u, wasm_i32x4_const_splat(0x8000)), 16);
  v128_t rest = wasm_i32x4_shl(wasm_v128_and(u, wasm_i32x4_const_splat(0x7fff)), 13);
  return wasm_v128_or(wasm_f32x4_mul(rest, wasm_f32x4_const_splat(0x1p112f)), sign);
}

/* The sums of four vectors' lanes, in their order. */
INLINE v128_t sums4(v128_t a, v128_t b, v128_t c, v128_t d) {
  v128_t ab = wasm_f32x4_add(wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), wasm_i32x4_shuffle(a, b, 2, 6, 3, 7));
  v128_t cd = wasm_f32x4_add(wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), wasm_i32x4_shuffle(c, d, 2, 6, 3, 7));
  return wasm_f32x4_add(wasm_i64x2_shuffle(ab, cd, 0, 2), wasm_i64x2_shuffle(ab, cd, 1, 3));
}
INLINE float sum(v128_t a) {
  return wasm_f32x4_extract_lane(a, 0) + wasm_f32x4_extract_lane(a, 1) + wasm_f32x4_extract_lane(a, 2) +
         wasm_f32x4_extract_lane(a, 3);
}

INLINE v128_t step_l2(v128_t s, v128_t a, v128_t b) {
  v128_t d = wasm_f32x4_sub(a, b);
  return wasm_f32x4_add(s, wasm_f32x4_mul(d, d));
}
INLINE v128_t step_dot(v128_t s, v128_t a, v128_t b) { return wasm_f32x4_add(s, wasm_f32x4_mul(a, b)); }
INLINE v128_t step_l1(v128_t s, v128_t a, v128_t b) { return wasm_f32x4_add(s, wasm_f32x4_abs(wasm_f32x4_sub(a, b))); }

#define ZERO wasm_f32x4_const_splat(0)

/* `n` counts groups of four elements, `W` is the bytes of one stored group. */
#define DENSE(NAME, STEP, LOAD, W)                                                                                     \
  INLINE float NAME##_one(const char *q, const char *a, u32 n) {                                                       \
    v128_t s0 = ZERO, s1 = ZERO, s2 = ZERO, s3 = ZERO;                                                                 \
    u32 i = 0;                                                                                                         \
    for (; i + 4 <= n; i += 4) {                                                                                       \
      s0 = STEP(s0, load4(q + i * 16), LOAD(a + i * W));                                                               \
      s1 = STEP(s1, load4(q + i * 16 + 16), LOAD(a + i * W + W));                                                      \
      s2 = STEP(s2, load4(q + i * 16 + 32), LOAD(a + i * W + 2 * W));                                                  \
      s3 = STEP(s3, load4(q + i * 16 + 48), LOAD(a + i * W + 3 * W));                                                  \
    }                                                                                                                  \
    for (; i < n; i++) s0 = STEP(s0, load4(q + i * 16), LOAD(a + i * W));                                              \
    return sum(wasm_f32x4_add(wasm_f32x4_add(s0, s1), wasm_f32x4_add(s2, s3)));                                        \
  }                                                                                                                    \
  INLINE v128_t NAME##_four(const char *q, const char *a, const char *b, const char *c, const char *d, u32 n) {        \
    v128_t s0 = ZERO, s1 = ZERO, s2 = ZERO, s3 = ZERO;                                                                 \
    for (const char *e = q + n * 16; q != e; q += 16, a += W, b += W, c += W, d += W) {                                \
      v128_t x = load4(q);                                                                                             \
      s0 = STEP(s0, x, LOAD(a));                                                                                       \
      s1 = STEP(s1, x, LOAD(b));                                                                                       \
      s2 = STEP(s2, x, LOAD(c));                                                                                       \
      s3 = STEP(s3, x, LOAD(d));                                                                                       \
    }                                                                                                                  \
    return sums4(s0, s1, s2, s3);                                                                                      \
  }

DENSE(l2_f32, step_l2, load4, 16)
DENSE(dot_f32, step_dot, load4, 16)
DENSE(l1_f32, step_l1, load4, 16)
DENSE(l2_f16, step_l2, load4_half, 8)
DENSE(dot_f16, step_dot, load4_half, 8)
DENSE(l1_f16, step_l1, load4_half, 8)

/* Four floats of eight, from their upper halves and their lower ones. */
#define FIRST(H, L) wasm_i16x8_shuffle(L, H, 0, 8, 1, 9, 2, 10, 3, 11)
#define SECOND(H, L) wasm_i16x8_shuffle(L, H, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOWER(A) load4((A) + n * 8)
#define NO_LOWER(A) wasm_i32x4_const_splat(0)

/* Vectors in two halves; without the lower one elements are at most a 128th nearer to 0. */
#define PARTS(NAME, STEP, LOW)                                                                                         \
  INLINE v128_t NAME##_step(v128_t s, const char *q, const char *a, u32 n) {                                           \
    (void)n;                                                                                                           \
    v128_t high = load4(a), low = LOW(a);                                                                              \
    return STEP(STEP(s, load4(q), FIRST(high, low)), load4(q + 16), SECOND(high, low));                                \
  }                                                                                                                    \
  INLINE float NAME##_one(const char *q, const char *a, u32 n) {                                                       \
    v128_t s0 = ZERO, s1 = ZERO;                                                                                       \
    u32 i = 0;                                                                                                         \
    for (; i + 4 <= n; i += 4) {                                                                                       \
      s0 = NAME##_step(s0, q + i * 16, a + i * 8, n);                                                                  \
      s1 = NAME##_step(s1, q + i * 16 + 32, a + i * 8 + 16, n);                                                        \
    }                                                                                                                  \
    if (i < n) s0 = NAME##_step(s0, q + i * 16, a + i * 8, n);                                                         \
    return sum(wasm_f32x4_add(s0, s1));                                                                                \
  }                                                                                                                    \
  INLINE v128_t NAME##_four(const char *q, const char *a, const char *b, const char *c, const char *d, u32 n) {        \
    v128_t s0 = ZERO, s1 = ZERO, s2 = ZERO, s3 = ZERO;                                                                 \
    for (const char *e = q + n * 16; q != e; q += 32, a += 16, b += 16, c += 16, d += 16) {                            \
      s0 = NAME##_step(s0, q, a, n);                                                                                   \
      s1 = NAME##_step(s1, q, b, n);                                                                                   \
      s2 = NAME##_step(s2, q, c, n);                                                                                   \
      s3 = NAME##_step(s3, q, d, n);                                                                                   \
    }                                                                                                                  \
    return sums4(s0, s1, s2, s3);                                                                                      \
  }

PARTS(l2_parted, step_l2, LOWER)
PARTS(dot_parted, step_dot, LOWER)
PARTS(l1_parted, step_l1, LOWER)
PARTS(l2_upper, step_l2, NO_LOWER)
PARTS(dot_upper, step_dot, NO_LOWER)
PARTS(l1_upper, step_l1, NO_LOWER)

void part(const char *floats, char *to, u32 groups) {
  for (u32 i = 0; i < groups; i += 2) {
    v128_t a = load4(floats + i * 16), b = load4(floats + i * 16 + 16);
    wasm_v128_store(to + i * 8, wasm_i16x8_shuffle(a, b, 1, 3, 5, 7, 9, 11, 13, 15));
    wasm_v128_store(to + groups * 8 + i * 8, wasm_i16x8_shuffle(a, b, 0, 2, 4, 6, 8, 10, 12, 14));
  }
}
void join(const char *from, char *floats, u32 groups) {
  for (u32 i = 0; i < groups; i += 2) {
    v128_t high = load4(from + i * 8), low = load4(from + groups * 8 + i * 8);
    wasm_v128_store(floats + i * 16, FIRST(high, low));
    wasm_v128_store(floats + i * 16 + 16, SECOND(high, low));
  }
}

INLINE v128_t ones(v128_t bits) {
  return wasm_u32x4_extadd_pairwise_u16x8(wasm_u16x8_extadd_pairwise_u8x16(wasm_i8x16_popcnt(bits)));
}
INLINE u32 total(v128_t s) {
  return wasm_i32x4_extract_lane(s, 0) + wasm_i32x4_extract_lane(s, 1) + wasm_i32x4_extract_lane(s, 2) +
         wasm_i32x4_extract_lane(s, 3);
}
/* Bit strings; `n` counts groups of 16 bytes. */
static float hamming(const char *q, const char *a, u32 n) {
  v128_t s = ZERO;
  for (u32 i = 0; i < n; i++) s = wasm_i32x4_add(s, ones(wasm_v128_xor(load4(q + i * 16), load4(a + i * 16))));
  return (float)total(s);
}
static float jaccard(const char *q, const char *a, u32 n) {
  v128_t both = ZERO, either = ZERO;
  for (u32 i = 0; i < n; i++) {
    v128_t x = load4(q + i * 16), y = load4(a + i * 16);
    both = wasm_i32x4_add(both, ones(wasm_v128_and(x, y)));
    either = wasm_i32x4_add(either, ones(wasm_v128_or(x, y)));
  }
  u32 common = total(both);
  return common == 0 ? 1 : (float)(1 - (double)common / (double)total(either));
}

/* Sparse vectors: a count, three unused words, then pairs of index and value by ascending index; summed as doubles. */
INLINE double sparse_term(u32 metric, double x, double y) {
  double d = x - y;
  return metric == METRIC_L2 ? d * d : metric == METRIC_L1 ? (d < 0 ? -d : d) : x * y;
}
static float sparse(u32 metric, const Sparse *q, const Sparse *a) {
  double s = 0;
  u32 i = 0, j = 0;
  while (i < q->count || j < a->count) {
    u32 x = i < q->count ? q->elements[i].index : ~0u, y = j < a->count ? a->elements[j].index : ~0u;
    double qx = x <= y ? q->elements[i].value : 0, ay = y <= x ? a->elements[j].value : 0;
    s += sparse_term(metric, qx, ay);
    i += x <= y;
    j += y <= x;
  }
  return (float)s;
}

float measure_one(u32 kind, const char *q, const char *a, u32 n) {
  switch (kind) {
  case KIND(F32, METRIC_L2): return l2_f32_one(q, a, n);
  case KIND(F32, METRIC_IP):
  case KIND(F32, METRIC_COSINE): return dot_f32_one(q, a, n);
  case KIND(F32, METRIC_L1): return l1_f32_one(q, a, n);
  case KIND(F16, METRIC_L2): return l2_f16_one(q, a, n);
  case KIND(F16, METRIC_IP):
  case KIND(F16, METRIC_COSINE): return dot_f16_one(q, a, n);
  case KIND(F16, METRIC_L1): return l1_f16_one(q, a, n);
  case KIND(PARTED, METRIC_L2): return l2_parted_one(q, a, n);
  case KIND(PARTED, METRIC_IP):
  case KIND(PARTED, METRIC_COSINE): return dot_parted_one(q, a, n);
  case KIND(PARTED, METRIC_L1): return l1_parted_one(q, a, n);
  case KIND(UPPER, METRIC_L2): return l2_upper_one(q, a, n);
  case KIND(UPPER, METRIC_IP):
  case KIND(UPPER, METRIC_COSINE): return dot_upper_one(q, a, n);
  case KIND(UPPER, METRIC_L1): return l1_upper_one(q, a, n);
  case KIND(BIT, METRIC_HAMMING): return hamming(q, a, n);
  case KIND(BIT, METRIC_JACCARD): return jaccard(q, a, n);
  default: return sparse(kind & 7, (const Sparse *)q, (const Sparse *)a);
  }
}

v128_t measure_four(u32 kind, const char *q, const char *a, const char *b, const char *c, const char *d, u32 n) {
  switch (kind) {
  case KIND(F32, METRIC_L2): return l2_f32_four(q, a, b, c, d, n);
  case KIND(F32, METRIC_IP):
  case KIND(F32, METRIC_COSINE): return dot_f32_four(q, a, b, c, d, n);
  case KIND(F32, METRIC_L1): return l1_f32_four(q, a, b, c, d, n);
  case KIND(F16, METRIC_L2): return l2_f16_four(q, a, b, c, d, n);
  case KIND(F16, METRIC_IP):
  case KIND(F16, METRIC_COSINE): return dot_f16_four(q, a, b, c, d, n);
  case KIND(F16, METRIC_L1): return l1_f16_four(q, a, b, c, d, n);
  case KIND(PARTED, METRIC_L2): return l2_parted_four(q, a, b, c, d, n);
  case KIND(PARTED, METRIC_IP):
  case KIND(PARTED, METRIC_COSINE): return dot_parted_four(q, a, b, c, d, n);
  case KIND(PARTED, METRIC_L1): return l1_parted_four(q, a, b, c, d, n);
  case KIND(UPPER, METRIC_L2): return l2_upper_four(q, a, b, c, d, n);
  case KIND(UPPER, METRIC_IP):
  case KIND(UPPER, METRIC_COSINE): return dot_upper_four(q, a, b, c, d, n);
  case KIND(UPPER, METRIC_L1): return l1_upper_four(q, a, b, c, d, n);
  default:
    return wasm_f32x4_make(measure_one(kind, q, a, n), measure_one(kind, q, b, n), measure_one(kind, q, c, n),
                           measure_one(kind, q, d, n));
  }
}

void half_to_float(const char *from, char *to, u32 groups) {
  for (u32 i = 0; i < groups; i++) wasm_v128_store(to + i * 16, load4_half(from + i * 8));
}

INLINE v128_t step_code(v128_t s, v128_t x, const char *a) {
  return wasm_i32x4_add(s, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(a)));
}
i32 product_one(const char *q, const char *a, u32 n) {
  v128_t s = ZERO;
  for (u32 i = 0; i < n; i++) s = step_code(s, load4(q + i * 16), a + i * 8);
  return (i32)total(s);
}
v128_t product_four(const char *q, const char *a, const char *b, const char *c, const char *d, u32 n) {
  v128_t s0 = ZERO, s1 = ZERO, s2 = ZERO, s3 = ZERO;
  for (const char *e = q + n * 16; q != e; q += 16, a += 8, b += 8, c += 8, d += 8) {
    v128_t x = load4(q);
    s0 = step_code(s0, x, a);
    s1 = step_code(s1, x, b);
    s2 = step_code(s2, x, c);
    s3 = step_code(s3, x, d);
  }
  v128_t ab = wasm_i32x4_add(wasm_i32x4_shuffle(s0, s1, 0, 4, 1, 5), wasm_i32x4_shuffle(s0, s1, 2, 6, 3, 7));
  v128_t cd = wasm_i32x4_add(wasm_i32x4_shuffle(s2, s3, 0, 4, 1, 5), wasm_i32x4_shuffle(s2, s3, 2, 6, 3, 7));
  return wasm_i32x4_add(wasm_i64x2_shuffle(ab, cd, 0, 2), wasm_i64x2_shuffle(ab, cd, 1, 3));
}

/* ------------------------------------------------------------ pairs and packed vectors: any number of dimensions */

#define TAIL(I, D) for (u32 I = (D) & ~3u; I < (D); I++)

EXPORT(l2) float l2(const float *a, const float *b, u32 dims) {
  float s = l2_f32_one((const char *)a, (const char *)b, dims >> 2);
  TAIL(i, dims) s += (a[i] - b[i]) * (a[i] - b[i]);
  return s;
}
EXPORT(ip) float ip(const float *a, const float *b, u32 dims) {
  float s = dot_f32_one((const char *)a, (const char *)b, dims >> 2);
  TAIL(i, dims) s += a[i] * b[i];
  return s;
}
EXPORT(l1) float l1(const float *a, const float *b, u32 dims) {
  float s = l1_f32_one((const char *)a, (const char *)b, dims >> 2);
  TAIL(i, dims) s += a[i] < b[i] ? b[i] - a[i] : a[i] - b[i];
  return s;
}
/* 1 - a.b / (|a| |b|), 0 to 2; NaN when a norm is 0 or infinite. Norms are added up in the order of the product, so that
   a vector is at distance 0 from itself. `aa` is a.a */
INLINE double cosine_of(const float *a, const float *b, u32 dims, float aa) {
  v128_t s0 = ZERO, s1 = ZERO, n0 = ZERO, n1 = ZERO;
  u32 i = 0;
  for (; i + 8 <= dims; i += 8) {
    v128_t x = load4(b + i), y = load4(b + i + 4);
    s0 = step_dot(s0, load4(a + i), x);
    s1 = step_dot(s1, load4(a + i + 4), y);
    n0 = step_dot(n0, x, x);
    n1 = step_dot(n1, y, y);
  }
  float s = sum(wasm_f32x4_add(s0, s1)), bb = sum(wasm_f32x4_add(n0, n1));
  for (; i < dims; i++) s += a[i] * b[i], bb += b[i] * b[i];
  double similarity = (double)s / __builtin_sqrt((double)aa * (double)bb);
  return 1 - (similarity > 1 ? 1 : similarity < -1 ? -1 : similarity);
}
static float squares(const float *a, u32 dims) {
  v128_t n0 = ZERO, n1 = ZERO;
  u32 i = 0;
  for (; i + 8 <= dims; i += 8) {
    v128_t x = load4(a + i), y = load4(a + i + 4);
    n0 = step_dot(n0, x, x);
    n1 = step_dot(n1, y, y);
  }
  float aa = sum(wasm_f32x4_add(n0, n1));
  for (; i < dims; i++) aa += a[i] * a[i];
  return aa;
}
EXPORT(cosine) double cosine(const float *a, const float *b, u32 dims) { return cosine_of(a, b, dims, squares(a, dims)); }

INLINE float packed(u32 metric, const float *q, const float *b, u32 dims, float qq) {
  switch (metric) {
  case METRIC_L2: return l2(q, b, dims);
  case METRIC_IP: return ip(q, b, dims);
  case METRIC_COSINE: return (float)cosine_of(q, b, dims, qq);
  default: return l1(q, b, dims);
  }
}
/* out[i] = distance(q, base[i]) */
EXPORT(many) void many(u32 metric, const float *q, const float *base, u32 dims, u32 count, float *out) {
  float qq = squares(q, dims);
  for (u32 i = 0; i < count; i++) out[i] = packed(metric, q, base + i * dims, dims, qq);
}
/* out[i] = distance(q, base[ids[i]]) */
EXPORT(gather)
void gather(u32 metric, const float *q, const float *base, u32 dims, const u32 *ids, u32 count, float *out) {
  float qq = squares(q, dims);
  for (u32 i = 0; i < count; i++) out[i] = packed(metric, q, base + ids[i] * dims, dims, qq);
}
