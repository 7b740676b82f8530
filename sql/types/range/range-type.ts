/**
 * Range and multirange types, each made from another type's `Type`: a range reads, prints, orders and stores its bounds by
 * its subtype, a multirange its ranges by its range type.
 *
 *     binary   flags, then each finite bound behind its length      n, then each range behind its length
 *     row      flags, then the finite bounds as the subtype's rows   n (32 bits), then the ranges
 *     key      0 | 1 lower upper, a bound being                      (1 range)* 0
 *              lower 0 | 1 value (0 inclusive | 1 exclusive), upper 0 value (0 exclusive | 1 inclusive) | 1
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { BinaryReader, receiveItem, sendItem } from '../array/binary.ts'
import { readStored, type StoredReader, writeStored } from '../array/stored.ts'
import { sqlError } from '../error.ts'
import type { ByteWriter, KeyEncoder, Type, TypeContext } from '../type.ts'
import { MultirangeValue, RangeValue, type Value } from '../value.ts'
import { compareRanges, EMPTY_RANGE, makeRange, type Subtype } from './bounds.ts'
import { compareMultiranges, EMPTY_MULTIRANGE, makeMultirange } from './multirange.ts'
import { parseRange, printMultirange, printRange, splitMultirange } from './text.ts'

export interface RangeType extends Type {
  /** The type of the bounds. */
  readonly bounds: Type
  readonly subtype: Subtype
}

export interface MultirangeType extends Type {
  readonly rangeType: RangeType
}

export const isRangeType = (type: Type): type is RangeType => 'bounds' in type
export const isMultirangeType = (type: Type): type is MultirangeType => 'rangeType' in type

// The bits of PostgreSQL's flags byte (rangetypes.h).
const IS_EMPTY = 0x01
const LOWER_INCLUSIVE = 0x02
const UPPER_INCLUSIVE = 0x04
const LOWER_INFINITE = 0x08
const UPPER_INFINITE = 0x10
const KNOWN_FLAGS = 0x1f

export const flagsOf = (range: RangeValue): number =>
  range.isEmpty
    ? IS_EMPTY
    : (range.lowerInclusive ? LOWER_INCLUSIVE : 0) |
      (range.upperInclusive ? UPPER_INCLUSIVE : 0) |
      (range.lower === null ? LOWER_INFINITE : 0) |
      (range.upper === null ? UPPER_INFINITE : 0)

const hasLower = (flags: number): boolean => (flags & (IS_EMPTY | LOWER_INFINITE)) === 0
const hasUpper = (flags: number): boolean => (flags & (IS_EMPTY | UPPER_INFINITE)) === 0

function sendRange(type: RangeType, range: RangeValue, to: ByteWriter, context: TypeContext): void {
  const flags = flagsOf(range)
  to.uint8(flags)
  if (hasLower(flags)) sendItem(type.bounds, range.lower, to, context)
  if (hasUpper(flags)) sendItem(type.bounds, range.upper, to, context)
}

function receiveRange(
  type: RangeType,
  from: Buffer,
  start: number,
  end: number,
  typmod: number,
  context: TypeContext,
): RangeValue {
  if (end <= start) throw sqlError('08P01', 'no data left in message')
  const flags = from[start]! & KNOWN_FLAGS
  const reader = new BinaryReader(from, start + 1, end)
  const lower = hasLower(flags) ? receiveItem(reader, type.bounds, typmod, context) : null
  const upper = hasUpper(flags) ? receiveItem(reader, type.bounds, typmod, context) : null
  if (reader.at !== end) throw sqlError('22P03', 'incorrect binary data format')
  if ((flags & IS_EMPTY) !== 0) return EMPTY_RANGE
  return makeRange(
    type.subtype,
    { value: lower, inclusive: (flags & LOWER_INCLUSIVE) !== 0, isLower: true },
    { value: upper, inclusive: (flags & UPPER_INCLUSIVE) !== 0, isLower: false },
  )
}

function writeRange(bounds: Type, range: RangeValue, to: ByteWriter): void {
  to.uint8(flagsOf(range))
  if (range.lower !== null) writeStored(bounds, range.lower, to)
  if (range.upper !== null) writeStored(bounds, range.upper, to)
}

function readRange(bounds: Type, reader: StoredReader): RangeValue {
  const flags = reader.from[reader.at++]!
  if ((flags & IS_EMPTY) !== 0) return EMPTY_RANGE
  const lower = hasLower(flags) ? readStored(bounds, reader) : null
  const upper = hasUpper(flags) ? readStored(bounds, reader) : null
  return new RangeValue(lower, upper, (flags & LOWER_INCLUSIVE) !== 0, (flags & UPPER_INCLUSIVE) !== 0, false)
}

function encodeRange(bounds: Type, range: RangeValue, to: KeyEncoder): void {
  if (range.isEmpty) {
    to.byte(0)
    return
  }
  to.byte(1)
  to.byte(range.lower === null ? 0 : 1)
  if (range.lower !== null) {
    bounds.encodeKey!(range.lower, to)
    to.byte(range.lowerInclusive ? 0 : 1)
  }
  to.byte(range.upper === null ? 1 : 0)
  if (range.upper !== null) {
    bounds.encodeKey!(range.upper, to)
    to.byte(range.upperInclusive ? 1 : 0)
  }
}

/** Each bound behind its length, so that no two pairs of bounds run together. */
function hashRange(bounds: Type, range: RangeValue): string {
  const part = (value: Value) => {
    const key = value === null ? '' : String(bounds.hashKey!(value))
    return `${key.length}.${key}`
  }
  return `${flagsOf(range)}:${part(range.lower)}${part(range.upper)}`
}

export interface RangeOptions {
  readonly oid: Oid
  readonly name: string
  readonly bounds: Type
  readonly next?: (value: Value) => Value
}

/** Throws XX000 for a subtype without order: such a range type cannot be made. */
export function rangeType({ oid: typeOid, name, bounds, next }: RangeOptions): RangeType {
  const { compare, hashKey, encodeKey } = bounds
  if (compare === undefined) throw sqlError('XX000', `type ${bounds.name} of the bounds of ${name} has no order`)
  const subtype: Subtype = { compare, ...(next && { next }) }
  const type: RangeType = {
    oid: typeOid,
    name,
    bounds,
    subtype,
    elementOid: oid(0),
    delimiter: ',',
    input: (text, typmod, context) => {
      const { isEmpty, lower, upper, lowerInclusive, upperInclusive } = parseRange(text)
      if (isEmpty) return EMPTY_RANGE
      const from = lower === null ? null : bounds.input(lower, typmod, context)
      const to = upper === null ? null : bounds.input(upper, typmod, context)
      return makeRange(
        subtype,
        { value: from, inclusive: lowerInclusive, isLower: true },
        { value: to, inclusive: upperInclusive, isLower: false },
      )
    },
    output: (value, context) => printRange(value as RangeValue, (bound) => bounds.output(bound, context)),
    receive: (from, start, end, typmod, context) => receiveRange(type, from, start, end, typmod, context),
    send: (value, to, context) => sendRange(type, value as RangeValue, to, context),
    storage: {
      kind: 'bytes',
      write: (value, to) => writeRange(bounds, value as RangeValue, to),
      read: (from, start) => readRange(bounds, { from, at: start }),
    },
    compare: (a, b) => compareRanges(subtype, a as RangeValue, b as RangeValue),
    ...(hashKey && { hashKey: (value: Value) => hashRange(bounds, value as RangeValue) }),
    ...(encodeKey && { encodeKey: (value: Value, to: KeyEncoder) => encodeRange(bounds, value as RangeValue, to) }),
  }
  return type
}

export function multirangeType(typeOid: Oid, name: string, rangeType: RangeType): MultirangeType {
  const { bounds, subtype } = rangeType
  return {
    oid: typeOid,
    name,
    rangeType,
    elementOid: oid(0),
    delimiter: ',',
    input: (text, typmod, context) =>
      makeMultirange(
        subtype,
        splitMultirange(text).map((each) => rangeType.input(each, typmod, context) as RangeValue),
      ),
    output: (value, context) => printMultirange(value as MultirangeValue, (bound) => bounds.output(bound, context)),
    receive: (from, start, end, typmod, context) => {
      const reader = new BinaryReader(from, start, end)
      const ranges: RangeValue[] = []
      for (let count = reader.uint32(); count > 0; count--) {
        const range = receiveItem(reader, rangeType, typmod, context)
        if (range === null) throw sqlError('22P03', 'insufficient data left in message')
        ranges.push(range as RangeValue)
      }
      if (reader.at !== end) throw sqlError('22P03', 'incorrect binary data format')
      return makeMultirange(subtype, ranges)
    },
    send: (value, to, context) => {
      const { ranges } = value as MultirangeValue
      to.int32(ranges.length)
      for (const range of ranges) sendItem(rangeType, range, to, context)
    },
    storage: {
      kind: 'bytes',
      write: (value, to) => {
        const { ranges } = value as MultirangeValue
        to.uint32(ranges.length)
        for (const range of ranges) writeRange(bounds, range, to)
      },
      read: (from, start) => {
        const reader: StoredReader = { from, at: start + 4 }
        const ranges = Array.from({ length: from.readUInt32BE(start) }, () => readRange(bounds, reader))
        return ranges.length === 0 ? EMPTY_MULTIRANGE : new MultirangeValue(ranges)
      },
    },
    compare: (a, b) => compareMultiranges(subtype, a as MultirangeValue, b as MultirangeValue),
    ...(bounds.hashKey && {
      hashKey: (value: Value) =>
        (value as MultirangeValue).ranges
          .map((range) => hashRange(bounds, range))
          .map((key) => `${key.length}.${key}`)
          .join(''),
    }),
    ...(bounds.encodeKey && {
      encodeKey: (value: Value, to: KeyEncoder) => {
        for (const range of (value as MultirangeValue).ranges) {
          to.byte(1)
          encodeRange(bounds, range, to)
        }
        to.byte(0)
      },
    }),
  }
}
