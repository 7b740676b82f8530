/**
 * The type numeric(p, s): text and binary forms, the length coercion, and how a value lies in a row:
 *
 *     [scale, or 250 and two bytes of scale, or 251 NaN, 252 Infinity, 253 -Infinity] [digits, two's complement, big-endian]
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import type { ByteWriter, Type } from '../type.ts'
import { Numeric } from '../value.ts'
import { trimSpace } from './int.ts'
import { wrongBinaryLength } from './integer.ts'
import * as n from './numeric.ts'

const WORDS: Readonly<Record<string, Numeric>> = {
  nan: n.NAN,
  infinity: n.INFINITY,
  '+infinity': n.INFINITY,
  inf: n.INFINITY,
  '+inf': n.INFINITY,
  '-infinity': n.NEGATIVE_INFINITY,
  '-inf': n.NEGATIVE_INFINITY,
}

export function parseNumeric(text: string): Numeric {
  const parsed = n.parseDecimal(text) ?? n.parseDecimal(trimSpace(text)) ?? WORDS[trimSpace(text).toLowerCase()]
  if (parsed === undefined) throw sqlError('22P02', `invalid input syntax for type numeric: "${text}"`)
  return parsed
}

const precisionOf = (typmod: number): number => ((typmod - 4) >> 16) & 0xffff
/** The scale is an 11-bit two's complement number. */
const scaleOf = (typmod: number): number => (((typmod - 4) & 0x7ff) ^ 1024) - 1024
export const numericTypmod = (precision: number, scale: number): number => ((precision << 16) | (scale & 0x7ff)) + 4

const fieldOverflow = (detail: string) => sqlError('22003', 'numeric field overflow', { detail })

/** Rounds to the typmod's scale and checks its precision (22003). */
export function coerceNumeric(a: Numeric, typmod: number): Numeric {
  if (typmod < 4) return a
  const precision = precisionOf(typmod)
  const scale = scaleOf(typmod)
  if (a.special !== undefined) {
    if (a.special === 'NaN') return a
    throw fieldOverflow(`A field with precision ${precision}, scale ${scale} cannot hold an infinite value.`)
  }
  const rounded = a.scale === scale ? a : n.round(a, scale)
  const limit = precision - scale
  if (n.decimalLength(rounded.digits) - rounded.scale > limit && rounded.digits !== 0n) {
    const bound = limit === 0 ? '1' : `10^${limit}`
    throw fieldOverflow(
      `A field with precision ${precision}, scale ${scale} must round to an absolute value less than ${bound}.`,
    )
  }
  return rounded
}

function typmodIn(args: readonly string[]): number {
  const numbers = args.map((text) => {
    if (!/^[+-]?[0-9]+$/.test(text.trim())) throw sqlError('22P02', `invalid input syntax for type integer: "${text}"`)
    return Number(text)
  })
  if (numbers.length === 0 || numbers.length > 2) throw sqlError('22023', 'invalid NUMERIC type modifier')
  const precision = numbers[0]!
  const scale = numbers[1] ?? 0
  if (precision < 1 || precision > 1000) {
    throw sqlError('22023', `NUMERIC precision ${precision} must be between 1 and 1000`)
  }
  if (scale < -1000 || scale > 1000) throw sqlError('22023', `NUMERIC scale ${scale} must be between -1000 and 1000`)
  return numericTypmod(precision, scale)
}

const SIGN = { positive: 0, negative: 0x4000, NaN: 0xc000, Infinity: 0xd000, '-Infinity': 0xf000 } as const

/** What PostgreSQL 15 sends as the scale of special values. */
const SPECIAL_SCALE = { NaN: 0, Infinity: 32, '-Infinity': 32 } as const

/** Base-10000 digits, most significant first, without zeros at either end; `weight` is the first one's exponent. */
export function groups(a: Numeric): { readonly digits: readonly number[]; readonly weight: number } {
  if (a.digits === 0n) return { digits: [], weight: 0 }
  const pad = (4 - (a.scale % 4)) % 4
  let text = n.abs(a.digits * n.pow10(pad)).toString()
  const after = (a.scale + pad) / 4
  text = text.padStart(Math.ceil(text.length / 4) * 4, '0')
  const digits: number[] = []
  for (let i = 0; i < text.length; i += 4) digits.push(Number(text.slice(i, i + 4)))
  const weight = digits.length - after - 1
  let end = digits.length
  while (end > 0 && digits[end - 1] === 0) end--
  return { digits: digits.slice(0, end), weight }
}

function send(a: Numeric, to: ByteWriter): void {
  const { digits, weight } = groups(a)
  to.int16(digits.length)
  to.int16(weight)
  to.int16(a.special !== undefined ? SIGN[a.special] : a.digits < 0n ? SIGN.negative : SIGN.positive)
  to.int16(a.special === undefined ? a.scale : SPECIAL_SCALE[a.special])
  for (const digit of digits) to.int16(digit)
}

function receive(from: Buffer, start: number, end: number, typmod: number): Numeric {
  if (end - start < 8) throw sqlError('08P01', 'insufficient data left in message')
  const count = from.readUInt16BE(start)
  const weight = from.readInt16BE(start + 2)
  const sign = from.readUInt16BE(start + 4)
  const scale = from.readUInt16BE(start + 6)
  if (sign === SIGN.NaN) return n.NAN
  if (sign === SIGN.Infinity) return coerceNumeric(n.INFINITY, typmod)
  if (sign === SIGN['-Infinity']) return coerceNumeric(n.NEGATIVE_INFINITY, typmod)
  if (sign !== SIGN.positive && sign !== SIGN.negative)
    throw sqlError('22P03', 'invalid sign in external "numeric" value')
  if (scale > n.SCALE_MAX) throw sqlError('22P03', 'invalid scale in external "numeric" value')
  if (end - start < 8 + 2 * count) throw sqlError('08P01', 'insufficient data left in message')
  if (end - start > 8 + 2 * count) throw wrongBinaryLength()
  let digits = 0n
  for (let i = 0; i < count; i++) {
    const digit = from.readUInt16BE(start + 8 + 2 * i)
    if (digit > 9999) throw sqlError('22P03', 'invalid digit in external "numeric" value')
    digits = digits * 10000n + BigInt(digit)
  }
  if (sign === SIGN.negative) digits = -digits
  const whole = (weight - count + 1) * 4
  // Digits beyond the stated scale are cut off, as PostgreSQL does.
  const value = n.numeric(
    whole + scale >= 0 ? digits * n.pow10(whole + scale) : digits / n.pow10(-whole - scale),
    scale,
  )
  return coerceNumeric(value, typmod)
}

const STORED = { wideScale: 250, NaN: 251, Infinity: 252, '-Infinity': 253 } as const

/** Bytes of the shortest two's complement form, seldom one more. */
function byteLength(digits: bigint): number {
  return (digits.toString(16).length / 2 + 1) | 0
}

function write(a: Numeric, to: ByteWriter): void {
  if (a.special !== undefined) {
    to.uint8(STORED[a.special])
    return
  }
  if (a.scale < STORED.wideScale) to.uint8(a.scale)
  else {
    to.uint8(STORED.wideScale)
    to.int16(a.scale)
  }
  const digits = a.digits
  if (digits >= -0x80000000n && digits <= 0x7fffffffn) {
    const small = Number(digits)
    if (small >= -128 && small <= 127) to.uint8(small & 0xff)
    else if (small >= -32768 && small <= 32767) to.int16(small)
    else to.int32(small)
    return
  }
  const length = byteLength(digits)
  if (length <= 8) {
    to.int64(digits)
    return
  }
  to.bytes(
    Buffer.from(
      BigInt.asUintN(length * 8, digits)
        .toString(16)
        .padStart(length * 2, '0'),
      'hex',
    ),
  )
}

function read(from: Buffer, start: number, end: number): Numeric {
  const first = from[start]!
  if (first === STORED.NaN) return n.NAN
  if (first === STORED.Infinity) return n.INFINITY
  if (first === STORED['-Infinity']) return n.NEGATIVE_INFINITY
  const wide = first === STORED.wideScale
  const scale = wide ? from.readUInt16BE(start + 1) : first
  const at = start + (wide ? 3 : 1)
  const length = end - at
  if (length <= 6) return new Numeric(BigInt(from.readIntBE(at, length)), scale)
  if (length === 8) return new Numeric(from.readBigInt64BE(at), scale)
  return new Numeric(BigInt.asIntN(length * 8, BigInt(`0x${from.toString('hex', at, end)}`)), scale)
}

export const NUMERIC_TYPE: Type = {
  oid: oid(1700),
  name: 'numeric',
  elementOid: oid(0),
  delimiter: ',',
  input: (text, typmod) => coerceNumeric(parseNumeric(text), typmod),
  output: (value) => n.toText(value as Numeric),
  receive,
  send: (value, to) => send(value as Numeric, to),
  compare: (a, b) => n.compare(a as Numeric, b as Numeric),
  hashKey: (value) => n.hashKey(value as Numeric),
  storage: { kind: 'bytes', write: (value, to) => write(value as Numeric, to), read },
  encodeKey(value, to) {
    const a = value as Numeric
    to.decimal(a.digits, a.scale, a.special)
  },
  typmodIn,
  typmodOut: (typmod) => (typmod < 4 ? '' : `(${precisionOf(typmod)},${scaleOf(typmod)})`),
}
