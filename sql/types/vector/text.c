/*
 * The quick way through a vector's text, `[0.25,-1.5e-3,7]`: decimal numbers without spaces. Each is its first 15 digits
 * times a power of ten, which is off by a few units of a double's last place at most: its float4 is right unless the
 * double lies that near the middle of two. Whatever else there is (spaces, other spellings, an error, a doubtful middle)
 * is element-text.ts's, which is the meaning of this too.
 */
#include "kernel.h"

typedef unsigned char u8;
typedef unsigned long long u64;

/* Digits that a double holds exactly whatever they are; powers of ten that it holds exactly. */
enum { EXACT_DIGITS = 15, EXACT_POWER = 22 };
/* How near the middle of two float4s, in units of the double's last place, a value may be wrong for digits left out. */
enum { DOUBTFUL = 32 };
#define FLOAT4_NORMAL_MIN 0x1p-126
#define FLOAT4_MAX 0x1.fffffep127

/*
 * A number of at most 8 digits, a point among them, that ends within 16 bytes: without a branch that its digits decide, for
 * those are guessed wrong. Its digits are brought together, right-aligned, and added up in pairs. Gives its length; 0: another.
 */
static inline u32 short_number(const u8 *at, u32 *mantissa, u32 *decimals) {
  v128_t digits = wasm_i8x16_sub(wasm_v128_load(at), wasm_i8x16_const_splat('0'));
  u32 others = wasm_i8x16_bitmask(wasm_u8x16_gt(digits, wasm_i8x16_const_splat(9)));
  u32 whole = __builtin_ctz(others | 0x10000), after = others & (others - 1);
  if (whole > 15 || at[whole] != '.' || after == 0) return 0;
  u32 length = __builtin_ctz(after), count = length - 1;
  if (count - 1 > 7) return 0;
  v128_t lane = wasm_i8x16_make(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  v128_t from = wasm_i8x16_add(lane, wasm_i8x16_splat(count - 8));
  from = wasm_i8x16_sub(from, wasm_i8x16_ge(from, wasm_i8x16_splat(whole)));
  /* What lies before the first digit comes as 0. */
  v128_t eight = wasm_i8x16_swizzle(digits, from);
  v128_t pairs = wasm_i16x8_extmul_low_i8x16(eight, wasm_i8x16_make(10, 1, 10, 1, 10, 1, 10, 1, 0, 0, 0, 0, 0, 0, 0, 0));
  v128_t twos = wasm_i32x4_extadd_pairwise_i16x8(pairs);
  *mantissa = ((u32)wasm_i32x4_extract_lane(twos, 0) * 100 + (u32)wasm_i32x4_extract_lane(twos, 1)) * 10000 +
              (u32)wasm_i32x4_extract_lane(twos, 2) * 100 + (u32)wasm_i32x4_extract_lane(twos, 3);
  *decimals = count - whole;
  return length;
}

static inline double power_of_ten(u32 n) {
  double p = 1;
  for (; n > 0; n--) p *= 10;
  return p;
}

static inline int is_digit(u8 c) { return (u8)(c - '0') <= 9; }

/* The text's `length` bytes, at least 2, with 16 more that may be read; its floats, at most `max`, to `out`. Gives their number; -1: not the quick way. */
EXPORT(plain_floats) i32 plain_floats(const u8 *text, u32 length, float *out, u32 max) {
  const u8 *at = text + 1, *end = text + length - 1;
  u32 count = 0;
  u32 decimals = 0;
  double power = 1;
  if (*text != '[' || *end != ']') return -1;
  for (;; at++) {
    int negative = *at == '-';
    at += negative;
    u32 small, places, taken = short_number(at, &small, &places);
    if (taken != 0 && (at[taken] == ',' || at + taken == end)) {
      at += taken;
      if (places != decimals) decimals = places, power = power_of_ten(places);
      double size = small / power;
      i32 middle = (i32)(__builtin_bit_cast(u64, size) & 0x1fffffff) - 0x10000000;
      if ((middle > -DOUBTFUL && middle < DOUBTFUL) || count == max) return -1;
      out[count++] = (float)(negative ? -size : size);
      if (at == end) return count;
      continue;
    }
    u64 mantissa = 0;
    u32 digits = 0;
    i32 exponent = 0;
    const u8 *first = at;
    for (; is_digit(*at); at++) {
      if (digits < EXACT_DIGITS) {
        mantissa = mantissa * 10 + (*at - '0');
        digits += mantissa != 0;
      } else exponent++;
    }
    u32 seen = at - first;
    if (*at == '.') {
      const u8 *point = ++at;
      for (; is_digit(*at); at++) {
        if (digits >= EXACT_DIGITS) continue;
        mantissa = mantissa * 10 + (*at - '0');
        digits += mantissa != 0;
        exponent--;
      }
      seen += at - point;
    }
    if (seen == 0) return -1;
    if ((*at | 32) == 'e') {
      at++;
      int down = *at == '-';
      if (down || *at == '+') at++;
      if (!is_digit(*at)) return -1;
      i32 given = 0;
      for (; is_digit(*at) && given < 1000; at++) given = given * 10 + (*at - '0');
      exponent += down ? -given : given;
    }
    if (at > end || (*at != ',' && at != end)) return -1;
    if (exponent < -EXACT_POWER || exponent > EXACT_POWER) return -1;
    double size = exponent < 0 ? (double)mantissa / power_of_ten(-exponent) : (double)mantissa * power_of_ten(exponent);
    i32 middle = (i32)(__builtin_bit_cast(u64, size) & 0x1fffffff) - 0x10000000;
    if (middle > -DOUBTFUL && middle < DOUBTFUL) return -1;
    if (size < FLOAT4_NORMAL_MIN ? size != 0 : size > FLOAT4_MAX) return -1;
    if (count == max) return -1;
    out[count++] = (float)(negative ? -size : size);
    if (at == end) return count;
  }
}
