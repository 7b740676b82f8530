/**
 * Exact decimal arithmetic: a Numeric is digits × 10^-scale, so sums and products are integer sums and products, and a
 * quotient is one integer division with a chosen scale. What PostgreSQL defines and we must follow is the scale of each
 * result; its division works in base 10000, and the number of quotient digits depends on where that base's digits fall.
 * Source: PostgreSQL manual, "Arbitrary Precision Numbers".
 */
import { sqlError } from '../error.ts'
import { Numeric } from '../value.ts'
import { divisionByZero } from './int.ts'

/** Digits before the point that the format can hold: 32768 base-10000 digits. */
const INTEGER_DIGITS_MAX = 131072
/** Digits after the point that the format can hold. */
export const SCALE_MAX = 16383
/** A quotient or a root shows at least so many significant digits … */
export const SIGNIFICANT_DIGITS_MIN = 16
/** … and never more than so many after the point. */
export const DISPLAY_SCALE_MAX = 1000
export const RESULT_SCALE_MAX = 2000

export const NAN = new Numeric(0n, 0, 'NaN')
export const INFINITY = new Numeric(0n, 0, 'Infinity')
export const NEGATIVE_INFINITY = new Numeric(0n, 0, '-Infinity')
export const ZERO = new Numeric(0n, 0)
export const ONE = new Numeric(1n, 0)

export const numericOverflow = () => sqlError('22003', 'value overflows numeric format')

const POWERS: bigint[] = [1n]
for (let i = 1; i <= 64; i++) POWERS.push(POWERS[i - 1]! * 10n)
export const pow10 = (n: number): bigint => (n <= 64 ? POWERS[n]! : 10n ** BigInt(n))

const HUGE = 10n ** 1000n
const TWO_53 = 1n << 53n

export const abs = (n: bigint): bigint => (n < 0n ? -n : n)

/** How many decimal digits |n| has; 0 for 0. */
export function decimalLength(n: bigint): number {
  const size = abs(n)
  if (size === 0n) return 0
  if (size < 1_000_000_000_000_000n) {
    let rest = Number(size)
    let length = 1
    while (rest >= 10) {
      rest /= 10
      length++
    }
    return length
  }
  if (size <= POWERS[64]!) {
    let length = 16
    while (length < 65 && size >= POWERS[length]!) length++
    return length
  }
  return size.toString().length
}

/** A result, checked against the format's limits. */
export function numeric(digits: bigint, scale: number): Numeric {
  if (scale > SCALE_MAX) throw numericOverflow()
  if ((digits > HUGE || digits < -HUGE) && decimalLength(digits) - scale > INTEGER_DIGITS_MAX) throw numericOverflow()
  return new Numeric(digits, scale)
}

export const fromInteger = (n: number | bigint): Numeric => new Numeric(BigInt(n), 0)

/** Divides rounding half away from zero. */
export function divideRounded(a: bigint, b: bigint): bigint {
  const quotient = a / b
  const rest = abs(a - quotient * b) * 2n
  if (rest < abs(b)) return quotient
  return a < 0n === b < 0n ? quotient + 1n : quotient - 1n
}

/** The digits at another scale, rounding half away from zero. `to` may be negative. */
export function rescale(digits: bigint, from: number, to: number): bigint {
  if (to >= from) return to === from ? digits : digits * pow10(to - from)
  return divideRounded(digits, pow10(from - to))
}

export function truncate(digits: bigint, from: number, to: number): bigint {
  return to >= from ? digits * pow10(to - from) : digits / pow10(from - to)
}

export function sign(a: Numeric): number {
  if (a.special !== undefined) return a.special === 'Infinity' ? 1 : a.special === '-Infinity' ? -1 : 0
  return a.digits > 0n ? 1 : a.digits < 0n ? -1 : 0
}

const SPECIAL_RANK = { '-Infinity': -1, Infinity: 1, NaN: 2 } as const
const rank = (a: Numeric): number => (a.special === undefined ? 0 : SPECIAL_RANK[a.special])

/** -Infinity < numbers < Infinity < NaN; scale does not matter. */
export function compare(a: Numeric, b: Numeric): number {
  if (a.special !== undefined || b.special !== undefined) return rank(a) - rank(b)
  let x = a.digits
  let y = b.digits
  if (a.scale !== b.scale) {
    if (x >= 0n !== y >= 0n || x === 0n || y === 0n) return x < y ? -1 : x > y ? 1 : 0
    if (a.scale < b.scale) x *= pow10(b.scale - a.scale)
    else y *= pow10(a.scale - b.scale)
  }
  return x < y ? -1 : x > y ? 1 : 0
}

const infinity = (sign: number): Numeric => (sign > 0 ? INFINITY : NEGATIVE_INFINITY)

export function add(a: Numeric, b: Numeric): Numeric {
  if (a.special !== undefined || b.special !== undefined) return addSpecial(a, b)
  if (a.scale === b.scale) return numeric(a.digits + b.digits, a.scale)
  return a.scale > b.scale
    ? numeric(a.digits + b.digits * pow10(a.scale - b.scale), a.scale)
    : numeric(a.digits * pow10(b.scale - a.scale) + b.digits, b.scale)
}

function addSpecial(a: Numeric, b: Numeric): Numeric {
  if (a.special === 'NaN' || b.special === 'NaN') return NAN
  if (a.special === undefined) return b
  if (b.special === undefined) return a
  return a.special === b.special ? a : NAN
}

export function negate(a: Numeric): Numeric {
  if (a.special !== undefined) return a.special === 'NaN' ? a : infinity(-sign(a))
  return new Numeric(-a.digits, a.scale)
}

export const subtract = (a: Numeric, b: Numeric): Numeric => add(a, negate(b))

export function multiply(a: Numeric, b: Numeric): Numeric {
  if (a.special !== undefined || b.special !== undefined) {
    if (a.special === 'NaN' || b.special === 'NaN') return NAN
    const s = sign(a) * sign(b)
    return s === 0 ? NAN : infinity(s)
  }
  const scale = a.scale + b.scale
  const digits = a.digits * b.digits
  return scale > SCALE_MAX ? numeric(rescale(digits, scale, SCALE_MAX), SCALE_MAX) : numeric(digits, scale)
}

/** Where a number's first base-10000 digit lies (its weight) and what it is; 0 and 0 for zero. */
export function leadingDigit(digits: bigint, scale: number): { readonly weight: number; readonly digit: number } {
  if (digits === 0n) return { weight: 0, digit: 0 }
  const length = decimalLength(digits)
  const weight = Math.floor((length - scale - 1) / 4)
  const drop = weight * 4 + scale
  const size = abs(digits)
  return { weight, digit: Number(drop >= 0 ? size / pow10(drop) : size * pow10(-drop)) }
}

/** The scale of a quotient: at least 16 significant digits, and no fewer places than either operand shows. */
export function divisionScale(a: Numeric, b: Numeric): number {
  const first = leadingDigit(a.digits, a.scale)
  const second = leadingDigit(b.digits, b.scale)
  let weight = first.weight - second.weight
  if (first.digit <= second.digit) weight--
  return Math.min(Math.max(SIGNIFICANT_DIGITS_MIN - weight * 4, a.scale, b.scale, 0), DISPLAY_SCALE_MAX)
}

/** a / b of finite numbers at a given scale, rounded or truncated. */
export function divideAt(a: Numeric, b: Numeric, scale: number, round: boolean): Numeric {
  const shift = scale + b.scale - a.scale
  const top = shift >= 0 ? a.digits * pow10(shift) : a.digits
  const bottom = shift >= 0 ? b.digits : b.digits * pow10(-shift)
  return numeric(round ? divideRounded(top, bottom) : top / bottom, scale)
}

function divideSpecial(a: Numeric, b: Numeric): Numeric {
  if (a.special === 'NaN' || b.special === 'NaN') return NAN
  if (a.special === undefined) return ZERO
  if (b.special !== undefined) return NAN
  if (b.digits === 0n) throw divisionByZero()
  return infinity(sign(a) * sign(b))
}

export function divide(a: Numeric, b: Numeric): Numeric {
  if (a.special !== undefined || b.special !== undefined) return divideSpecial(a, b)
  if (b.digits === 0n) throw divisionByZero()
  return divideAt(a, b, divisionScale(a, b), true)
}

/** div(a, b): the quotient's integer part. */
export function divideTruncated(a: Numeric, b: Numeric): Numeric {
  if (a.special !== undefined || b.special !== undefined) return divideSpecial(a, b)
  if (b.digits === 0n) throw divisionByZero()
  return divideAt(a, b, 0, false)
}

export function modulo(a: Numeric, b: Numeric): Numeric {
  if (a.special !== undefined || b.special !== undefined) {
    if (a.special === 'NaN' || b.special === 'NaN') return NAN
    if (a.special !== undefined) {
      if (b.special === undefined && b.digits === 0n) throw divisionByZero()
      return NAN
    }
    return a
  }
  if (b.digits === 0n) throw divisionByZero()
  const scale = Math.max(a.scale, b.scale)
  return numeric(rescale(a.digits, a.scale, scale) % rescale(b.digits, b.scale, scale), scale)
}

/** No numeric has more digits before the point, nor after it. */
const placesWithin = (places: number): number => Math.max(Math.min(places, SCALE_MAX), -(INTEGER_DIGITS_MAX + 1))

/** round(a, places); negative places round before the point. */
export function round(a: Numeric, places: number): Numeric {
  if (a.special !== undefined) return a
  const to = placesWithin(places)
  if (to >= 0) return numeric(rescale(a.digits, a.scale, to), to)
  return numeric(rescale(a.digits, a.scale, to) * pow10(-to), 0)
}

export function trunc(a: Numeric, places: number): Numeric {
  if (a.special !== undefined) return a
  const to = placesWithin(places)
  if (to >= 0) return numeric(truncate(a.digits, a.scale, to), to)
  return numeric(truncate(a.digits, a.scale, to) * pow10(-to), 0)
}

export function floor(a: Numeric): Numeric {
  if (a.special !== undefined) return a
  const unit = pow10(a.scale)
  const whole = a.digits / unit
  return numeric(a.digits < 0n && whole * unit !== a.digits ? whole - 1n : whole, 0)
}

export const ceil = (a: Numeric): Numeric => negate(floor(negate(a)))

/** Without trailing zeros after the point. */
export function trimScale(a: Numeric): Numeric {
  if (a.special !== undefined || a.scale === 0) return a
  let { digits, scale } = a
  while (scale > 0 && digits % 10n === 0n) {
    digits /= 10n
    scale--
  }
  return new Numeric(digits, scale)
}

/** A Map key that is equal for equal numbers of whatever scale. */
export function hashKey(a: Numeric): number | string {
  if (a.special !== undefined) return a.special
  const { digits, scale } = trimScale(a)
  if (scale === 0 && digits < TWO_53 && digits > -TWO_53) return Number(digits)
  return `${digits}/${scale}`
}

export function gcd(a: Numeric, b: Numeric): Numeric {
  if (a.special === 'NaN' || b.special === 'NaN') return NAN
  if (a.special !== undefined || b.special !== undefined) return NAN
  const scale = Math.max(a.scale, b.scale)
  let x = abs(rescale(a.digits, a.scale, scale))
  let y = abs(rescale(b.digits, b.scale, scale))
  while (y !== 0n) [x, y] = [y, x % y]
  return new Numeric(x, scale)
}

export function lcm(a: Numeric, b: Numeric): Numeric {
  if (a.special !== undefined || b.special !== undefined) return NAN
  const scale = Math.max(a.scale, b.scale)
  if (a.digits === 0n || b.digits === 0n) return new Numeric(0n, scale)
  const x = rescale(a.digits, a.scale, scale)
  const y = rescale(b.digits, b.scale, scale)
  return numeric(abs((x / gcd(a, b).digits) * y), scale)
}

export function toText(a: Numeric): string {
  if (a.special !== undefined) return a.special
  if (a.scale === 0) return a.digits.toString()
  const negative = a.digits < 0n
  const text = abs(a.digits)
    .toString()
    .padStart(a.scale + 1, '0')
  const point = text.length - a.scale
  return `${negative ? '-' : ''}${text.slice(0, point)}.${text.slice(point)}`
}

const SYNTAX = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/
const EXPONENT_LIMIT = 1073741823

/** The number of a plain decimal text, or undefined when it is none. 22003 when the format cannot hold it. */
export function parseDecimal(text: string): Numeric | undefined {
  const parts = SYNTAX.exec(text)
  if (parts === null) return undefined
  const fraction = parts[3] ?? ''
  const all = parts[2]! + fraction
  if (all === '') return undefined
  let digits = all.length < 16 ? BigInt(Number(all)) : BigInt(all)
  if (parts[1] === '-') digits = -digits
  if (parts[4] === undefined) return numeric(digits, fraction.length)
  const exponent = Number(parts[4])
  if (Math.abs(exponent) >= EXPONENT_LIMIT) throw numericOverflow()
  const scale = fraction.length - exponent
  if (scale >= 0) return numeric(digits, scale)
  if (digits === 0n) return ZERO
  if (all.length - scale > 2 * INTEGER_DIGITS_MAX + all.length) throw numericOverflow()
  return numeric(digits * pow10(-scale), 0)
}
