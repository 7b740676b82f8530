/**
 * Text as PostgreSQL counts it: in code points, ordered by UTF-8 bytes (collation C), which is code point order.
 * JavaScript strings are UTF-16: where no surrogate occurs, which is nearly always, its own operations are right.
 */
import { isUtf8 } from 'node:buffer'
import { sqlError } from '../error.ts'

const SURROGATE = /[\ud800-\udbff]/

export const hasSurrogate = (s: string): boolean => SURROGATE.test(s)

/**
 * Code point order. UTF-16 order differs from it only where a surrogate (0xD800..0xDFFF, for points from 0x10000) meets
 * a unit of 0xE000..0xFFFF.
 */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  const end = Math.min(a.length, b.length)
  for (let i = 0; i < end; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    if (x >= 0xd800 && y >= 0xd800 && x < 0xe000 !== y < 0xe000) return x < 0xe000 ? 1 : -1
    return x - y
  }
  return a.length - b.length
}

/** Length in code points. */
export function charLength(s: string): number {
  if (!SURROGATE.test(s)) return s.length
  let pairs = 0
  for (let i = 0; i < s.length; i++) if ((s.charCodeAt(i) & 0xfc00) === 0xd800) pairs++
  return s.length - pairs
}

/** The UTF-16 offset of the code point with index `count`, at most the length. */
export function unitOffset(s: string, count: number): number {
  if (!SURROGATE.test(s)) return Math.min(count, s.length)
  let at = 0
  for (let i = 0; i < count && at < s.length; i++) at += (s.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1
  return at
}

/** Code points [from, to) counted from 0. */
export function sliceChars(s: string, from: number, to: number): string {
  if (!SURROGATE.test(s)) return s.slice(from, to)
  const start = unitOffset(s, from)
  const rest = s.slice(start)
  return rest.slice(0, unitOffset(rest, to - from))
}

/** The index in code points of a UTF-16 offset. */
export const charIndex = (s: string, unit: number): number => charLength(s.slice(0, unit))

export const utf8 = (s: string): Buffer => Buffer.from(s, 'utf8')

const hex = (bytes: Uint8Array): string => [...bytes].map((b) => `0x${b.toString(16).padStart(2, '0')}`).join(' ')

/** How long the sequence that begins with this byte claims to be, as PostgreSQL reports it. */
const sequenceLength = (lead: number): number =>
  lead < 0x80 ? 1 : (lead & 0xe0) === 0xc0 ? 2 : (lead & 0xf0) === 0xe0 ? 3 : (lead & 0xf8) === 0xf0 ? 4 : 1

export function invalidUtf8(bytes: Uint8Array): Error {
  let at = 0
  while (at < bytes.length) {
    const length = sequenceLength(bytes[at]!)
    const sequence = bytes.subarray(at, at + length)
    if (bytes[at] === 0 || sequence.length < length || !isUtf8(sequence)) {
      return sqlError('22021', `invalid byte sequence for encoding "UTF8": ${hex(sequence)}`)
    }
    at += length
  }
  return sqlError('22021', 'invalid byte sequence for encoding "UTF8"')
}

/** Checked UTF-8 to text: 22021 for bad sequences and for NUL. */
export function decodeUtf8(from: Uint8Array, start = 0, end = from.length): string {
  const part = Buffer.from(from.buffer, from.byteOffset + start, end - start)
  if (!isUtf8(part) || part.includes(0)) throw invalidUtf8(part)
  return part.toString('utf8')
}

/** The longest prefix of whole characters in so many bytes of UTF-8. */
export function clipBytes(s: string, bytesMax: number): string {
  if (s.length * 3 <= bytesMax) return s
  const bytes = utf8(s)
  if (bytes.length <= bytesMax) return s
  let end = bytesMax
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** Without trailing blanks: what counts of a char(n). */
export function trimBlanks(s: string): string {
  let end = s.length
  while (end > 0 && s.charCodeAt(end - 1) === 0x20) end--
  return end === s.length ? s : s.slice(0, end)
}
