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

static inline double power_of_ten(u32 n) {
  double p = 1;
  for (; n > 0; n--) p *= 10;
  return p;
}

static inline int is_digit(u8 c) { return (u8)(c - '0') <= 9; }

/* The text's `length` bytes, at least 2; its floats, at most `max`, to `out`. Gives their number; -1: not the quick way. */
EXPORT(plain_floats) i32 plain_floats(const u8 *text, u32 length, float *out, u32 max) {
  const u8 *at = text + 1, *end = text + length - 1;
  u32 count = 0;
  if (*text != '[' || *end != ']') return -1;
  for (;; at++) {
    int negative = *at == '-';
    at += negative;
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
