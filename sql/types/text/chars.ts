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

/** '0xc3 0x28', as PostgreSQL shows bytes in messages. */
export const hexOfBytes = (bytes: Iterable<number>): string =>
  Array.from(bytes, (byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(' ')

/** How long the sequence that begins with this byte claims to be, as PostgreSQL reports it (pg_utf_mblen). */
const sequenceLength = (lead: number): number =>
  (lead & 0xe0) === 0xc0 ? 2 : (lead & 0xf0) === 0xe0 ? 3 : (lead & 0xf8) === 0xf0 ? 4 : 1

/** Where the first sequence begins that is no character, or is a NUL; the length when there is none. */
export function badSequenceAt(bytes: Uint8Array): number {
  if (isUtf8(bytes) && !bytes.includes(0)) return bytes.length
  let at = 0
  while (at < bytes.length) {
    const next = at + sequenceLength(bytes[at]!)
    if (bytes[at] === 0 || next > bytes.length || !isUtf8(bytes.subarray(at, next))) return at
    at = next
  }
  return at
}

/** How many bytes at the end begin a character that is not all there, in data that comes in pieces. */
export function cutCharacterBytes(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!
    if ((byte & 0xc0) !== 0x80) return sequenceLength(byte) > back ? back : 0
  }
  return 0
}

/** PostgreSQL's message about the sequence that begins there: SQLSTATE 22021. */
export const badSequence = (bytes: Uint8Array, at = badSequenceAt(bytes)): string =>
  `invalid byte sequence for encoding "UTF8": ${hexOfBytes(bytes.subarray(at, at + sequenceLength(bytes[at]!)))}`

/** Up to so many bytes are looked at one by one: quicker than two calls (20 bytes 85 ns; from about 90 bytes on calls win). */
const SHORT_BYTES = 90

/** Checked UTF-8 to text: 22021 for bad sequences and for NUL. */
export function decodeUtf8(from: Uint8Array, start = 0, end = from.length): string {
  if (start === end) return ''
  const bytes = Buffer.isBuffer(from) ? from : Buffer.from(from.buffer, from.byteOffset, from.length)
  if (end - start <= SHORT_BYTES) {
    let at = start
    while (at < end && bytes[at]! < 0x80 && bytes[at] !== 0) at++
    if (at === end) return bytes.latin1Slice(start, end)
  }
  const part = bytes.subarray(start, end)
  if (!isUtf8(part) || part.includes(0)) throw sqlError('22021', badSequence(part))
  return part.utf8Slice(0, part.length)
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
