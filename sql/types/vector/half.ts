/**
 * IEEE 754 half precision (f16) as its 16 bits: sign, 5 bits of exponent, 10 of mantissa. A halfvec is a Uint16Array of
 * them. Reading goes by a table of all 65,536 values; writing rounds to the nearest, ties to even, as the processor does.
 */

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

export const HALF_SIGN = 0x8000
export const HALF_INFINITY = 0x7c00

/** Whether the bits are of 0 or -0. */
export const isHalfZero = (half: number): boolean => (half & 0x7fff) === 0

/** The number of each half: `HALF_VALUES[half]`. */
export const HALF_VALUES: Float32Array = table()

/** Of halves from 0 up; the others are their opposites. Each lies in a float4 as it is, but for the exponent's bias. */
function table(): Float32Array {
  const values = new Float32Array(65_536)
  const words = new Uint32Array(values.buffer)
  for (let half = 0; half < HALF_SIGN; half++) {
    if (half >= HALF_INFINITY) words[half] = 0x7f80_0000 | ((half & 0x3ff) << 13)
    else if (half >= 0x400) words[half] = (half << 13) + (112 << 23)
    else values[half] = half * 2 ** -24
    words[half + HALF_SIGN] = words[half]! | 0x8000_0000
  }
  return values
}

/** The half next to the float4 next to n; infinite from 65,520 on. */
export function toHalf(n: number): number {
  float[0] = n
  const word = bits[0]!
  const sign = (word >>> 16) & HALF_SIGN
  const size = word & 0x7fff_ffff
  if (size >= 0x4780_0000) return size > 0x7f80_0000 ? 0x7e00 : sign | HALF_INFINITY
  // Normal: the exponent's bias changes by 112, thirteen bits go; a carry runs into the exponent as it should.
  if (size >= 0x3880_0000) return sign | ((size - 0x3800_0000 + 0xfff + ((size >>> 13) & 1)) >>> 13)
  if (size < 0x3300_0000) return sign
  const mantissa = (size & 0x7f_ffff) | 0x80_0000
  const shift = 126 - (size >>> 23)
  const rest = mantissa & ((1 << shift) - 1)
  const middle = 1 << (shift - 1)
  const whole = mantissa >>> shift
  return sign | (whole + (rest > middle || (rest === middle && (whole & 1) === 1) ? 1 : 0))
}

/** The halves next to the floats; what is too large becomes infinite. */
export function toHalves(floats: ArrayLike<number>): Uint16Array {
  const halves = new Uint16Array(floats.length)
  for (let i = 0; i < halves.length; i++) halves[i] = toHalf(floats[i]!)
  return halves
}

const BIAS = 2 ** 112

/**
 * The numbers of finite halves into floats, of which `words` are the bits. Without the table, whose random reads take ten
 * times as long: a half's exponent and mantissa lie in a float4 as they are, the exponent 112 too small.
 */
export function writeHalves(halves: Uint16Array, floats: Float32Array, words: Uint32Array): void {
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!
    words[i] = ((half & HALF_SIGN) << 16) | ((half & 0x7fff) << 13)
    floats[i] = floats[i]! * BIAS
  }
}

/** The numbers of finite halves, exactly. */
export function fromHalves(halves: Uint16Array): Float32Array {
  const floats = new Float32Array(halves.length)
  writeHalves(halves, floats, new Uint32Array(floats.buffer))
  return floats
}
