/**
 * Small fixed-size identifiers: uuid, oid, xid, cid, xid8 and tid. uuid is its lower-case text in memory; the others are
 * numbers (xid8 an Int64 without sign; tid is block × 65536 + offset).
 * Source: PostgreSQL manual, "UUID Type", "Object Identifier Types".
 */
import { randomUUID } from 'node:crypto'
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { type AggregateTable, type FunctionTable, scalar } from '../function.ts'
import { trimSpace } from '../number/int.ts'
import { wrongBinaryLength } from '../number/integer.ts'
import type { ByteWriter, KeyEncoder, Type } from '../type.ts'
import type { Int64, Value } from '../value.ts'
import { compareNative, comparisons, NATIVE } from './comparison.ts'
import { extremes } from './extremes.ts'

const badSyntax = (type: string, text: string) => sqlError('22P02', `invalid input syntax for type ${type}: "${text}"`)

const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** Braces around it, and hyphens after any group of four digits. */
const LOOSE_UUID = /^(?:\{(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}\}|(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4})$/

const hyphenated = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`

function parseUuid(text: string): string {
  if (CANONICAL_UUID.test(text)) return text
  if (!LOOSE_UUID.test(text)) throw badSyntax('uuid', text)
  return hyphenated(text.replace(/[{}-]/g, '').toLowerCase())
}

const nibble = (code: number): number => (code < 58 ? code - 48 : code - 87)
/** Where each byte's two digits begin in the canonical text. */
const UUID_DIGITS = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34]

function writeUuid(text: string, to: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++) {
    const digit = UUID_DIGITS[i]!
    to[at + i] = (nibble(text.charCodeAt(digit)) << 4) | nibble(text.charCodeAt(digit + 1))
  }
}
const readUuid = (from: Buffer, at: number): string => hyphenated(from.toString('hex', at, at + 16))

/** unsigned 32 bits; as strtoul does, a minus sign wraps around. */
export function parseOid(text: string): number {
  const trimmed = trimSpace(text)
  if (!/^[+-]?[0-9]+$/.test(trimmed)) throw badSyntax('oid', text)
  const n = Number(trimmed)
  if (n > 4294967295 || n < -2147483648) throw sqlError('22003', `value "${text}" is out of range for type oid`)
  return n >>> 0
}

/** xid and cid read what strtoul reads: a number's beginning in base 10, 8 or 16, else 0. */
function lenientUnsigned(text: string): bigint {
  const parts = /^[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)/.exec(text)
  if (parts === null) return 0n
  const digits = parts[2]!
  const octal = /^0[0-7]+$/.test(digits)
  const size = BigInt(octal ? `0o${digits.slice(1)}` : digits.replace(/^0+(?=[0-9])/, ''))
  return parts[1] === '-' ? -size : size
}

const canonical = (n: bigint): Int64 => (n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n)

/** What oid, xid, cid and the reg* types share. */
export const UNSIGNED32 = {
  elementOid: oid(0),
  delimiter: ',',
  output: (value: Value) => String(value),
  receive(from: Buffer, start: number, end: number): Value {
    if (end - start !== 4) throw wrongBinaryLength()
    return from.readUInt32BE(start)
  },
  send: (value: Value, to: ByteWriter) => to.uint32(value as number),
  compare: compareNative,
  hashKey: (value: Value) => value as number,
  storage: { kind: 'uint32' as const },
  encodeKey: (value: Value, to: KeyEncoder) => to.uint32(value as number),
} satisfies Partial<Type>

function parseTid(text: string): number {
  const parts = /^\(([0-9]+),([0-9]+)\)$/.exec(trimSpace(text))
  const block = Number(parts?.[1])
  const offset = Number(parts?.[2])
  if (parts === null || block > 4294967295 || offset > 65535) throw badSyntax('tid', text)
  return block * 65536 + offset
}
const tidText = (tid: number): string => `(${Math.floor(tid / 65536)},${tid % 65536})`

export const IDENTIFIER_TYPES: readonly Type[] = [
  {
    oid: oid(2950),
    name: 'uuid',
    elementOid: oid(0),
    delimiter: ',',
    input: parseUuid,
    output: (value) => value as string,
    receive(from, start, end) {
      if (end - start !== 16) throw wrongBinaryLength()
      return readUuid(from, start)
    },
    send(value, to) {
      const at = to.reserve(16)
      writeUuid(value as string, to.buffer, at)
    },
    compare: compareNative,
    hashKey: (value) => value as string,
    storage: {
      kind: 'bytes',
      write(value, to) {
        const at = to.reserve(16)
        writeUuid(value as string, to.buffer, at)
      },
      read: (from, start) => readUuid(from, start),
    },
    encodeKey(value, to) {
      const bytes = new Uint8Array(16)
      writeUuid(value as string, bytes, 0)
      to.raw(bytes)
    },
    decodeKey: (from) => readUuid(Buffer.from(from.raw(16), 'latin1'), 0),
  },
  { ...UNSIGNED32, oid: oid(26), name: 'oid', input: parseOid },
  { ...UNSIGNED32, oid: oid(28), name: 'xid', input: (text) => Number(BigInt.asUintN(32, lenientUnsigned(text))) },
  { ...UNSIGNED32, oid: oid(29), name: 'cid', input: (text) => Number(BigInt.asUintN(32, lenientUnsigned(text))) },
  {
    oid: oid(5069),
    name: 'xid8',
    elementOid: oid(0),
    delimiter: ',',
    input: (text) => canonical(BigInt.asUintN(64, lenientUnsigned(text))),
    output: (value) => String(value),
    receive(from, start, end) {
      if (end - start !== 8) throw wrongBinaryLength()
      return canonical(from.readBigUInt64BE(start))
    },
    send: (value, to) => to.int64(BigInt.asIntN(64, BigInt(value as Int64))),
    compare: compareNative,
    hashKey: (value) => value as Int64,
    storage: {
      kind: 'bytes',
      write: (value, to) => to.int64(BigInt.asIntN(64, BigInt(value as Int64))),
      read: (from, start) => canonical(from.readBigUInt64BE(start)),
    },
    encodeKey(value, to) {
      const n = BigInt(value as Int64)
      to.uint32(Number(n >> 32n))
      to.uint32(Number(n & 0xffffffffn))
    },
  },
  {
    oid: oid(27),
    name: 'tid',
    elementOid: oid(0),
    delimiter: ',',
    input: parseTid,
    output: (value) => tidText(value as number),
    receive(from, start, end) {
      if (end - start !== 6) throw wrongBinaryLength()
      return from.readUIntBE(start, 6)
    },
    send(value, to) {
      to.uint32(Math.floor((value as number) / 65536))
      to.int16((value as number) % 65536)
    },
    compare: compareNative,
    hashKey: (value) => value as number,
    storage: { kind: 'int64' },
    encodeKey: (value, to) => to.int64(value as number),
  },
]

const order = scalar(compareNative)
const larger = scalar((a: Int64, b: Int64) => (a > b ? a : b))
const smaller = scalar((a: Int64, b: Int64) => (a < b ? a : b))

export const IDENTIFIER_FUNCTIONS: FunctionTable = {
  ...comparisons((op) => `uuid_${op}`, NATIVE),
  ...comparisons((op) => `oid${op}`, NATIVE),
  ...comparisons((op) => `xid8${op}`, NATIVE),
  ...comparisons((op) => `tid${op}`, NATIVE),
  uuid_cmp: order,
  btoidcmp: order,
  xid8cmp: order,
  bttidcmp: order,
  xideq: scalar((a: number, b: number) => a === b >>> 0),
  xidneq: scalar((a: number, b: number) => a !== b >>> 0),
  cideq: NATIVE.eq,
  oidlarger: larger,
  oidsmaller: smaller,
  tidlarger: larger,
  tidsmaller: smaller,
  xid8_larger: larger,
  xid8_smaller: smaller,
  xid8toxid: scalar((a: Int64) => Number(BigInt.asUintN(32, BigInt(a)))),
  gen_random_uuid: scalar(() => randomUUID()),
}

export const IDENTIFIER_AGGREGATES: AggregateTable = {
  ...extremes('oid', compareNative),
  ...extremes('tid', compareNative),
  ...extremes('xid8', compareNative),
}
