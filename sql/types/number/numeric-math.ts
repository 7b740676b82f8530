/**
 * Roots, exponentials, logarithms and powers of Numeric: computed in fixed point with guard digits and rounded once to
 * the scale PostgreSQL chooses (about 16 significant digits, or as many places as the operands show).
 *
 *     ln x   = 2^k · 2 · artanh((r-1)/(r+1))   with r = x^(1/2^k) near 1
 *     e^x    = 10^n · (e^(f/2^8))^(2^8)         with x = n · ln 10 + f
 */
import { sqlError } from '../error.ts'
import { Numeric } from '../value.ts'
import * as n from './numeric.ts'

const GUARD_DIGITS = 20

const clampScale = (scale: number): number => Math.min(Math.max(scale, 0), n.DISPLAY_SCALE_MAX)

/** floor(√a) by Newton's method from above. */
function integerRoot(a: bigint): bigint {
  if (a < 2n) return a
  let x = 1n << BigInt((a.toString(16).length * 4 + 1) >> 1)
  x += 1n
  for (;;) {
    const next = (x + a / x) >> 1n
    if (next >= x) return x
    x = next
  }
}

/** √a at a scale, rounded to nearest. */
export function rootAt(a: Numeric, scale: number): Numeric {
  const shift = 2 * scale - a.scale
  const radicand = shift >= 0 ? a.digits * n.pow10(shift) : a.digits / n.pow10(-shift)
  const root = integerRoot(radicand)
  return n.numeric(radicand - root * root > root ? root + 1n : root, scale)
}

export function sqrt(a: Numeric): Numeric {
  if (a.special === 'NaN') return a
  if (n.sign(a) < 0) throw sqlError('2201F', 'cannot take square root of a negative number')
  if (a.special !== undefined) return a
  const { weight } = n.leadingDigit(a.digits, a.scale)
  const rootWeight = weight >= 0 ? Math.trunc((weight * 4) / 2) + 1 : 1 - Math.trunc((1 - weight * 4) / 2)
  return rootAt(a, Math.max(clampScale(n.SIGNIFICANT_DIGITS_MIN - rootWeight), a.scale))
}

/** ln of a positive number at a scale, in digits of that scale; not rounded exactly, the last digits are guards. */
function lnFixed(a: Numeric, scale: number): bigint {
  const exponent = n.decimalLength(a.digits) - a.scale - 1
  const one = n.pow10(scale)
  let x = n.rescale(a.digits, a.scale + exponent, scale)
  // x is in [1, 10): the power of ten is taken out unless a is already near 1, where it would cancel.
  if (exponent === -1) x = n.rescale(a.digits, a.scale, scale)
  const tens = exponent === -1 ? 0 : exponent
  let halvings = 0
  while (n.abs(x - one) * 20n > one) {
    x = integerRoot(x * one)
    halvings++
  }
  const z = ((x - one) * one) / (x + one)
  const square = (z * z) / one
  let term = z
  let sum = z
  for (let k = 3n; term !== 0n; k += 2n) {
    term = (term * square) / one
    sum += term / k
  }
  const result = sum << BigInt(halvings + 1)
  return tens === 0 ? result : result + BigInt(tens) * ln10(scale)
}

let ln10Scale = 0
let ln10Digits = 0n
function ln10(scale: number): bigint {
  if (scale > ln10Scale) {
    // ln 10 = 3 ln 2 + ln 1.25, both near enough to 1 after a few roots.
    const work = scale + GUARD_DIGITS
    ln10Digits = 3n * lnFixed(new Numeric(2n, 0), work) + lnFixed(new Numeric(125n, 2), work)
    ln10Scale = work
  }
  return n.truncate(ln10Digits, ln10Scale, scale)
}

export function lnAt(a: Numeric, scale: number): Numeric {
  const work = Math.max(scale, 0) + GUARD_DIGITS + Math.max(0, 4)
  return n.numeric(n.rescale(lnFixed(a, work), work, scale), scale)
}

const TENTHS_9 = new Numeric(9n, 1)
const TENTHS_11 = new Numeric(11n, 1)

/** About how many decimal digits ln(a) has before the point (negative: zeros after it), as PostgreSQL estimates. */
function lnWeight(a: Numeric): number {
  if (n.compare(a, TENTHS_9) >= 0 && n.compare(a, TENTHS_11) <= 0) {
    const x = n.subtract(a, n.ONE)
    if (x.digits === 0n) return 0
    const { weight, digit } = n.leadingDigit(x.digits, x.scale)
    return weight * 4 + Math.trunc(Math.log10(digit))
  }
  // The first two base-10000 digits, when there is a second.
  const { weight, digit } = n.leadingDigit(a.digits, a.scale)
  const drop = (weight - 1) * 4 + a.scale
  const two = Number(drop >= 0 ? a.digits / n.pow10(drop) : a.digits * n.pow10(-drop))
  const hasSecond = n.trimScale(a).scale > -weight * 4 || a.digits % n.pow10(Math.max(weight * 4 + a.scale, 0)) !== 0n
  const ln = hasSecond ? Math.log(two) + (weight - 1) * 4 * Math.LN10 : Math.log(digit) + weight * 4 * Math.LN10
  return Math.trunc(Math.log10(Math.abs(ln)))
}

function checkLogarithm(a: Numeric): void {
  const s = n.sign(a)
  if (s < 0) throw sqlError('2201E', 'cannot take logarithm of a negative number')
  if (s === 0 && a.special === undefined) throw sqlError('2201E', 'cannot take logarithm of zero')
}

export function ln(a: Numeric): Numeric {
  if (a.special === 'NaN') return a
  checkLogarithm(a)
  if (a.special !== undefined) return a
  return lnAt(a, Math.max(clampScale(n.SIGNIFICANT_DIGITS_MIN - lnWeight(a)), Math.min(a.scale, n.DISPLAY_SCALE_MAX)))
}

/** log(base, a). */
export function log(base: Numeric, a: Numeric): Numeric {
  if (base.special === 'NaN' || a.special === 'NaN') return n.NAN
  checkLogarithm(base)
  checkLogarithm(a)
  if (base.special !== undefined || a.special !== undefined) {
    if (base.special !== undefined && a.special !== undefined) return n.NAN
    return base.special !== undefined ? n.ZERO : n.INFINITY
  }
  const baseWeight = lnWeight(base)
  const ownWeight = lnWeight(a)
  const weight = ownWeight - baseWeight
  const scale = clampScale(Math.max(n.SIGNIFICANT_DIGITS_MIN - weight, base.scale, a.scale))
  const bottom = lnAt(base, Math.max(scale + weight - baseWeight + GUARD_DIGITS, 0) + GUARD_DIGITS)
  const top = lnAt(a, Math.max(scale + weight - ownWeight + GUARD_DIGITS, 0) + GUARD_DIGITS)
  if (bottom.digits === 0n) throw sqlError('22012', 'division by zero')
  return n.divideAt(top, bottom, scale, true)
}

const EXP_LIMIT = 6000

/** e^a at a scale, rounded to nearest. */
export function expAt(a: Numeric, scale: number): Numeric {
  const size = Number(n.toText(a))
  if (Math.abs(size) >= EXP_LIMIT) {
    if (size > 0) throw n.numericOverflow()
    return new Numeric(0n, scale)
  }
  const tens = Math.round(size / Math.LN10)
  const work = Math.max(scale + tens, 0) + GUARD_DIGITS
  const one = n.pow10(work)
  const rest = n.rescale(a.digits, a.scale, work + 8) - BigInt(tens) * ln10(work + 8)
  const halvings = 8n
  const x = n.rescale(rest, work + 8, work) >> halvings
  let term = one
  let sum = one
  for (let k = 1n; term !== 0n; k++) {
    term = (term * x) / (one * k)
    sum += term
  }
  for (let i = 0n; i < halvings; i++) sum = (sum * sum) / one
  return n.numeric(n.rescale(sum, work - tens, scale), scale)
}

export function exp(a: Numeric): Numeric {
  if (a.special !== undefined) return a.special === '-Infinity' ? n.ZERO : a
  const weight = Math.max(Math.min(Number(n.toText(a)) * Math.LOG10E, n.RESULT_SCALE_MAX), -n.RESULT_SCALE_MAX)
  return expAt(a, clampScale(Math.max(n.SIGNIFICANT_DIGITS_MIN - Math.trunc(weight), a.scale)))
}

const isIntegral = (a: Numeric): boolean =>
  a.special !== 'NaN' && (a.special !== undefined || a.digits % n.pow10(a.scale) === 0n)
const isOdd = (a: Numeric): boolean =>
  a.special === undefined && isIntegral(a) && (a.digits / n.pow10(a.scale)) % 2n !== 0n
const complexResult = () => sqlError('2201F', 'a negative number raised to a non-integer power yields a complex result')

/** POSIX pow(3)'s table for NaN and the infinities. */
function powerSpecial(a: Numeric, b: Numeric): Numeric {
  const isOne = a.special === undefined && n.compare(a, n.ONE) === 0
  const isZeroPower = b.special === undefined && b.digits === 0n
  if (a.special === 'NaN') return isZeroPower ? n.ONE : n.NAN
  if (b.special === 'NaN') return isOne ? n.ONE : n.NAN
  const sa = n.sign(a)
  const sb = n.sign(b)
  if (sa === 0 && sb < 0) throw sqlError('2201F', 'zero raised to a negative power is undefined')
  if (sa < 0 && !isIntegral(b)) throw complexResult()
  if (isOne || isZeroPower) return n.ONE
  if (sa === 0 && sb > 0) return n.ZERO
  if (b.special !== undefined) {
    if (a.special === undefined && n.compare(a, new Numeric(-1n, 0)) === 0) return n.ONE
    const large = a.special !== undefined || n.compare(new Numeric(n.abs(a.digits), a.scale), n.ONE) > 0
    return large === sb > 0 ? n.INFINITY : n.ZERO
  }
  if (sb < 0) return n.ZERO
  return sa > 0 || !isOdd(b) ? n.INFINITY : n.NEGATIVE_INFINITY
}

export function power(a: Numeric, b: Numeric): Numeric {
  if (a.special !== undefined || b.special !== undefined) return powerSpecial(a, b)
  if (a.digits === 0n && b.digits < 0n) {
    throw sqlError('2201F', 'zero raised to a negative power is undefined')
  }
  if (isIntegral(b)) {
    const whole = b.digits / n.pow10(b.scale)
    if (whole >= -2147483648n && whole <= 2147483647n) return powerOfInteger(a, Number(whole))
  }
  if (a.digits === 0n) return new Numeric(0n, n.SIGNIFICANT_DIGITS_MIN)
  if (a.digits < 0n && !isIntegral(b)) throw complexResult()
  const base = new Numeric(n.abs(a.digits), a.scale)
  const baseWeight = lnWeight(base)
  const estimate = Number(n.toText(n.multiply(lnAt(base, Math.max(8 - baseWeight, 0)), b)))
  if (Math.abs(estimate) > n.RESULT_SCALE_MAX * 3.01) {
    if (estimate > 0) throw n.numericOverflow()
    return new Numeric(0n, n.DISPLAY_SCALE_MAX)
  }
  const weight = Math.trunc(estimate * Math.LOG10E)
  const scale = clampScale(Math.max(n.SIGNIFICANT_DIGITS_MIN - weight, a.scale, b.scale))
  const result = expOfProduct(base, b, scale, weight)
  return a.digits < 0n && isOdd(b) ? n.negate(result) : result
}

/** e^(b · ln a), with ln a precise enough for all digits of the result. */
function expOfProduct(a: Numeric, b: Numeric, scale: number, weight: number): Numeric {
  const places = Math.max(scale + weight, 0) + n.decimalLength(b.digits) - b.scale + GUARD_DIGITS
  const work = Math.max(places, GUARD_DIGITS)
  const product = n.multiply(lnAt(a, Math.min(work, n.SCALE_MAX - GUARD_DIGITS - b.scale)), b)
  return expAt(product, scale)
}

/** Exact products up to this many digits; longer ones are rounded on the way. */
const EXACT_DIGITS_MAX = 4000

/** Shows 16 places, or as many as the base: PostgreSQL 15 does not look at the size of an integer power. */
function powerOfInteger(a: Numeric, exponent: number): Numeric {
  const scale = clampScale(Math.max(n.SIGNIFICANT_DIGITS_MIN, a.scale))
  if (exponent === 0) return n.numeric(n.pow10(scale), scale)
  if (a.digits === 0n) return new Numeric(0n, scale)
  const digits = n.decimalLength(a.digits)
  const leading = Number(n.abs(a.digits).toString().slice(0, 16))
  const weight = exponent * (Math.log10(leading) + (digits - a.scale) - Math.min(digits, 16))
  if (weight > (32767 + 1) * 4 + 10) throw n.numericOverflow()
  if (weight + 1 < -scale) return new Numeric(0n, scale)
  const size = Math.abs(exponent)
  const base = n.trimScale(a)
  if (digits * size <= EXACT_DIGITS_MAX || (base.scale === 0 && exponent > 0)) {
    const exact = base.digits ** BigInt(size)
    const exactScale = base.scale * size
    if (exponent > 0) return n.numeric(n.rescale(exact, exactScale, scale), scale)
    return n.numeric(n.divideRounded(n.pow10(scale + exactScale), exact), scale)
  }
  const result = powerBySquaring(base, exponent, scale, Math.trunc(weight))
  return a.digits < 0n && size % 2 === 1 ? n.negate(result) : result
}

/**
 * |a|^exponent by repeated squaring of a binary floating number: a mantissa of the bits the result shows and some more,
 * since each product doubles the relative error. A result of 100,000 digits takes some thirty products.
 */
function powerBySquaring(a: Numeric, exponent: number, scale: number, weight: number): Numeric {
  const size = Math.abs(exponent)
  const bits = BigInt(Math.ceil((Math.max(scale + weight, 0) + GUARD_DIGITS) * Math.log2(10)) + 64)
  const cut = (mantissa: bigint, shift: bigint): [mantissa: bigint, shift: bigint] => {
    const excess = BigInt(mantissa.toString(16).length * 4) - bits
    return excess > 0n ? [mantissa >> excess, shift + excess] : [mantissa, shift]
  }
  const raised = bits + BigInt(Math.ceil(a.scale * Math.log2(10)))
  let [base, baseShift] = cut((n.abs(a.digits) << raised) / n.pow10(a.scale), -raised)
  let result = 1n
  let shift = 0n
  for (let rest = size; ; ) {
    if (rest % 2 === 1) [result, shift] = cut(result * base, shift + baseShift)
    rest = Math.floor(rest / 2)
    if (rest === 0) break
    ;[base, baseShift] = cut(base * base, baseShift * 2n)
  }
  if (exponent < 0) {
    const over = BigInt(result.toString(16).length * 4) + bits
    result = (1n << over) / result
    shift = -over - shift
  }
  const shown = result * n.pow10(scale)
  if (shift >= 0n) return n.numeric(shown << shift, scale)
  return n.numeric((shown + (1n << (-shift - 1n))) >> -shift, scale)
}

/** n! exactly. */
export function factorial(count: number | bigint): Numeric {
  if (count < 0) throw sqlError('22003', 'factorial of a negative number is undefined')
  if (count > 32177) throw n.numericOverflow()
  return new Numeric(productOf(2, Number(count)), 0)
}

/** low · … · high by halves, so that the factors of each product are of like length. */
function productOf(low: number, high: number): bigint {
  if (low > high) return 1n
  if (high - low < 8) {
    let product = BigInt(low)
    for (let k = low + 1; k <= high; k++) product *= BigInt(k)
    return product
  }
  const middle = (low + high) >> 1
  return productOf(low, middle) * productOf(middle + 1, high)
}
