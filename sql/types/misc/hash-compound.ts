/**
 * Hash functions of times, jsonb, arrays, rows and enums: PostgreSQL's own combinations of the scalars' hashes. An enum
 * hashes by its label, where PostgreSQL takes the label's oid, which differs from database to database anyway.
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import { spanOf } from '../datetime/compare.ts'
import { sqlError } from '../error.ts'
import { bound, type CallInfo, type FunctionBody, type FunctionTable, scalar } from '../function.ts'
import { isArray, isScalar } from '../json/node.ts'
import { int8Wrapped } from '../number/int.ts'
import { OID } from '../oids.ts'
import { flagsOf, isMultirangeType, isRangeType } from '../range/range-type.ts'
import type { TypeContext } from '../type.ts'
import type {
  ArrayValue,
  Int64,
  Interval,
  Jsonb,
  JsonNode,
  MultirangeValue,
  Numeric,
  RangeValue,
  RecordValue,
  TimeTz,
  Value,
} from '../value.ts'
import {
  bpcharBytes,
  charWord,
  floatBytes,
  type Hashed,
  hash32,
  hash64,
  int8Word,
  numericBytes,
  textBytes,
  tidBytes,
  uuidBytes,
  word,
} from './hash.ts'

/** One way to hash a value: 32 bits, or 64 with a seed. `seed` undefined asks for the first. Results are unsigned. */
type Hasher = (value: Value, seed: Int64 | undefined) => bigint

const simple =
  (of: (value: never) => Hashed): Hasher =>
  (value, seed) =>
    seed === undefined ? BigInt(hash32(of, value) >>> 0) : BigInt.asUintN(64, BigInt(hash64(of, value, seed)))

/** An instant; ±Infinity is the extreme integer, as it is stored. */
const instant = (value: Int64): Hashed =>
  int8Word(
    value === Number.POSITIVE_INFINITY ? 2n ** 63n - 1n : value === Number.NEGATIVE_INFINITY ? -(2n ** 63n) : value,
  )
const day = (value: number): Hashed =>
  word(value === Number.POSITIVE_INFINITY ? 0x7fffffff : value === Number.NEGATIVE_INFINITY ? -0x80000000 : value)

const hashInstant = simple(instant)
const hashZone = simple(word)
const hashTimeTz: Hasher = (value, seed) => {
  const { micros, zoneSecondsWest } = value as TimeTz
  return hashInstant(micros, seed) ^ hashZone(zoneSecondsWest, seed)
}
const hashInterval: Hasher = (value, seed) => hashInstant(int8Wrapped(BigInt(spanOf(value as Interval))), seed)

const hashText = simple(textBytes)
const hashNumeric = simple(numericBytes)
const hashBoolean = simple(charWord)

const turned = (hash: bigint, wide: boolean): bigint =>
  wide
    ? ((hash << 1n) & 0xfffffffefffffffen) | ((hash >> 31n) & 0x100000001n)
    : BigInt.asUintN(32, (hash << 1n) | (hash >> 31n))

const ARRAY_MARK = 0x40000000n
const OBJECT_MARK = 0x20000000n
const mark = (flag: bigint, wide: boolean): bigint => (wide ? (flag << 32n) | flag : flag)

function hashScalar(node: null | boolean | string | Numeric, seed: Int64 | undefined): bigint {
  if (node === null) return 1n + BigInt(seed ?? 0)
  if (typeof node === 'string') return hashText(node, seed)
  if (typeof node !== 'boolean') return hashNumeric(node, seed)
  return seed === undefined || seed === 0 ? (node ? 2n : 4n) : hashBoolean(node, seed)
}

function hashNodes(hash: bigint, node: JsonNode, seed: Int64 | undefined): bigint {
  const wide = seed !== undefined
  if (isScalar(node)) return BigInt.asUintN(64, turned(hash, wide) ^ hashScalar(node, seed))
  if (isArray(node)) {
    let sum = hash ^ mark(ARRAY_MARK, wide)
    for (const item of node) sum = hashNodes(sum, item, seed)
    return sum
  }
  let sum = hash ^ mark(OBJECT_MARK, wide)
  for (const [key, value] of node) sum = hashNodes(hashNodes(sum, key, seed), value, seed)
  return sum
}

/** A scalar alone lies in an array of its own; empty arrays and objects hash to nothing. */
const hashJsonb: Hasher = (value, seed) => {
  const { root } = value as Jsonb
  const wide = seed !== undefined
  if (isScalar(root)) return hashNodes(mark(ARRAY_MARK, wide), root, seed)
  if ((isArray(root) ? root.length : root.size) === 0) return BigInt.asUintN(64, BigInt(seed ?? 0))
  return hashNodes(0n, root, seed)
}

const HASHERS = new Map<Oid, Hasher>([
  [OID.bool, hashBoolean],
  [OID.char, hashBoolean],
  [OID.int2, simple(word)],
  [OID.int4, simple(word)],
  [OID.int8, simple(int8Word)],
  [OID.oid, simple(word)],
  [OID.regclass, simple(word)],
  [OID.regproc, simple(word)],
  [OID.regtype, simple(word)],
  [OID.float4, simple(floatBytes)],
  [OID.float8, simple(floatBytes)],
  [OID.numeric, hashNumeric],
  [OID.text, hashText],
  [OID.varchar, hashText],
  [OID.name, hashText],
  [OID.bytea, simple((bytes: Uint8Array) => ({ bytes }))],
  [OID.bpchar, simple(bpcharBytes)],
  [OID.uuid, simple(uuidBytes)],
  [OID.tid, simple(tidBytes)],
  [OID.date, simple(day)],
  [OID.time, hashInstant],
  [OID.timestamp, hashInstant],
  [OID.timestamptz, hashInstant],
  [OID.timetz, hashTimeTz],
  [OID.interval, hashInterval],
  [OID.jsonb, hashJsonb],
])

/** How values of a type are hashed. Throws 42883 where the type has no hash function. */
function hasherOf(type: Oid, context: TypeContext, wide: boolean): Hasher {
  const known = HASHERS.get(type)
  if (known !== undefined) return known
  const found = context.type(type)
  if (found.elementOid !== 0 && type !== OID.int2vector && type !== OID.oidvector)
    return hashElements(hasherOf(found.elementOid, context, wide))
  if (type === OID.record || 'columns' in found) return hashRow(context)
  if ('labels' in found) return hashText
  if (isRangeType(found)) return hashRange(hasherOf(found.bounds.oid, context, wide))
  if (isMultirangeType(found)) return hashMultirange(hashRange(hasherOf(found.rangeType.bounds.oid, context, wide)))
  const name = context.names?.typeName(type) ?? found.name
  throw sqlError('42883', `could not identify ${wide ? 'an extended' : 'a'} hash function for type ${name}`)
}

const combined = (sum: bigint, hash: bigint, wide: boolean): bigint => BigInt.asUintN(wide ? 64 : 32, sum * 31n + hash)

const hashElements =
  (element: Hasher): Hasher =>
  (value, seed) => {
    let sum = 1n
    for (const item of (value as ArrayValue).elements)
      sum = combined(sum, item === null ? 0n : element(item, seed), seed !== undefined)
    return sum
  }

const hashRow =
  (context: TypeContext): Hasher =>
  (value, seed) => {
    const { values, types } = value as RecordValue
    let sum = 0n
    for (let i = 0; i < values.length; i++) {
      const item = values[i]!
      const hash = item === null ? 0n : hasherOf(types[i]!, context, seed !== undefined)(item, seed)
      sum = combined(sum, hash, seed !== undefined)
    }
    return sum
  }

const hashFlags = simple(word)
/** The bounds' hashes, mixed into that of the flags. */
const hashRange =
  (bounds: Hasher): Hasher =>
  (value, seed) => {
    const range = value as RangeValue
    const wide = seed !== undefined
    const lower = range.lower === null ? 0n : bounds(range.lower, seed)
    const upper = range.upper === null ? 0n : bounds(range.upper, seed)
    return BigInt.asUintN(wide ? 64 : 32, turned(hashFlags(flagsOf(range), seed) ^ lower, wide) ^ upper)
  }
const hashMultirange =
  (range: Hasher): Hasher =>
  (value, seed) => {
    let sum = 1n
    for (const each of (value as MultirangeValue).ranges) sum = combined(sum, range(each, seed), seed !== undefined)
    return sum
  }

const narrow = (hash: bigint): number => Number(BigInt.asIntN(32, hash))

/** `name` and `name_extended`, whose hasher may depend on the argument's type. */
function pair(name: string, hasher: (call: CallInfo, wide: boolean) => Hasher, extended = `${name}_extended`) {
  const table: Record<string, FunctionBody> = {
    [name]: bound<[Value]>((call) => {
      const hash = hasher(call, false)
      return (value) => narrow(hash(value, undefined))
    }),
    [extended]: bound<[Value, Int64]>((call) => {
      const hash = hasher(call, true)
      return (value, seed) => int8Wrapped(hash(value, seed))
    }),
  }
  return table
}

const byArgument = (call: CallInfo, wide: boolean): Hasher => hasherOf(call.argTypes[0]!, call.context, wide)

export const COMPOUND_HASH_FUNCTIONS: FunctionTable = {
  ...pair('time_hash', () => hashInstant),
  ...pair('timetz_hash', () => hashTimeTz),
  ...pair('timestamp_hash', () => hashInstant),
  ...pair('interval_hash', () => hashInterval),
  ...pair('jsonb_hash', () => hashJsonb),
  ...pair('hash_array', byArgument),
  ...pair('hash_record', byArgument),
  ...pair('hash_range', byArgument),
  ...pair('hash_multirange', byArgument),
  ...pair('hashenum', () => hashText, 'hashenumextended'),
  // A log position is held as its text, hashed as its number.
  pg_lsn_hash: scalar((lsn: string) => narrow(hashInstant(lsnNumber(lsn), undefined))),
  pg_lsn_hash_extended: scalar((lsn: string, seed: Int64) => int8Wrapped(hashInstant(lsnNumber(lsn), seed))),
}

const lsnNumber = (lsn: string): Int64 => {
  const [high, low] = lsn.split('/')
  return int8Wrapped((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`))
}
