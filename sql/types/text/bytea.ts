/**
 * bytea: the type, its text forms (hex, escape, base64), and its functions; hashes of bytes and texts.
 * Source: PostgreSQL manual, "Binary Data Types" and "Binary String Functions and Operators".
 */
import { createHash } from 'node:crypto'
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { type AggregateTable, type FunctionTable, scalar } from '../function.ts'
import { popCount } from '../misc/bits.ts'
import { comparedBy, comparisons } from '../misc/comparison.ts'
import type { Type } from '../type.ts'
import type { Int64 } from '../value.ts'
import { charLength } from './chars.ts'
import { decodeFrom, encodeTo, encodingName, encodingNumber, encodingOfNumber } from './encodings.ts'
import { Pieces } from './long.ts'

type Bytes = Uint8Array

const buffer = (b: Bytes): Buffer => Buffer.from(b.buffer, b.byteOffset, b.length)
/** A copy that owns exactly its memory. */
const own = (b: Bytes): Bytes => new Uint8Array(b)

const compareBytes = (a: Bytes, b: Bytes): number => Buffer.compare(a, b)

const HEX_PAIRS = /^(?:[0-9a-fA-F]{2})*$/

function fromHex(text: string): Bytes {
  const digits = HEX_PAIRS.test(text) ? text : text.replace(/[ \n\t\r]/g, '')
  if (!HEX_PAIRS.test(digits)) {
    const bad = /[^0-9a-fA-F \n\t\r]/u.exec(text)
    if (bad !== null) throw sqlError('22023', `invalid hexadecimal digit: "${bad[0]}"`)
    throw sqlError('22023', 'invalid hexadecimal data: odd number of digits')
  }
  return own(Buffer.from(digits, 'hex'))
}

const badBytea = () => sqlError('22P02', 'invalid input syntax for type bytea')

function fromEscape(text: string): Bytes {
  const source = Buffer.from(text, 'utf8')
  if (!text.includes('\\')) return own(source)
  const out = new Uint8Array(source.length)
  let end = 0
  for (let i = 0; i < source.length; i++) {
    const byte = source[i]!
    if (byte !== 0x5c) {
      out[end++] = byte
    } else if (source[i + 1] === 0x5c) {
      out[end++] = 0x5c
      i++
    } else {
      const octal = /^[0-3][0-7][0-7]$/.test(source.toString('latin1', i + 1, i + 4))
      if (!octal) throw badBytea()
      out[end++] = Number.parseInt(source.toString('latin1', i + 1, i + 4), 8)
      i += 3
    }
  }
  return out.slice(0, end)
}

/** bytea's output in escape format: all but printable ASCII as \ooo. */
const toEscape = (bytes: Bytes): string => escaped(bytes, 0x20, 0x7e)

/** encode(…, 'escape') leaves more as it is: only zero and high bytes are written \ooo. */
const encodeEscape = (bytes: Bytes): string => escaped(bytes, 0x01, 0x7f)

/** Bytes from `low` to `high` as they are, a backslash twice, others as \ooo. */
function escaped(bytes: Bytes, low: number, high: number): string {
  let length = 0
  for (let i = 0; i < bytes.length; i++) {
    const b = bytes[i]!
    length += b === 0x5c ? 2 : b < low || b > high ? 4 : 1
  }
  const out = Buffer.allocUnsafe(length)
  let at = 0
  for (let i = 0; i < bytes.length; i++) {
    const b = bytes[i]!
    if (b >= low && b <= high) {
      if (b === 0x5c) out[at++] = b
      out[at++] = b
    } else {
      out[at++] = 0x5c
      out[at++] = 0x30 + (b >> 6)
      out[at++] = 0x30 + ((b >> 3) & 7)
      out[at++] = 0x30 + (b & 7)
    }
  }
  return out.latin1Slice()
}

/** A line end follows each 76 symbols, which are 57 bytes. */
function encodeBase64(bytes: Bytes): string {
  const source = buffer(bytes)
  if (source.length < 57) return source.toString('base64')
  const out = new Pieces()
  for (let at = 0; at < source.length; at += 57) {
    const line = source.toString('base64', at, at + 57)
    out.add(at + 57 <= source.length ? `${line}\n` : line)
  }
  return out.text()
}

/** Four symbols are three bytes; white space is skipped; '=' may only fill the last group. */
function decodeBase64(text: string): Bytes {
  const out = new Uint8Array(Math.ceil((text.length * 3) / 4))
  let end = 0
  let bits = 0
  let position = 0
  let ended = 0
  for (const c of text) {
    if (c === ' ' || c === '\t' || c === '\n' || c === '\r') continue
    let value = 0
    if (c === '=') {
      if (ended === 0) {
        if (position === 2) ended = 1
        else if (position === 3) ended = 2
        else throw sqlError('22023', 'unexpected "=" while decoding base64 sequence')
      }
    } else {
      value = BASE64.indexOf(c)
      if (value < 0) throw sqlError('22023', `invalid symbol "${c}" found while decoding base64 sequence`)
    }
    bits = (bits << 6) | value
    if (++position === 4) {
      out[end++] = (bits >> 16) & 0xff
      if (ended === 0 || ended > 1) out[end++] = (bits >> 8) & 0xff
      if (ended === 0 || ended > 2) out[end++] = bits & 0xff
      bits = 0
      position = 0
    }
  }
  if (position !== 0) {
    throw sqlError('22023', 'invalid base64 end sequence', {
      hint: 'Input data is missing padding, is truncated, or is otherwise corrupted.',
    })
  }
  return out.slice(0, end)
}
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

interface Format {
  encode(bytes: Bytes): string
  decode(text: string): Bytes
}
const FORMATS: Readonly<Record<string, Format>> = {
  hex: { encode: (bytes) => buffer(bytes).toString('hex'), decode: fromHex },
  base64: { encode: encodeBase64, decode: decodeBase64 },
  escape: { encode: encodeEscape, decode: fromEscape },
}
function format(name: string): Format {
  const found = FORMATS[name.toLowerCase()]
  if (found === undefined) throw sqlError('22023', `unrecognized encoding: "${name}"`)
  return found
}

const parseBytea = (text: string): Bytes => (text.startsWith('\\x') ? fromHex(text.slice(2)) : fromEscape(text))

export const BYTEA_TYPE: Type = {
  oid: oid(17),
  name: 'bytea',
  elementOid: oid(0),
  delimiter: ',',
  input: parseBytea,
  output: (value, context) =>
    context.settings.byteaOutput === 'hex' ? `\\x${buffer(value as Bytes).toString('hex')}` : toEscape(value as Bytes),
  receive: (from, start, end) => own(from.subarray(start, end)),
  send: (value, to) => to.bytes(value as Bytes),
  compare: (a, b) => compareBytes(a as Bytes, b as Bytes),
  hashKey: (value) => buffer(value as Bytes).toString('latin1'),
  storage: {
    kind: 'bytes',
    write: (value, to) => to.bytes(value as Bytes),
    read: (from, start, end) => own(from.subarray(start, end)),
  },
  encodeKey: (value, to) => to.bytes(value as Bytes),
}

const negativeLength = () => sqlError('22011', 'negative substring length not allowed')

function substring(b: Bytes, start: number, length: number): Bytes {
  if (length < 0) throw negativeLength()
  return b.slice(Math.max(start, 1) - 1, Math.max(start + length - 1, 0))
}

function concat(parts: readonly Bytes[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

function overlay(b: Bytes, part: Bytes, start: number, length: number): Bytes {
  if (start <= 0) throw negativeLength()
  if (start + length > 2147483647) throw sqlError('22003', 'integer out of range')
  return concat([substring(b, 1, start - 1), part, b.slice(Math.max(start + length, 1) - 1)])
}

const outsideIndex = (at: Int64, last: number) => sqlError('2202E', `index ${at} out of valid range, 0..${last}`)

function byteIndex(b: Bytes, at: number): number {
  if (at < 0 || at >= b.length) throw outsideIndex(at, b.length - 1)
  return at
}
/** Bit n is the n-th from the right of each byte, unlike a bit string's. */
function bitIndex(b: Bytes, at: Int64): number {
  if (at < 0 || at >= b.length * 8) throw outsideIndex(at, b.length * 8 - 1)
  return at as number
}

function setByte(b: Bytes, at: number, value: number): Bytes {
  const out = own(b)
  out[byteIndex(b, at)] = value
  return out
}
function setBit(b: Bytes, at: Int64, bit: number): Bytes {
  const index = bitIndex(b, at)
  if (bit !== 0 && bit !== 1) throw sqlError('22023', 'new bit must be 0 or 1')
  const out = own(b)
  const mask = 1 << (index & 7)
  out[index >> 3] = bit === 1 ? out[index >> 3]! | mask : out[index >> 3]! & ~mask
  return out
}

function trim(b: Bytes, set: Bytes, left: boolean, right: boolean): Bytes {
  let from = 0
  let to = b.length
  if (left) while (from < to && set.includes(b[from]!)) from++
  if (right) while (to > from && set.includes(b[to - 1]!)) to--
  return b.slice(from, to)
}

const hash =
  (name: string) =>
  (b: Bytes): Bytes =>
    own(createHash(name).update(b).digest())

function sourceEncoding(name: string): string {
  const found = encodingName(name)
  if (found === undefined) throw sqlError('22023', `invalid source encoding name "${name}"`)
  return found
}
function targetEncoding(name: string): string {
  const found = encodingName(name)
  if (found === undefined) throw sqlError('22023', `invalid destination encoding name "${name}"`)
  return found
}

function lengthIn(b: Bytes, name: string): number {
  const encoding = encodingName(name)
  if (encoding === undefined) throw sqlError('22023', `invalid encoding name "${name}"`)
  return charLength(decodeFrom(b, encoding))
}

export const BYTEA_FUNCTIONS: FunctionTable = {
  ...comparisons((op) => `bytea${op}`, comparedBy(compareBytes)),
  byteacmp: scalar(compareBytes),
  byteacat: scalar((a: Bytes, b: Bytes) => concat([a, b])),
  byteaoctetlen: scalar((b: Bytes) => b.length),
  'bit_length(bytea)': scalar((b: Bytes) => b.length * 8),
  bytea_bit_count: scalar((b: Bytes) => popCount(b)),
  bytea_substr: scalar(substring),
  bytea_substr_no_len: scalar((b: Bytes, start: number) => b.slice(Math.max(start, 1) - 1)),
  byteaoverlay: scalar(overlay),
  byteaoverlay_no_len: scalar((b: Bytes, part: Bytes, start: number) => overlay(b, part, start, part.length)),
  byteapos: scalar((b: Bytes, part: Bytes) => buffer(b).indexOf(part) + 1),
  byteatrim: scalar((b: Bytes, set: Bytes) => trim(b, set, true, true)),
  bytealtrim: scalar((b: Bytes, set: Bytes) => trim(b, set, true, false)),
  byteartrim: scalar((b: Bytes, set: Bytes) => trim(b, set, false, true)),
  byteaGetByte: scalar((b: Bytes, at: number) => b[byteIndex(b, at)]!),
  byteaSetByte: scalar(setByte),
  byteaGetBit: scalar((b: Bytes, at: Int64) => {
    const index = bitIndex(b, at)
    return (b[index >> 3]! >> (index & 7)) & 1
  }),
  byteaSetBit: scalar(setBit),
  binary_encode: scalar((b: Bytes, name: string) => format(name).encode(b)),
  binary_decode: scalar((text: string, name: string) => format(name).decode(text)),
  md5_bytea: scalar((b: Bytes) => createHash('md5').update(b).digest('hex')),
  md5_text: scalar((s: string) => createHash('md5').update(s).digest('hex')),
  sha224_bytea: scalar(hash('sha224')),
  sha256_bytea: scalar(hash('sha256')),
  sha384_bytea: scalar(hash('sha384')),
  sha512_bytea: scalar(hash('sha512')),
  pg_convert_from: scalar((b: Bytes, name: string) => decodeFrom(b, sourceEncoding(name))),
  pg_convert_to: scalar((s: string, name: string) => encodeTo(s, targetEncoding(name))),
  pg_convert: scalar((b: Bytes, from: string, to: string) => {
    const source = sourceEncoding(from)
    return encodeTo(decodeFrom(b, source), targetEncoding(to))
  }),
  length_in_encoding: scalar(lengthIn),
  getdatabaseencoding: scalar(() => 'UTF8'),
  PG_char_to_encoding: scalar(encodingNumber),
  PG_encoding_to_char: scalar(encodingOfNumber),
}

interface Joined {
  any: boolean
  readonly parts: (string | Bytes)[]
}

/** string_agg: values with the delimiter each row gives before its value; the first row's delimiter is not used. */
function joining<T extends string | Bytes>(join: (parts: T[]) => T) {
  return {
    strict: false,
    bind: () => ({
      init: (): Joined => ({ any: false, parts: [] }),
      step(state: Joined, value: T | null, delimiter: T | null): Joined {
        if (value === null) return state
        if (state.any && delimiter !== null) state.parts.push(delimiter)
        state.any = true
        state.parts.push(value)
        return state
      },
      final: (state: Joined) => (state.any ? join(state.parts as T[]) : null),
    }),
  }
}

export const STRING_AGGREGATES: AggregateTable = {
  'string_agg(text,text)': joining<string>((parts) => parts.join('')),
  'string_agg(bytea,bytea)': joining<Bytes>(concat),
}
