/**
 * Integer arithmetic with PostgreSQL's range checks. int2 and int4 are numbers; int8 is an Int64 in canonical form:
 * a number when it is a safe integer, else a bigint. Most bigints of real tables are small, so every operation first tries
 * plain numbers and takes the BigInt road only when the result leaves the safe integers. No result is ever -0.
 */
import { sqlError } from '../error.ts'
import type { Int64 } from '../value.ts'

export const INT8_MIN = -(2n ** 63n)
export const INT8_MAX = 2n ** 63n - 1n
const SAFE = Number.MAX_SAFE_INTEGER
const SAFE_BIG = BigInt(SAFE)

export const divisionByZero = () => sqlError('22012', 'division by zero')
const outOfRange = (type: string) => sqlError('22003', `${type} out of range`)

/** n as it is when it is an int4, else 22003. Also turns -0 into 0. */
export function int4(n: number): number {
  const r = n | 0
  if (r !== n) throw outOfRange('integer')
  return r
}

export function int2(n: number): number {
  const r = (n << 16) >> 16
  if (r !== n) throw outOfRange('smallint')
  return r
}

/** The canonical form of a bigint that is known to be an int8, or 22003. */
export function int8(n: bigint): Int64 {
  if (n <= SAFE_BIG && n >= -SAFE_BIG) return Number(n)
  if (n > INT8_MAX || n < INT8_MIN) throw outOfRange('bigint')
  return n
}

/** The canonical form modulo 2^64, for shifts and hashes. */
export const int8Wrapped = (n: bigint): Int64 => int8(BigInt.asIntN(64, n))

export const isSafe = (n: number): boolean => n <= SAFE && n >= -SAFE

export function int8pl(a: Int64, b: Int64): Int64 {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (sum <= SAFE && sum >= -SAFE) return sum
  }
  return int8(BigInt(a) + BigInt(b))
}

export function int8mi(a: Int64, b: Int64): Int64 {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b
    if (difference <= SAFE && difference >= -SAFE) return difference
  }
  return int8(BigInt(a) - BigInt(b))
}

export function int8mul(a: Int64, b: Int64): Int64 {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b
    if (product <= SAFE && product >= -SAFE) return product + 0
  }
  return int8(BigInt(a) * BigInt(b))
}

/** Truncates toward zero. `a - a % b` is an exact multiple of b, so no quotient is rounded. */
export function int8div(a: Int64, b: Int64): Int64 {
  if (typeof a === 'number' && typeof b === 'number') {
    if (b === 0) throw divisionByZero()
    return (a - (a % b)) / b + 0
  }
  if (b === 0) throw divisionByZero()
  return int8(BigInt(a) / BigInt(b))
}

/** The remainder has the dividend's sign. */
export function int8mod(a: Int64, b: Int64): Int64 {
  if (b === 0) throw divisionByZero()
  if (typeof a === 'number' && typeof b === 'number') return (a % b) + 0
  return int8(BigInt(a) % BigInt(b))
}

export const int8um = (a: Int64): Int64 => (typeof a === 'number' ? 0 - a : int8(-a))
export const int8abs = (a: Int64): Int64 => (a < 0 ? int8um(a) : a)

export function int4div(a: number, b: number): number {
  if (b === 0) throw divisionByZero()
  return int4(Math.trunc(a / b))
}

export function int2div(a: number, b: number): number {
  if (b === 0) throw divisionByZero()
  return int2(Math.trunc(a / b))
}

export function intmod(a: number, b: number): number {
  if (b === 0) throw divisionByZero()
  return (a % b) + 0
}

const fitsInt32 = (a: Int64): a is number => typeof a === 'number' && (a | 0) === a

export const int8and = (a: Int64, b: Int64): Int64 =>
  fitsInt32(a) && fitsInt32(b) ? a & b : int8(BigInt(a) & BigInt(b))
export const int8or = (a: Int64, b: Int64): Int64 =>
  fitsInt32(a) && fitsInt32(b) ? a | b : int8(BigInt(a) | BigInt(b))
export const int8xor = (a: Int64, b: Int64): Int64 =>
  fitsInt32(a) && fitsInt32(b) ? a ^ b : int8(BigInt(a) ^ BigInt(b))
export const int8not = (a: Int64): Int64 => (typeof a === 'number' && a > -SAFE ? -1 - a : int8(~BigInt(a)))
/** The count is taken modulo 64, as the processors PostgreSQL runs on do. */
export const int8shl = (a: Int64, by: number): Int64 => int8Wrapped(BigInt(a) << BigInt(by & 63))
export const int8shr = (a: Int64, by: number): Int64 => int8(BigInt(a) >> BigInt(by & 63))
export const int2shl = (a: number, by: number): number => ((a << by) << 16) >> 16

export function gcd8(a: Int64, b: Int64): Int64 {
  if (typeof a === 'number' && typeof b === 'number') {
    let x = Math.abs(a)
    let y = Math.abs(b)
    while (y !== 0) [x, y] = [y, x % y]
    return x
  }
  let x = BigInt(a)
  let y = BigInt(b)
  while (y !== 0n) [x, y] = [y, x % y]
  return int8(x < 0n ? -x : x)
}

export function lcm8(a: Int64, b: Int64): Int64 {
  if (a === 0 || b === 0) return 0
  return int8abs(int8mul(int8div(a, gcd8(a, b)), b))
}

const WHITE = /^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g
/** Without the white space that C's isspace knows at both ends. */
export const trimSpace = (text: string): string => text.replace(WHITE, '')

const INTEGER = /^[+-]?[0-9]+$/

/** Reads an integer's text as PostgreSQL's int input functions do: 22P02, 22003. */
export function parseInteger(text: string, typeName: string, min: bigint, max: bigint): Int64 {
  const trimmed = INTEGER.test(text) ? text : trimSpace(text)
  if (!INTEGER.test(trimmed)) throw sqlError('22P02', `invalid input syntax for type ${typeName}: "${text}"`)
  if (trimmed.length < 16) {
    const n = Number(trimmed) + 0
    if (n <= max && n >= min) return n
  } else {
    const n = BigInt(trimmed.startsWith('+') ? trimmed.slice(1) : trimmed)
    if (n <= max && n >= min) return int8(n)
  }
  throw sqlError('22003', `value "${text}" is out of range for type ${typeName}`)
}

/** float8 to integers: rounds half to even (rint), 22003 outside; NaN is outside too. */
export function roundHalfEven(n: number): number {
  const floor = Math.floor(n)
  const fraction = n - floor
  if (fraction < 0.5) return floor + 0
  if (fraction > 0.5) return floor + 1 + 0
  return floor % 2 === 0 ? floor + 0 : floor + 1 + 0
}

export function floatToInt4(n: number): number {
  const r = roundHalfEven(n)
  if (!(r >= -2147483648 && r < 2147483648)) throw outOfRange('integer')
  return r
}

export function floatToInt2(n: number): number {
  const r = roundHalfEven(n)
  if (!(r >= -32768 && r < 32768)) throw outOfRange('smallint')
  return r
}

export function floatToInt8(n: number): Int64 {
  const r = roundHalfEven(n)
  if (!(r >= -(2 ** 63) && r < 2 ** 63)) throw outOfRange('bigint')
  return isSafe(r) ? r : BigInt(r)
}

export function int8ToInt4(n: Int64): number {
  if (typeof n !== 'number' || (n | 0) !== n) throw outOfRange('integer')
  return n
}

export function int8ToInt2(n: Int64): number {
  if (typeof n !== 'number' || (n << 16) >> 16 !== n) throw outOfRange('smallint')
  return n
}

export function int8ToOid(n: Int64): number {
  if (typeof n !== 'number' || n >>> 0 !== n) throw outOfRange('OID')
  return n
}
