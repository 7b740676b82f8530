/** The operators, casts and functions of numeric, by pg_proc.prosrc. */
import { sqlError } from '../error.ts'
import { type FunctionTable, scalar } from '../function.ts'
import { comparedBy, comparisons } from '../misc/comparison.ts'
import type { Int64 } from '../value.ts'
import { Numeric } from '../value.ts'
import { parseFloat4, parseFloat8 } from './float-text.ts'
import * as int from './int.ts'
import * as n from './numeric.ts'
import * as math from './numeric-math.ts'
import { coerceNumeric } from './numeric-type.ts'

/** Rounds to a whole number for the integer casts. */
function whole(a: Numeric, typeName: string): bigint {
  if (a.special === 'NaN') throw sqlError('0A000', `cannot convert NaN to ${typeName}`)
  if (a.special !== undefined) throw sqlError('0A000', `cannot convert infinity to ${typeName}`)
  return n.rescale(a.digits, a.scale, 0)
}

function toInteger(a: Numeric, typeName: string, min: bigint, max: bigint): number {
  const r = whole(a, typeName)
  if (r < min || r > max) throw sqlError('22003', `${typeName} out of range`)
  return Number(r)
}

export function numericToInt8(a: Numeric): Int64 {
  return int.int8(whole(a, 'bigint'))
}
export const numericToInt4 = (a: Numeric): number => toInteger(a, 'integer', -2147483648n, 2147483647n)

/** The decimal of so many significant digits, as %.*g prints it. */
function floatToNumeric(a: number, digits: number): Numeric {
  if (Number.isNaN(a)) return n.NAN
  if (a === Infinity) return n.INFINITY
  if (a === -Infinity) return n.NEGATIVE_INFINITY
  const text = a.toExponential(digits - 1).replace(/\.?0*e/, 'e')
  return n.parseDecimal(text)!
}

const numericToFloat8 = (a: Numeric): number => parseFloat8(n.toText(a))

const sign = (a: Numeric): Numeric => (a.special === 'NaN' ? a : n.fromInteger(n.sign(a)))
const abs = (a: Numeric): Numeric => (n.sign(a) < 0 ? n.negate(a) : a)

function widthBucket(operand: Numeric, low: Numeric, high: Numeric, count: number): number {
  if (count <= 0) throw sqlError('2201G', 'count must be greater than zero')
  if (operand.special === 'NaN' || low.special === 'NaN' || high.special === 'NaN') {
    throw sqlError('2201G', 'operand, lower bound, and upper bound cannot be NaN')
  }
  if (low.special !== undefined || high.special !== undefined) {
    throw sqlError('2201G', 'lower and upper bounds must be finite')
  }
  const order = n.compare(low, high)
  if (order === 0) throw sqlError('2201G', 'lower bound cannot equal upper bound')
  // Downwards buckets mirror upwards ones.
  const up = order < 0
  if (up ? n.compare(operand, low) < 0 : n.compare(operand, low) > 0) return 0
  if (up ? n.compare(operand, high) >= 0 : n.compare(operand, high) <= 0) return int.int4(count + 1)
  const distance = up ? n.subtract(operand, low) : n.subtract(low, operand)
  const range = up ? n.subtract(high, low) : n.subtract(low, high)
  const scaled = n.multiply(distance, n.fromInteger(count))
  const ratio = n.divideAt(scaled, range, n.divisionScale(scaled, range), true)
  return Math.min(Number(ratio.digits / n.pow10(ratio.scale)), count - 1) + 1
}

function inRange(value: Numeric, base: Numeric, offset: Numeric, sub: boolean, less: boolean): boolean {
  if (offset.special === 'NaN' || n.sign(offset) < 0) {
    throw sqlError('22013', 'invalid preceding or following size in window function')
  }
  if (value.special === 'NaN') return base.special === 'NaN' ? true : !less
  if (base.special === 'NaN') return less
  if (offset.special !== undefined && base.special === (sub ? 'Infinity' : '-Infinity')) return true
  const bound = sub ? n.subtract(base, offset) : n.add(base, offset)
  return less ? n.compare(value, bound) <= 0 : n.compare(value, bound) >= 0
}

const minScale = (a: Numeric): number | null => (a.special !== undefined ? null : n.trimScale(a).scale)

export const NUMERIC_FUNCTIONS: FunctionTable = {
  ...comparisons((op) => `numeric_${op}`, comparedBy(n.compare, 'numericCompare')),
  numeric_cmp: scalar((a: Numeric, b: Numeric) => Math.sign(n.compare(a, b))),
  numeric_add: scalar(n.add, { js: (a, b) => `h.numericAdd(${a}, ${b})` }),
  numeric_sub: scalar(n.subtract, { js: (a, b) => `h.numericSubtract(${a}, ${b})` }),
  numeric_mul: scalar(n.multiply, { js: (a, b) => `h.numericMultiply(${a}, ${b})` }),
  numeric_div: scalar(n.divide, { js: (a, b) => `h.numericDivide(${a}, ${b})` }),
  numeric_div_trunc: scalar(n.divideTruncated),
  numeric_mod: scalar(n.modulo),
  numeric_uminus: scalar(n.negate),
  numeric_uplus: scalar((a: Numeric) => a),
  numeric_abs: scalar(abs),
  numeric_sign: scalar(sign),
  numeric_inc: scalar((a: Numeric) => n.add(a, n.ONE)),
  numeric_larger: scalar((a: Numeric, b: Numeric) => (n.compare(a, b) > 0 ? a : b)),
  numeric_smaller: scalar((a: Numeric, b: Numeric) => (n.compare(a, b) < 0 ? a : b)),
  numeric_round: scalar(n.round),
  numeric_trunc: scalar(n.trunc),
  numeric_ceil: scalar(n.ceil),
  numeric_floor: scalar(n.floor),
  numeric_sqrt: scalar(math.sqrt),
  numeric_exp: scalar(math.exp),
  numeric_ln: scalar(math.ln),
  numeric_log: scalar(math.log),
  numeric_power: scalar(math.power),
  numeric_fac: scalar(math.factorial),
  numeric_gcd: scalar(n.gcd),
  numeric_lcm: scalar(n.lcm),
  numeric_scale: scalar((a: Numeric) => (a.special !== undefined ? null : a.scale)),
  numeric_min_scale: scalar(minScale),
  numeric_trim_scale: scalar(n.trimScale),
  width_bucket_numeric: scalar(widthBucket),
  in_range_numeric_numeric: scalar(inRange),
  numeric: scalar(coerceNumeric),
  int2_numeric: scalar((a: number) => new Numeric(BigInt(a), 0)),
  int4_numeric: scalar((a: number) => new Numeric(BigInt(a), 0)),
  int8_numeric: scalar((a: Int64) => new Numeric(BigInt(a), 0)),
  float4_numeric: scalar((a: number) => floatToNumeric(a, 6)),
  float8_numeric: scalar((a: number) => floatToNumeric(a, 15)),
  numeric_int2: scalar((a: Numeric) => toInteger(a, 'smallint', -32768n, 32767n)),
  numeric_int4: scalar(numericToInt4),
  numeric_int8: scalar(numericToInt8),
  numeric_float4: scalar((a: Numeric) => parseFloat4(n.toText(a))),
  numeric_float8: scalar(numericToFloat8),
  numrange_subdiff: scalar((a: Numeric, b: Numeric) => numericToFloat8(n.subtract(a, b))),
  // SQL-language functions of PostgreSQL, found by signature.
  'log(numeric)': scalar((a: Numeric) => math.log(n.fromInteger(10), a)),
  'log10(numeric)': scalar((a: Numeric) => math.log(n.fromInteger(10), a)),
  'round(numeric)': scalar((a: Numeric) => n.round(a, 0)),
  'trunc(numeric)': scalar((a: Numeric) => n.trunc(a, 0)),
}

export const NUMERIC_HELPERS = {
  numericCompare: n.compare,
  numericAdd: n.add,
  numericSubtract: n.subtract,
  numericMultiply: n.multiply,
  numericDivide: n.divide,
}
