/**
 * Floating point numbers as text: the shortest digits that read back as the same number (extra_float_digits > 0, the
 * default), or %g with a fixed number of digits. Like PostgreSQL, and unlike JavaScript, a candidate that lies exactly
 * on the border between two numbers is not accepted, because it reads back only by the round-half-even rule.
 * Source: PostgreSQL manual, "Floating-Point Types" and extra_float_digits.
 */
import { sqlError } from '../error.ts'
import { trimSpace } from './int.ts'

const TWO_53 = 2 ** 53

/** Digits d1d2d3… and the decimal exponent of d1, from toExponential's form. */
interface Decimal {
  readonly digits: string
  readonly exponent: number
}

function fromExponential(text: string): Decimal {
  const e = text.indexOf('e')
  return { digits: text.slice(0, e).replace('.', '').replace(/0+$/, '') || '0', exponent: Number(text.slice(e + 1)) }
}

/** Fixed notation for exponents in [-4, limit), else d.ddde+XX, as %g does. */
function layOut(negative: boolean, { digits, exponent }: Decimal, limit: number): string {
  const sign = negative ? '-' : ''
  if (exponent < -4 || exponent >= limit) {
    const mantissa = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits
    const size = Math.abs(exponent)
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  if (digits.length <= exponent + 1) return sign + digits.padEnd(exponent + 1, '0')
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`
}

function special(n: number): string | undefined {
  if (Number.isNaN(n)) return 'NaN'
  if (n === Infinity) return 'Infinity'
  if (n === -Infinity) return '-Infinity'
  if (n === 0) return Object.is(n, -0) ? '-0' : '0'
  return undefined
}

/** True when the decimal is exactly half way between two doubles; only numbers of 2^53 and more have such short ones. */
function isBorder({ digits, exponent }: Decimal, n: number): boolean {
  const zeros = exponent + 1 - digits.length
  if (zeros < 0 || zeros > 24) return false
  const exact = BigInt(digits) * 10n ** BigInt(zeros)
  const distance = exact - BigInt(n)
  if (distance === 0n) return false
  const neighbour = nextDouble(n, distance > 0n)
  return BigInt(neighbour) - BigInt(n) === 2n * distance
}

const view = new DataView(new ArrayBuffer(8))
/** The neighbour of a positive double. */
function nextDouble(n: number, up: boolean): number {
  view.setFloat64(0, n)
  view.setBigInt64(0, view.getBigInt64(0) + (up ? 1n : -1n))
  return view.getFloat64(0)
}
/** The neighbour of a positive float4. */
function nextFloat4(n: number, up: boolean): number {
  view.setFloat32(0, n)
  view.setInt32(0, view.getInt32(0) + (up ? 1 : -1))
  return view.getFloat32(0)
}

/** Numbers whose JavaScript form is already PostgreSQL's: |n| in [1e-4, 1e15). */
export function float8ToText(n: number, extraDigits: number): string {
  const size = n < 0 ? -n : n
  if (extraDigits > 0) {
    if (size >= 1e-4 && size < 1e15) return String(n)
    const named = special(n)
    if (named !== undefined) return named
    let decimal = fromExponential(size.toExponential())
    for (let p = decimal.digits.length; size >= TWO_53 && p < 17 && isBorder(decimal, size); ) {
      const longer = size.toExponential(p++)
      if (Number(longer) === size) decimal = fromExponential(longer)
    }
    return layOut(n < 0, decimal, 15)
  }
  return special(n) ?? general(size, n < 0, Math.max(15 + extraDigits, 1))
}

function general(size: number, negative: boolean, precision: number): string {
  return layOut(negative, fromExponential(size.toExponential(precision - 1)), precision)
}

/** `n` is a float4's exact value as a double. */
export function float4ToText(n: number, extraDigits: number): string {
  const named = special(n)
  if (named !== undefined) return named
  const size = Math.abs(n)
  if (extraDigits <= 0) return general(size, n < 0, Math.max(6 + extraDigits, 1))
  return layOut(n < 0, shortestFloat4(size), 6)
}

const FLOAT4_NORMAL_MIN = 2 ** -126

/** The shortest decimal strictly between the borders of `size`, the nearest of them. */
function shortestFloat4(size: number): Decimal {
  if (Number.isInteger(size) && size < 100000) return fromExponential(size.toExponential())
  const above = nextFloat4(size, true)
  const low = (size + nextFloat4(size, false)) / 2
  const high = above === Infinity ? size + (size - nextFloat4(size, false)) / 2 : (size + above) / 2
  // Six digits lie at least 1e-6 apart and the borders at most 1.2e-7: a shorter decimal inside is also the six-digit one.
  for (let p = size >= FLOAT4_NORMAL_MIN ? 6 : 1; p < 9; p++) {
    const text = size.toExponential(p - 1)
    const read = Number(text)
    if (read > low && read < high) return fromExponential(text)
    // At a power of two the lower border is nearer than the upper: the next decimal above may be inside.
    const e = text.indexOf('e')
    const next = Number(`${BigInt(text.slice(0, e).replace('.', '')) + 1n}e${Number(text.slice(e + 1)) - p + 1}`)
    if (next > low && next < high) return fromExponential(next.toExponential(p - 1))
  }
  return fromExponential(size.toExponential(8))
}

const DECIMAL = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/
const HEX = /^([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?[0-9]+))?$/
const WORDS: Readonly<Record<string, number>> = {
  nan: NaN,
  '+nan': NaN,
  '-nan': NaN,
  infinity: Infinity,
  '+infinity': Infinity,
  '-infinity': -Infinity,
  inf: Infinity,
  '+inf': Infinity,
  '-inf': -Infinity,
}

function parseHex(text: string): number | undefined {
  const parts = HEX.exec(text)
  if (parts === null) return undefined
  const fraction = parts[3] ?? ''
  const digits = (parts[2] ?? '') + fraction
  if (digits === '') return undefined
  const size = Number(BigInt(`0x${digits}`)) * 2 ** (Number(parts[4] ?? 0) - 4 * fraction.length)
  return parts[1] === '-' ? -size : size
}

function parse(text: string, typeName: string): number {
  const trimmed = DECIMAL.test(text) ? text : trimSpace(text)
  if (DECIMAL.test(trimmed)) return Number(trimmed)
  const word = WORDS[trimmed.toLowerCase()] ?? parseHex(trimmed)
  if (word === undefined) throw sqlError('22P02', `invalid input syntax for type ${typeName}: "${text}"`)
  return word
}

const notRepresentable = (text: string, typeName: string) =>
  sqlError('22003', `"${trimSpace(text)}" is out of range for type ${typeName}`)

/** True when the text's digits are not all zero: then a zero result means that the number was too small. */
const hasDigit = (text: string): boolean => /[1-9]/.test(text.replace(/[eE].*$/, ''))
const isInfinityWord = (text: string): boolean => /inf/i.test(text)

export function parseFloat8(text: string): number {
  const n = parse(text, 'double precision')
  if ((n === 0 && hasDigit(text)) || ((n === Infinity || n === -Infinity) && !isInfinityWord(text))) {
    throw notRepresentable(text, 'double precision')
  }
  return n
}

/** Rounds the decimal once: where the double is exactly between two float4s, the digits decide. */
export function parseFloat4(text: string): number {
  const exact = parse(text, 'real')
  let n = Math.fround(exact)
  if (n !== exact && Number.isFinite(n)) {
    const other = nearestOtherFloat4(n, exact)
    if (Math.abs(other - exact) === Math.abs(n - exact)) {
      const side = compareDecimalToDouble(trimSpace(text), exact)
      if (side !== 0) n = side > 0 ? Math.max(n, other) : Math.min(n, other)
    }
  }
  if ((n === 0 && hasDigit(text)) || ((n === Infinity || n === -Infinity) && !isInfinityWord(text))) {
    throw notRepresentable(text, 'real')
  }
  return n
}

function nearestOtherFloat4(n: number, toward: number): number {
  if (n === 0) return Math.sign(toward) * 1.401298464324817e-45
  const away = Math.abs(toward) > Math.abs(n)
  return Math.sign(n) * nextFloat4(Math.abs(n), away)
}

function compareDecimalToDouble(text: string, n: number): number {
  const parts = /^([+-]?)([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]+))?$/.exec(text)
  if (parts === null) return 0
  const digits = BigInt(`${parts[2]}${parts[3]}` || '0') * (parts[1] === '-' ? -1n : 1n)
  const exponent = Number(parts[4] ?? 0) - parts[3]!.length
  // n = mantissa × 2^power exactly, so both sides can be multiplied up to integers.
  let power = 0
  let mantissa = n
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2
    power--
  }
  let left = digits
  let right = BigInt(mantissa) * 1n
  if (exponent >= 0) left *= 10n ** BigInt(exponent)
  else right *= 10n ** BigInt(-exponent)
  left <<= BigInt(-power)
  return left < right ? -1 : left > right ? 1 : 0
}
