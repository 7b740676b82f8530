/**
 * real and double precision: the types, their operators, and the mathematical functions of double precision.
 * NaN equals itself and is larger than every other number; results that overflow or underflow are errors (22003).
 * Source: PostgreSQL manual, "Floating-Point Types" and "Mathematical Functions and Operators".
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { bound, type FunctionBody, type FunctionTable, scalar } from '../function.ts'
import { comparedBy, comparisons } from '../misc/comparison.ts'
import type { Type } from '../type.ts'
import type { Value } from '../value.ts'
import { float4ToText, float8ToText, parseFloat4, parseFloat8 } from './float-text.ts'
import { divisionByZero, roundHalfEven } from './int.ts'
import { wrongBinaryLength } from './integer.ts'
import * as trig from './trigonometry.ts'

export const compareFloat = (a: number, b: number): number =>
  a < b ? -1 : a > b ? 1 : a === b ? 0 : Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : -1

export const FLOAT_TYPES: readonly Type[] = [
  {
    oid: oid(700),
    name: 'float4',
    elementOid: oid(0),
    delimiter: ',',
    input: parseFloat4,
    output: (value, context) => float4ToText(value as number, context.settings.extraFloatDigits),
    receive(from, start, end) {
      if (end - start !== 4) throw wrongBinaryLength()
      return from.readFloatBE(start)
    },
    send: (value, to) => to.float32(value as number),
    compare: (a, b) => compareFloat(a as number, b as number),
    hashKey: (value) => value as number,
    storage: { kind: 'float32' },
    encodeKey: (value, to) => to.float64(value as number),
  },
  {
    oid: oid(701),
    name: 'float8',
    elementOid: oid(0),
    delimiter: ',',
    input: parseFloat8,
    output: (value, context) => float8ToText(value as number, context.settings.extraFloatDigits),
    receive(from, start, end) {
      if (end - start !== 8) throw wrongBinaryLength()
      return from.readDoubleBE(start)
    },
    send: (value, to) => to.float64(value as number),
    compare: (a, b) => compareFloat(a as number, b as number),
    hashKey: (value) => value as number,
    storage: { kind: 'float64' },
    encodeKey: (value, to) => to.float64(value as number),
  },
]

export const overflow = () => sqlError('22003', 'value out of range: overflow')
const underflow = () => sqlError('22003', 'value out of range: underflow')
const inputOutOfRange = () => sqlError('22003', 'input is out of range')
const isInfinite = (n: number): boolean => n === Infinity || n === -Infinity

/** Sums and differences cannot underflow: only a new infinity is wrong. */
function float8sum(r: number, a: number, b: number): number {
  if (isInfinite(r) && !isInfinite(a) && !isInfinite(b)) throw overflow()
  return r
}
function float8mul(a: number, b: number): number {
  const r = a * b
  if (isInfinite(r) && !isInfinite(a) && !isInfinite(b)) throw overflow()
  if (r === 0 && a !== 0 && b !== 0) throw underflow()
  return r
}
function float8div(a: number, b: number): number {
  if (b === 0 && !Number.isNaN(a)) throw divisionByZero()
  const r = a / b
  if (isInfinite(r) && !isInfinite(a)) throw overflow()
  if (r === 0 && a !== 0 && !isInfinite(b)) throw underflow()
  return r
}
function float4mul(a: number, b: number): number {
  const r = Math.fround(a * b)
  if (isInfinite(r) && !isInfinite(a) && !isInfinite(b)) throw overflow()
  if (r === 0 && a !== 0 && b !== 0) throw underflow()
  return r
}
function float4div(a: number, b: number): number {
  if (b === 0 && !Number.isNaN(a)) throw divisionByZero()
  const r = Math.fround(a / b)
  if (isInfinite(r) && !isInfinite(a)) throw overflow()
  if (r === 0 && a !== 0 && !isInfinite(b)) throw underflow()
  return r
}

type Op = 'pl' | 'mi' | 'mul' | 'div'
const FLOAT8_ARITHMETIC: Record<Op, FunctionBody> = {
  pl: scalar((a: number, b: number) => float8sum(a + b, a, b), {
    js: (a, b) => `h.float8sum(${a} + ${b}, ${a}, ${b})`,
  }),
  mi: scalar((a: number, b: number) => float8sum(a - b, a, b), {
    js: (a, b) => `h.float8sum(${a} - ${b}, ${a}, ${b})`,
  }),
  mul: scalar(float8mul, { js: (a, b) => `h.float8mul(${a}, ${b})` }),
  div: scalar(float8div, { js: (a, b) => `h.float8div(${a}, ${b})` }),
}
const FLOAT4_ARITHMETIC: Record<Op, FunctionBody> = {
  pl: scalar((a: number, b: number) => float8sum(Math.fround(a + b), a, b), {
    js: (a, b) => `h.float8sum(Math.fround(${a} + ${b}), ${a}, ${b})`,
  }),
  mi: scalar((a: number, b: number) => float8sum(Math.fround(a - b), a, b), {
    js: (a, b) => `h.float8sum(Math.fround(${a} - ${b}), ${a}, ${b})`,
  }),
  mul: scalar(float4mul, { js: (a, b) => `h.float4mul(${a}, ${b})` }),
  div: scalar(float4div, { js: (a, b) => `h.float4div(${a}, ${b})` }),
}

function pairTables(): FunctionTable {
  const table: Record<string, FunctionBody> = {}
  const arithmetic = {
    float4: FLOAT4_ARITHMETIC,
    float8: FLOAT8_ARITHMETIC,
    float48: FLOAT8_ARITHMETIC,
    float84: FLOAT8_ARITHMETIC,
  }
  const comparing = comparedBy(compareFloat, 'compareFloat')
  for (const [prefix, bodies] of Object.entries(arithmetic)) {
    for (const [op, body] of Object.entries(bodies)) table[prefix + op] = body
    Object.assign(
      table,
      comparisons((op) => prefix + op, comparing),
    )
    table[`bt${prefix}cmp`] = scalar(compareFloat, { js: (a, b) => `h.compareFloat(${a}, ${b})` })
  }
  return table
}

/** double precision to real: 22003 where it does not fit. */
function dtof(a: number): number {
  const r = Math.fround(a)
  if (isInfinite(r) && !isInfinite(a)) throw overflow()
  if (r === 0 && a !== 0) throw underflow()
  return r
}

function dsqrt(a: number): number {
  if (a < 0) throw sqlError('2201F', 'cannot take square root of a negative number')
  return Math.sqrt(a)
}

/** Newton's step in exact-enough arithmetic makes perfect cubes exact. */
function dcbrt(a: number): number {
  const r = Math.cbrt(a)
  const whole = Math.round(r)
  return whole * whole * whole === a && a !== 0 ? whole : r
}

function dexp(a: number): number {
  const r = Math.exp(a)
  if (isInfinite(r) && !isInfinite(a)) throw overflow()
  if (r === 0 && a !== -Infinity) throw underflow()
  return r
}

function logarithm(log: (n: number) => number): (a: number) => number {
  return (a) => {
    if (a === 0) throw sqlError('2201E', 'cannot take logarithm of zero')
    if (a < 0) throw sqlError('2201E', 'cannot take logarithm of a negative number')
    return log(a)
  }
}

/** POSIX pow, with the SQL errors of 2201F. */
function dpow(a: number, b: number): number {
  if (Number.isNaN(a)) return b === 0 ? 1 : NaN
  if (Number.isNaN(b)) return a === 1 ? 1 : NaN
  if (a === 0 && b < 0) throw sqlError('2201F', 'zero raised to a negative power is undefined')
  if (a < 0 && Math.floor(b) !== b) {
    throw sqlError('2201F', 'a negative number raised to a non-integer power yields a complex result')
  }
  if (isInfinite(b) && (a === 1 || a === -1)) return 1
  const r = a ** b
  if (isInfinite(r) && !isInfinite(a) && !isInfinite(b)) throw overflow()
  if (r === 0 && a !== 0 && !isInfinite(a) && !isInfinite(b)) throw underflow()
  return r
}

/** A function that is not defined at infinity. */
function finite(run: (n: number) => number): FunctionBody {
  return scalar((a: number) => {
    if (Number.isNaN(a)) return NaN
    if (isInfinite(a)) throw inputOutOfRange()
    return run(a)
  })
}
/** A function of [-1, 1]. */
function ofUnit(run: (n: number) => number): FunctionBody {
  return scalar((a: number) => {
    if (Number.isNaN(a)) return NaN
    if (a < -1 || a > 1) throw inputOutOfRange()
    return run(a)
  })
}

function atanh(a: number): number {
  return Math.atanh(a)
}

function cosh(a: number): number {
  const r = Math.cosh(a)
  if (isInfinite(r) && !isInfinite(a)) throw overflow()
  return r
}
function sinh(a: number): number {
  const r = Math.sinh(a)
  if (isInfinite(r) && !isInfinite(a)) throw overflow()
  return r
}
const cotangent = (a: number): number => 1 / Math.tan(a)

/** Counts buckets as PostgreSQL 15's width_bucket_float8 does. */
function widthBucket(operand: number, low: number, high: number, count: number): number {
  if (count <= 0) throw sqlError('2201G', 'count must be greater than zero')
  if (Number.isNaN(operand) || Number.isNaN(low) || Number.isNaN(high)) {
    throw sqlError('2201G', 'operand, lower bound, and upper bound cannot be NaN')
  }
  if (isInfinite(low) || isInfinite(high)) throw sqlError('2201G', 'lower and upper bounds must be finite')
  if (low < high) {
    if (operand < low) return 0
    if (operand >= high) return bucketAbove(count)
    const range = high - low
    const ratio = isInfinite(range) ? (operand / 2 - low / 2) / (high / 2 - low / 2) : (operand - low) / range
    return Math.min(Math.trunc(count * ratio), count - 1) + 1
  }
  if (low > high) {
    if (operand > low) return 0
    if (operand <= high) return bucketAbove(count)
    const range = low - high
    const ratio = isInfinite(range) ? (low / 2 - operand / 2) / (low / 2 - high / 2) : (low - operand) / range
    return Math.min(Math.trunc(count * ratio), count - 1) + 1
  }
  throw sqlError('2201G', 'lower bound cannot equal upper bound')
}

function bucketAbove(count: number): number {
  if (count === 2147483647) throw sqlError('22003', 'integer out of range')
  return count + 1
}

function inRange(value: number, base: number, offset: number, sub: boolean, less: boolean): boolean {
  if (Number.isNaN(offset) || offset < 0)
    throw sqlError('22013', 'invalid preceding or following size in window function')
  if (Number.isNaN(value)) return Number.isNaN(base) ? true : !less
  if (Number.isNaN(base)) return less
  if (isInfinite(offset) && (sub ? base === Infinity : base === -Infinity)) return true
  const sum = sub ? base - offset : base + offset
  return less ? value <= sum : value >= sum
}

const larger = scalar((a: number, b: number) => (compareFloat(a, b) > 0 ? a : b))
const smaller = scalar((a: number, b: number) => (compareFloat(a, b) < 0 ? a : b))
const identity = scalar((a: Value) => a, { js: (a) => a })
const absolute = scalar((a: number) => Math.abs(a), { js: (a) => `Math.abs(${a})` })
const negated = scalar((a: number) => -a, { js: (a) => `(-${a})` })

export const FLOAT_FUNCTIONS: FunctionTable = {
  ...pairTables(),
  float4um: negated,
  float8um: negated,
  float4up: identity,
  float8up: identity,
  float4abs: absolute,
  float8abs: absolute,
  float4larger: larger,
  float8larger: larger,
  float4smaller: smaller,
  float8smaller: smaller,
  ftod: identity,
  dtof: scalar(dtof),
  dceil: scalar((a: number) => Math.ceil(a)),
  dfloor: scalar((a: number) => Math.floor(a)),
  dround: scalar((a: number) => (isInfinite(a) || Number.isNaN(a) ? a : roundKeepingSign(a))),
  dtrunc: scalar((a: number) => Math.trunc(a)),
  dsign: scalar((a: number) => (a > 0 ? 1 : a < 0 ? -1 : 0)),
  dsqrt: scalar(dsqrt),
  dcbrt: scalar(dcbrt),
  dpow: scalar(dpow),
  dexp: scalar(dexp),
  dlog1: scalar(logarithm(Math.log)),
  dlog10: scalar(logarithm(Math.log10)),
  dpi: scalar(() => Math.PI),
  degrees: scalar((a: number) => float8div(a, trig.RADIANS_PER_DEGREE)),
  radians: scalar((a: number) => float8mul(a, trig.RADIANS_PER_DEGREE)),
  dacos: ofUnit(Math.acos),
  dasin: ofUnit(Math.asin),
  datan: scalar((a: number) => Math.atan(a)),
  datan2: scalar((a: number, b: number) => Math.atan2(a, b)),
  dcos: finite(Math.cos),
  dsin: finite(Math.sin),
  dtan: finite(Math.tan),
  dcot: finite(cotangent),
  dacosd: ofUnit(trig.acosd),
  dasind: ofUnit(trig.asind),
  datand: scalar(trig.atand),
  datan2d: scalar(trig.atan2d),
  dcosd: finite(trig.cosd),
  dsind: finite(trig.sind),
  dtand: finite(trig.tand),
  dcotd: finite(trig.cotd),
  dsinh: scalar(sinh),
  dcosh: scalar(cosh),
  dtanh: scalar((a: number) => Math.tanh(a)),
  dasinh: scalar((a: number) => Math.asinh(a)),
  dacosh: scalar((a: number) => {
    if (a < 1) throw inputOutOfRange()
    return Math.acosh(a)
  }),
  datanh: ofUnit(atanh),
  width_bucket_float8: scalar(widthBucket),
  in_range_float4_float8: scalar(inRange),
  in_range_float8_float8: scalar(inRange),
  drandom: bound((call) => () => call.context.random()),
  setseed: bound((call) => (seed: number) => {
    if (!(seed >= -1 && seed <= 1)) {
      throw sqlError('22023', `setseed parameter ${float8ToText(seed, 0)} is out of allowed range [-1,1]`)
    }
    call.context.setSeed(seed)
    return ''
  }),
}

/** rint: half to even, and -0.4 becomes -0 as in C. */
function roundKeepingSign(a: number): number {
  const r = roundHalfEven(a)
  return r === 0 && (a < 0 || Object.is(a, -0)) ? -0 : r
}

export const FLOAT_HELPERS = { compareFloat, float8sum, float8mul, float8div, float4mul, float4div }
