/* What kernel.c and graph.c share. */
#pragma once
#include <wasm_simd128.h>

typedef unsigned short u16;
typedef unsigned int u32;
typedef int i32;
typedef long long i64;

#define EXPORT(NAME) __attribute__((export_name(#NAME)))

/* Numbers of ELEMENTS and METRICS in layout.ts; the first four metrics also in kernel.ts. PARTED: float4s, first the upper
   halves of all, then the lower; UPPER: the same by the upper halves alone, whole numbers of groups of eight. */
enum { F32, F16, BIT, SPARSE, PARTED, UPPER };
enum { METRIC_L2, METRIC_IP, METRIC_COSINE, METRIC_L1, METRIC_HAMMING, METRIC_JACCARD };
#define KIND(ELEMENT, METRIC) ((ELEMENT) * 8 + (METRIC))

typedef struct {
  u32 index;
  float value;
} SparseElement;
typedef struct {
  u32 count, unused[3];
  SparseElement elements[];
} Sparse;

/* l2 squared, the plain product for inner product and cosine, l1, hamming, jaccard. `n`: groups of 16 bytes of float4 or
   bits, of 8 bytes of halves. The query of halves is float4. */
float measure_one(u32 kind, const char *q, const char *a, u32 n);
v128_t measure_four(u32 kind, const char *q, const char *a, const char *b, const char *c, const char *d, u32 n);
void half_to_float(const char *from, char *to, u32 groups);
/* `groups` of four, an even number of them. */
void part(const char *floats, char *to, u32 groups);
void join(const char *from, char *floats, u32 groups);

/* Products of a query of 16-bit integers with codes of 8 bits; `n` counts groups of eight. Sums stay below 2^31. */
v128_t product_four(const char *q, const char *a, const char *b, const char *c, const char *d, u32 n);
i32 product_one(const char *q, const char *a, u32 n);
