/**
 * Every key as text, for people: '/table/5/16384/pk/42/'ab'/null'. Values print from their own tags; a descending one
 * ends in '↓'; what only its type could read, and what is cut short (a range's border), prints as hex: '/table/5/x40ff'.
 */
import type { Key } from './brand.ts'
import { DECIMAL_CLASS, TAG } from './encode.ts'
import { PRIMARY_INDEX, readVarint, SPACE } from './map.ts'

/** For each space its name and the names of its ids; undefined where a text follows. */
const SPACES: Readonly<
  Record<number, { readonly name: string; readonly ids: number | undefined; readonly columns: boolean }>
> = {
  [SPACE.local]: { name: 'local', ids: undefined, columns: false },
  [SPACE.system]: { name: 'system', ids: undefined, columns: false },
  [SPACE.catalog]: { name: 'catalog', ids: 4, columns: false },
  [SPACE.sequence]: { name: 'sequence', ids: 2, columns: false },
  [SPACE.statistics]: { name: 'statistics', ids: 2, columns: false },
  [SPACE.removal]: { name: 'removal', ids: undefined, columns: false },
  [SPACE.table]: { name: 'table', ids: 3, columns: true },
}

export function printKey(key: Key): string {
  const where = SPACES[key.charCodeAt(0)]
  if (where === undefined) return `/${hex(key)}`
  const parts = [where.name]
  let at = 1
  if (where.ids === undefined) {
    const end = key.indexOf('\0', at)
    parts.push(end < 0 ? `${key.slice(at)}…` : key.slice(at, end))
    at = end < 0 ? key.length : end + 1
  } else {
    for (let i = 0; i < where.ids && at < key.length; i++) {
      const id = readVarint(key, at)
      if (id === undefined) break
      parts.push(where.columns && i === 2 && id[0] === PRIMARY_INDEX ? 'pk' : String(id[0]))
      at = id[1]
    }
    if (where.columns) parts.push(...printColumns(key.slice(at)))
    else if (at < key.length) parts.push(hex(key.slice(at)))
  }
  return `/${parts.join('/')}`
}

export function printSpan(span: { readonly from: Key; readonly to: Key }): string {
  return `[${printKey(span.from)}, ${printKey(span.to)})`
}

/** Encoded columns as texts, one each. */
export function printColumns(columns: string): string[] {
  const out: string[] = []
  let at = 0
  while (at < columns.length) {
    const tag = columns.charCodeAt(at)
    if (tag === TAG.nullFirst || tag === TAG.nullLast) {
      out.push('null')
      at++
      continue
    }
    const descending = tag >= 0x80
    const rest = Buffer.from(columns.slice(at), 'latin1')
    if (descending) for (let i = 0; i < rest.length; i++) rest[i] = rest[i]! ^ 0xff
    const value = readValue(rest)
    if (value === undefined) {
      out.push(hex(columns.slice(at)))
      break
    }
    out.push(descending ? `${value.text}↓` : value.text)
    at += value.length
  }
  return out
}

interface Read {
  readonly text: string
  /** Bytes it took. */
  readonly length: number
}

/** One ascending value from its tag on; undefined when it is cut short or known to its type alone. */
function readValue(from: Buffer): Read | undefined {
  const tag = from[0]
  const fixed = (length: number, text: () => string): Read | undefined =>
    from.length < length ? undefined : { text: text(), length }
  switch (tag) {
    case TAG.false:
      return { text: 'false', length: 1 }
    case TAG.true:
      return { text: 'true', length: 1 }
    case TAG.int16:
      return fixed(3, () => String(((from.readUInt16BE(1) ^ 0x8000) << 16) >> 16))
    case TAG.int32:
      return fixed(5, () => String((from.readUInt32BE(1) ^ 0x8000_0000) | 0))
    case TAG.uint32:
      return fixed(5, () => String(from.readUInt32BE(1)))
    case TAG.int64:
      return fixed(9, () => String(BigInt.asIntN(64, from.readBigUInt64BE(1) ^ 0x8000_0000_0000_0000n)))
    case TAG.float64:
      return fixed(9, () => printFloat(from))
    case TAG.decimal:
      return readDecimal(from)
    case TAG.text:
    case TAG.bytes:
      return readEscaped(from, tag)
    case TAG.raw:
      return from.length < 2 ? undefined : fixed(2 + from[1]!, () => printRaw(from.subarray(2, 2 + from[1]!)))
    default:
      return undefined
  }
}

function printFloat(from: Buffer): string {
  const bits = from.readBigUInt64BE(1)
  const positive = bits >> 63n === 1n
  const raw = Buffer.alloc(8)
  raw.writeBigUInt64BE(positive ? bits ^ (1n << 63n) : BigInt.asUintN(64, ~bits))
  const text = String(raw.readDoubleBE(0))
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

function printRaw(bytes: Buffer): string {
  const text = bytes.toString('hex')
  return bytes.length === 16 ? text.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-') : `x'${text}'`
}

function readEscaped(from: Buffer, tag: number): Read | undefined {
  const bytes: number[] = []
  for (let i = 1; i + 1 < from.length; i++) {
    const b = from[i]!
    if (b !== 0) {
      bytes.push(b)
      continue
    }
    if (from[i + 1] === 0x01) {
      const value = Buffer.from(bytes)
      return { text: tag === TAG.text ? quote(value.toString('utf8')) : `x'${value.toString('hex')}'`, length: i + 2 }
    }
    bytes.push(0)
    i++
  }
  return undefined
}

function readDecimal(from: Buffer): Read | undefined {
  const sign = from[1]
  if (sign === DECIMAL_CLASS.nan) return { text: 'NaN', length: 2 }
  if (sign === DECIMAL_CLASS.infinity) return { text: 'Infinity', length: 2 }
  if (sign === DECIMAL_CLASS.minusInfinity) return { text: '-Infinity', length: 2 }
  if (sign === DECIMAL_CLASS.zero) return { text: '0', length: 2 }
  const flip = sign === DECIMAL_CLASS.negative ? 0xff : 0
  const byte = (i: number) => from[i]! ^ flip
  const long = byte(2) === 0x01 || byte(2) === 0xff
  let at = long ? 7 : 3
  if (from.length <= at) return undefined
  const exponent = long
    ? (((byte(3) << 24) | (byte(4) << 16) | (byte(5) << 8) | byte(6)) ^ 0x8000_0000) | 0
    : byte(2) - 0x80
  let digits = ''
  for (; byte(at) !== 0; at++) {
    if (at >= from.length) return undefined
    digits += String(byte(at) - 1).padStart(2, '0')
  }
  digits = digits.replace(/0+$/, '')
  return { text: (flip ? '-' : '') + plainDecimal(digits, exponent), length: at + 1 }
}

/** 0.digits × 10^exponent without an exponent where that stays short. */
function plainDecimal(digits: string, exponent: number): string {
  if (exponent > 40 || exponent < -20) return `0.${digits}e${exponent}`
  if (exponent <= 0) return `0.${'0'.repeat(-exponent)}${digits}`
  if (digits.length <= exponent) return digits + '0'.repeat(exponent - digits.length)
  return `${digits.slice(0, exponent)}.${digits.slice(exponent)}`
}

const quote = (text: string) =>
  `'${text.replaceAll("'", "''").replace(/[\x00-\x1f\x7f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)}'`
const hex = (bytes: string) => `x${Buffer.from(bytes, 'latin1').toString('hex')}`
