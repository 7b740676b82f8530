/**
 * smallint, integer and bigint: the types, their operators, casts and support functions.
 * Source: PostgreSQL manual, "Numeric Types" and "Mathematical Functions and Operators".
 */
import { oid } from '../../../storage/keys/brand.ts'
import { readInt64 } from '../bytes.ts'
import { sqlError } from '../error.ts'
import { type FunctionBody, type FunctionTable, scalar } from '../function.ts'
import { compareNative, comparisons, NATIVE } from '../misc/comparison.ts'
import type { ByteWriter, KeyDecoder, KeyEncoder, Type } from '../type.ts'
import type { Int64, Value } from '../value.ts'
import * as int from './int.ts'

interface IntegerTypeShape {
  readonly oid: number
  readonly name: string
  readonly sqlName: string
  readonly bytes: 2 | 4 | 8
  readonly min: bigint
  readonly max: bigint
}

const receiveInteger = {
  2: (b: Buffer, at: number) => b.readInt16BE(at),
  4: (b: Buffer, at: number) => b.readInt32BE(at),
  8: readInt64,
}
const sendInteger = {
  2: (to: ByteWriter, n: Int64) => to.int16(n as number),
  4: (to: ByteWriter, n: Int64) => to.int32(n as number),
  8: (to: ByteWriter, n: Int64) => to.int64(n),
}
const keyInteger = {
  2: (to: KeyEncoder, n: Int64) => to.int16(n as number),
  4: (to: KeyEncoder, n: Int64) => to.int32(n as number),
  8: (to: KeyEncoder, n: Int64) => to.int64(n),
}
const integerOfKey = {
  2: (from: KeyDecoder) => from.int16(),
  4: (from: KeyDecoder) => from.int32(),
  8: (from: KeyDecoder) => from.int64(),
}
const storageKind = { 2: 'int16', 4: 'int32', 8: 'int64' } as const

export const wrongBinaryLength = (message = 'incorrect binary data format') => sqlError('22P03', message)

function integerType(shape: IntegerTypeShape): Type {
  const receive = receiveInteger[shape.bytes]
  const send = sendInteger[shape.bytes]
  const key = keyInteger[shape.bytes]
  return {
    oid: oid(shape.oid),
    name: shape.name,
    elementOid: oid(0),
    delimiter: ',',
    input: (text) => int.parseInteger(text, shape.sqlName, shape.min, shape.max),
    output: (value) => String(value),
    receive(from, start, end) {
      if (end - start !== shape.bytes) throw wrongBinaryLength()
      return receive(from, start)
    },
    send: (value, to) => send(to, value as Int64),
    compare: compareNative,
    hashKey: (value) => value as Int64,
    storage: { kind: storageKind[shape.bytes] },
    encodeKey: (value, to) => key(to, value as Int64),
    decodeKey: integerOfKey[shape.bytes],
  }
}

export const INTEGER_TYPES: readonly Type[] = [
  integerType({ oid: 21, name: 'int2', sqlName: 'smallint', bytes: 2, min: -32768n, max: 32767n }),
  integerType({ oid: 23, name: 'int4', sqlName: 'integer', bytes: 4, min: -2147483648n, max: 2147483647n }),
  integerType({ oid: 20, name: 'int8', sqlName: 'bigint', bytes: 8, min: int.INT8_MIN, max: int.INT8_MAX }),
]

type Op = 'pl' | 'mi' | 'mul' | 'div'

/** Arithmetic on numbers with a final range check, for results of 2 or 4 bytes. */
function smallArithmetic(
  check: (n: number) => number,
  divide: (a: number, b: number) => number,
  h: string,
): Record<Op, FunctionBody> {
  return {
    pl: scalar((a: number, b: number) => check(a + b), { js: (a, b) => `h.${h}(${a} + ${b})` }),
    mi: scalar((a: number, b: number) => check(a - b), { js: (a, b) => `h.${h}(${a} - ${b})` }),
    mul: scalar((a: number, b: number) => check(a * b), { js: (a, b) => `h.${h}(${a} * ${b})` }),
    div: scalar(divide, { js: (a, b) => `h.${h}div(${a}, ${b})` }),
  }
}

const INT8_ARITHMETIC: Record<Op, FunctionBody> = {
  pl: scalar(int.int8pl, { js: (a, b) => `h.int8pl(${a}, ${b})` }),
  mi: scalar(int.int8mi, { js: (a, b) => `h.int8mi(${a}, ${b})` }),
  mul: scalar(int.int8mul, { js: (a, b) => `h.int8mul(${a}, ${b})` }),
  div: scalar(int.int8div, { js: (a, b) => `h.int8div(${a}, ${b})` }),
}
const INT4_ARITHMETIC = smallArithmetic(int.int4, int.int4div, 'int4')
const INT2_ARITHMETIC = smallArithmetic(int.int2, int.int2div, 'int2')

const RESULTS: Readonly<Record<string, Record<Op, FunctionBody>>> = {
  int2: INT2_ARITHMETIC,
  int4: INT4_ARITHMETIC,
  int24: INT4_ARITHMETIC,
  int42: INT4_ARITHMETIC,
  int8: INT8_ARITHMETIC,
  int28: INT8_ARITHMETIC,
  int82: INT8_ARITHMETIC,
  int48: INT8_ARITHMETIC,
  int84: INT8_ARITHMETIC,
}

function pairTables(): FunctionTable {
  const table: Record<string, FunctionBody> = {}
  for (const [prefix, arithmetic] of Object.entries(RESULTS)) {
    for (const [op, body] of Object.entries(arithmetic)) table[prefix + op] = body
    Object.assign(
      table,
      comparisons((op) => prefix + op, NATIVE),
    )
    table[`bt${prefix}cmp`] = scalar(compareNative, { js: (a, b) => `(${a} < ${b} ? -1 : ${a} > ${b} ? 1 : 0)` })
  }
  return table
}

const larger = scalar((a: Int64, b: Int64) => (a > b ? a : b), { js: (a, b) => `(${a} > ${b} ? ${a} : ${b})` })
const smaller = scalar((a: Int64, b: Int64) => (a < b ? a : b), { js: (a, b) => `(${a} < ${b} ? ${a} : ${b})` })
const identity = scalar((a: Value) => a, { js: (a) => a })
const intmod = scalar(int.intmod, { js: (a, b) => `h.intmod(${a}, ${b})` })

/** in_range_int4_int8(value, base, offset, sub, less): RANGE frames of windows. Exact, so it cannot overflow. */
const inRange = scalar((value: Int64, base: Int64, offset: Int64, sub: boolean, less: boolean) => {
  if (offset < 0) throw sqlError('22013', 'invalid preceding or following size in window function')
  const bound = sub ? BigInt(base) - BigInt(offset) : BigInt(base) + BigInt(offset)
  return less ? value <= bound : value >= bound
})

export const INTEGER_FUNCTIONS: FunctionTable = {
  ...pairTables(),
  int2mod: intmod,
  int4mod: intmod,
  int8mod: scalar(int.int8mod, { js: (a, b) => `h.int8mod(${a}, ${b})` }),
  int2um: scalar((a: number) => int.int2(-a), { js: (a) => `h.int2(-${a})` }),
  int4um: scalar((a: number) => int.int4(-a), { js: (a) => `h.int4(-${a})` }),
  int8um: scalar(int.int8um, { js: (a) => `h.int8um(${a})` }),
  int2up: identity,
  int4up: identity,
  int8up: identity,
  int2abs: scalar((a: number) => int.int2(Math.abs(a)), { js: (a) => `h.int2(Math.abs(${a}))` }),
  int4abs: scalar((a: number) => int.int4(Math.abs(a)), { js: (a) => `h.int4(Math.abs(${a}))` }),
  int8abs: scalar(int.int8abs),
  int2and: scalar((a: number, b: number) => a & b, { js: (a, b) => `(${a} & ${b})` }),
  int4and: scalar((a: number, b: number) => a & b, { js: (a, b) => `(${a} & ${b})` }),
  int8and: scalar(int.int8and),
  int2or: scalar((a: number, b: number) => a | b, { js: (a, b) => `(${a} | ${b})` }),
  int4or: scalar((a: number, b: number) => a | b, { js: (a, b) => `(${a} | ${b})` }),
  int8or: scalar(int.int8or),
  int2xor: scalar((a: number, b: number) => a ^ b, { js: (a, b) => `(${a} ^ ${b})` }),
  int4xor: scalar((a: number, b: number) => a ^ b, { js: (a, b) => `(${a} ^ ${b})` }),
  int8xor: scalar(int.int8xor),
  int2not: scalar((a: number) => ~a, { js: (a) => `(~${a})` }),
  int4not: scalar((a: number) => ~a, { js: (a) => `(~${a})` }),
  int8not: scalar(int.int8not),
  int2shl: scalar(int.int2shl),
  int4shl: scalar((a: number, by: number) => a << by, { js: (a, b) => `(${a} << ${b})` }),
  int8shl: scalar(int.int8shl),
  int2shr: scalar((a: number, by: number) => a >> by),
  int4shr: scalar((a: number, by: number) => a >> by, { js: (a, b) => `(${a} >> ${b})` }),
  int8shr: scalar(int.int8shr),
  int2larger: larger,
  int4larger: larger,
  int8larger: larger,
  int2smaller: smaller,
  int4smaller: smaller,
  int8smaller: smaller,
  int4inc: scalar((a: number) => int.int4(a + 1)),
  int8inc: scalar((a: Int64) => int.int8pl(a, 1)),
  int8dec: scalar((a: Int64) => int.int8mi(a, 1)),
  int4gcd: scalar((a: number, b: number) => int.int4(int.gcd8(a, b) as number)),
  int8gcd: scalar(int.gcd8),
  int4lcm: scalar((a: number, b: number) => int.int8ToInt4(int.lcm8(a, b))),
  int8lcm: scalar(int.lcm8),

  i2toi4: identity,
  int28: identity,
  int48: identity,
  i4toi2: scalar(int.int2, { js: (a) => `h.int2(${a})` }),
  int84: scalar(int.int8ToInt4, { js: (a) => `h.int8ToInt4(${a})` }),
  int82: scalar(int.int8ToInt2),
  i8tooid: scalar(int.int8ToOid),
  oidtoi8: identity,
  i2tod: identity,
  i4tod: identity,
  i8tod: scalar((a: Int64) => Number(a), { js: (a) => `Number(${a})` }),
  i2tof: identity,
  i4tof: scalar((a: number) => Math.fround(a), { js: (a) => `Math.fround(${a})` }),
  i8tof: scalar((a: Int64) => int64ToFloat4(a)),
  dtoi2: scalar(int.floatToInt2),
  dtoi4: scalar(int.floatToInt4, { js: (a) => `h.floatToInt4(${a})` }),
  dtoi8: scalar(int.floatToInt8),
  ftoi2: scalar(int.floatToInt2),
  ftoi4: scalar(int.floatToInt4),
  ftoi8: scalar(int.floatToInt8),

  in_range_int2_int2: inRange,
  in_range_int2_int4: inRange,
  in_range_int2_int8: inRange,
  in_range_int4_int2: inRange,
  in_range_int4_int4: inRange,
  in_range_int4_int8: inRange,
  in_range_int8_int8: inRange,

  to_hex32: scalar((a: number) => (a >>> 0).toString(16)),
  to_hex64: scalar((a: Int64) => BigInt.asUintN(64, BigInt(a)).toString(16)),
  int4_bool: scalar((a: number) => a !== 0, { js: (a) => `(${a} !== 0)` }),
  bool_int4: scalar((a: boolean) => (a ? 1 : 0), { js: (a) => `(${a} ? 1 : 0)` }),
  int4range_subdiff: scalar((a: number, b: number) => a - b),
  int8range_subdiff: scalar((a: Int64, b: Int64) => Number(a) - Number(b)),
}

/** Rounds an int8 to the nearest float4 once: a step through float8 could round twice. */
function int64ToFloat4(a: Int64): number {
  if (typeof a === 'number' && int.isSafe(a)) return Math.fround(a)
  let n = a < 0 ? -BigInt(a) : BigInt(a)
  const shift = BigInt(n.toString(2).length - 26)
  const sticky = (n & ((1n << shift) - 1n)) !== 0n
  n = ((n >> shift) | (sticky ? 1n : 0n)) << shift
  return Math.fround(a < 0 ? -Number(n) : Number(n))
}

export const INTEGER_HELPERS = {
  int2: int.int2,
  int4: int.int4,
  int2div: int.int2div,
  int4div: int.int4div,
  intmod: int.intmod,
  int8pl: int.int8pl,
  int8mi: int.int8mi,
  int8mul: int.int8mul,
  int8div: int.int8div,
  int8mod: int.int8mod,
  int8um: int.int8um,
  int8ToInt4: int.int8ToInt4,
  floatToInt4: int.floatToInt4,
}
