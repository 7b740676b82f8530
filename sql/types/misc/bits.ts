/**
 * bit(n) and bit varying(n): bits packed from the most significant of the first byte, with zeros behind the last.
 * Source: PostgreSQL manual, "Bit String Types" and "Bit String Functions and Operators".
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { type AggregateTable, type FunctionTable, scalar } from '../function.ts'
import { int8Wrapped } from '../number/int.ts'
import { wrongBinaryLength } from '../number/integer.ts'
import { lengthTypmod } from '../text/string-types.ts'
import type { Type } from '../type.ts'
import { BitString, type Int64, type Value } from '../value.ts'
import { comparedBy, comparisons } from './comparison.ts'
import { fold } from './extremes.ts'

const BITS_MAX = 83886080

const blank = (length: number): Uint8Array => new Uint8Array((length + 7) >> 3)
const bitAt = (b: BitString, at: number): number => (b.bytes[at >> 3]! >> (7 - (at & 7))) & 1

/** Builds a string of `length` bits, each asked of `bit`. */
function build(length: number, bit: (at: number) => number): BitString {
  const bytes = blank(length)
  for (let at = 0; at < length; at++) if (bit(at) === 1) bytes[at >> 3]! |= 0x80 >> (at & 7)
  return new BitString(bytes, length)
}

function parse(text: string): BitString {
  const prefix = text[0]
  const isHex = prefix === 'x' || prefix === 'X'
  const digits = isHex || prefix === 'b' || prefix === 'B' ? text.slice(1) : text
  const bad = (isHex ? /[^0-9a-fA-F]/u : /[^01]/u).exec(digits)
  if (bad !== null) throw sqlError('22P02', `"${bad[0]}" is not a valid ${isHex ? 'hexadecimal' : 'binary'} digit`)
  if (isHex) {
    const padded = digits.length % 2 === 0 ? digits : `${digits}0`
    return new BitString(new Uint8Array(Buffer.from(padded, 'hex')), digits.length * 4)
  }
  return build(digits.length, (at) => digits.charCodeAt(at) - 48)
}

function toText(b: BitString): string {
  let text = ''
  for (const byte of b.bytes) text += byte.toString(2).padStart(8, '0')
  return text.slice(0, b.length)
}

function compareBits(a: BitString, b: BitString): number {
  return Buffer.compare(a.bytes, b.bytes) || a.length - b.length
}

const resize = (b: BitString, length: number): BitString => build(length, (at) => (at < b.length ? bitAt(b, at) : 0))

function coerceBit(b: BitString, typmod: number, explicit: boolean): BitString {
  if (typmod <= 0 || b.length === typmod) return b
  if (!explicit) throw sqlError('22026', `bit string length ${b.length} does not match type bit(${typmod})`)
  return resize(b, typmod)
}

function coerceVarbit(b: BitString, typmod: number, explicit: boolean): BitString {
  if (typmod <= 0 || b.length <= typmod) return b
  if (!explicit) throw sqlError('22001', `bit string too long for type bit varying(${typmod})`)
  return resize(b, typmod)
}

function bitType(typeOid: number, name: string, coerce: typeof coerceBit): Type {
  return {
    oid: oid(typeOid),
    name,
    elementOid: oid(0),
    delimiter: ',',
    input: (text, typmod) => coerce(parse(text), typmod, false),
    output: (value) => toText(value as BitString),
    receive(from, start, end, typmod) {
      if (end - start < 4) throw sqlError('08P01', 'insufficient data left in message')
      const length = from.readInt32BE(start)
      if (length < 0) throw sqlError('22P03', 'invalid length in external bit string')
      if (end - start !== 4 + ((length + 7) >> 3)) throw wrongBinaryLength()
      const sent = new BitString(new Uint8Array(from.subarray(start + 4, end)), length)
      return coerce(resize(sent, length), typmod, false)
    },
    send(value, to) {
      to.int32((value as BitString).length)
      to.bytes((value as BitString).bytes)
    },
    compare: (a, b) => compareBits(a as BitString, b as BitString),
    hashKey: (value) => toText(value as BitString),
    storage: {
      kind: 'bytes',
      write(value, to) {
        to.int32((value as BitString).length)
        to.bytes((value as BitString).bytes)
      },
      read: (from, start, end) => new BitString(new Uint8Array(from.subarray(start + 4, end)), from.readInt32BE(start)),
    },
    encodeKey(value, to) {
      to.bytes((value as BitString).bytes)
      to.int32((value as BitString).length)
    },
    typmodIn: lengthTypmod(name, 0, BITS_MAX),
    typmodOut: (typmod) => (typmod < 0 ? '' : `(${typmod})`),
  }
}

export const BIT_TYPES: readonly Type[] = [bitType(1560, 'bit', coerceBit), bitType(1562, 'varbit', coerceVarbit)]

/** AND, OR, XOR of strings of one length (22026). */
function bitwise(name: string, combine: (a: number, b: number) => number) {
  return (a: BitString, b: BitString): BitString => {
    if (a.length !== b.length) throw sqlError('22026', `cannot ${name} bit strings of different sizes`)
    return new BitString(
      a.bytes.map((byte, i) => combine(byte, b.bytes[i]!)),
      a.length,
    )
  }
}
const and = bitwise('AND', (a, b) => a & b)
const or = bitwise('OR', (a, b) => a | b)
const xor = bitwise('XOR', (a, b) => a ^ b)

const shiftLeft = (b: BitString, by: number): BitString =>
  build(b.length, (at) => (at + by < b.length && at + by >= 0 ? bitAt(b, at + by) : 0))

function concat(a: BitString, b: BitString): BitString {
  const length = a.length + b.length
  if (length > BITS_MAX) throw sqlError('54000', `bit string length exceeds the maximum allowed (${BITS_MAX})`)
  return build(length, (at) => (at < a.length ? bitAt(a, at) : bitAt(b, at - a.length)))
}

/** From position `start` counted from 1; a start before the string uses up the length, as for text. */
function substring(b: BitString, start: number, length: number | undefined): BitString {
  if (length !== undefined && length < 0) throw sqlError('22011', 'negative substring length not allowed')
  const from = Math.max(start, 1) - 1
  const to = length === undefined ? b.length : Math.min(start - 1 + length, b.length)
  return from >= to ? new BitString(blank(0), 0) : build(to - from, (at) => bitAt(b, from + at))
}

function overlay(b: BitString, part: BitString, start: number, length: number): BitString {
  if (start <= 0) throw sqlError('22011', 'negative substring length not allowed')
  const end = start + length
  if (end > 2147483647) throw sqlError('22003', 'integer out of range')
  return concat(concat(substring(b, 1, start - 1), part), substring(b, end, undefined))
}

function position(part: BitString, whole: BitString): number {
  if (whole.length === 0 || part.length > whole.length) return 0
  const at = toText(whole).indexOf(toText(part))
  return at + 1
}

function checkIndex(b: BitString, at: number): void {
  if (at < 0 || at >= b.length) {
    throw sqlError('2202E', `bit index ${at} out of valid range (0..${b.length - 1})`)
  }
}

function setBit(b: BitString, at: number, bit: number): BitString {
  checkIndex(b, at)
  if (bit !== 0 && bit !== 1) throw sqlError('22023', 'new bit must be 0 or 1')
  return build(b.length, (i) => (i === at ? bit : bitAt(b, i)))
}

/** The last `length` bits of an integer, its sign extended to the left. */
function fromInteger(n: Int64, typmod: number): BitString {
  const length = typmod <= 0 || typmod > BITS_MAX ? 1 : typmod
  const value = BigInt(n)
  return build(length, (at) => Number((value >> BigInt(length - 1 - at)) & 1n))
}

function toInteger(b: BitString, bits: number, name: string): bigint {
  if (b.length > bits) throw sqlError('22003', `${name} out of range`)
  const value = b.length === 0 ? 0n : BigInt(`0b${toText(b)}`)
  return BigInt.asIntN(bits, value)
}

export function popCount(bytes: Uint8Array): number {
  let count = 0
  for (const byte of bytes) for (let rest = byte; rest !== 0; rest &= rest - 1) count++
  return count
}

export const BIT_FUNCTIONS: FunctionTable = {
  ...comparisons((op) => `bit${op}`, comparedBy(compareBits)),
  bitcmp: scalar(compareBits),
  bit: scalar(coerceBit),
  varbit: scalar(coerceVarbit),
  bit_and: scalar(and),
  bit_or: scalar(or),
  bitxor: scalar(xor),
  bitnot: scalar((b: BitString) => build(b.length, (at) => 1 - bitAt(b, at))),
  bitshiftleft: scalar((b: BitString, by: number) => shiftLeft(b, by)),
  bitshiftright: scalar((b: BitString, by: number) => shiftLeft(b, -by)),
  bitcat: scalar(concat),
  bitlength: scalar((b: BitString) => b.length),
  'bit_length(bit)': scalar((b: BitString) => b.length),
  bitoctetlength: scalar((b: BitString) => (b.length + 7) >> 3),
  bit_bit_count: scalar((b: BitString) => popCount(b.bytes)),
  bitsubstr: scalar((b: BitString, start: number, length: number) => substring(b, start, length)),
  bitsubstr_no_len: scalar((b: BitString, start: number) => substring(b, start, undefined)),
  bitoverlay: scalar(overlay),
  bitoverlay_no_len: scalar((b: BitString, part: BitString, start: number) => overlay(b, part, start, part.length)),
  bitposition: scalar((whole: BitString, part: BitString) => position(part, whole)),
  bitgetbit: scalar((b: BitString, at: number) => {
    checkIndex(b, at)
    return bitAt(b, at)
  }),
  bitsetbit: scalar(setBit),
  bitfromint4: scalar(fromInteger),
  bitfromint8: scalar(fromInteger),
  bittoint4: scalar((b: BitString) => Number(toInteger(b, 32, 'integer'))),
  bittoint8: scalar((b: BitString): Value => int8Wrapped(toInteger(b, 64, 'bigint'))),
}

export const BIT_AGGREGATES: AggregateTable = {
  'bit_and(bit)': fold(and),
  'bit_or(bit)': fold(or),
  'bit_xor(bit)': fold(xor),
}
