/**
 * Values as bytes in their own order: memcmp on two encodings answers as the values' comparison does, and no encoding
 * is the beginning of another, so that columns simply follow each other.
 *
 *     column = null tag (00 first, ff last)  |  type tag, bytes      every byte complemented when descending
 *
 *     int4 5          19 80 00 00 05          text 'ab'   30 61 62 00 01       NULLS LAST    ff
 *     int4 5 DESC     e6 7f ff ff fa          '' DESC     cf ff fe             NULLS FIRST   00
 *
 * Type tags lie in 01..7f, so a complemented one lies in 80..fe: neither meets a null tag, and a printer can tell what it
 * reads (print.ts). Keys come out as latin1 strings, one character a byte.
 */
import type { Key } from './brand.ts'

declare global {
  /** What Buffer's own write and toString call: a third of the time for short texts. */
  interface Buffer {
    latin1Write(text: string, offset?: number, length?: number): number
    latin1Slice(start?: number, end?: number): string
    utf8Write(text: string, offset?: number, length?: number): number
  }
}

/** First byte of a value. Booleans are their tag. */
export const TAG = {
  nullFirst: 0x00,
  false: 0x10,
  true: 0x11,
  int16: 0x18,
  int32: 0x19,
  uint32: 0x1a,
  int64: 0x1b,
  float64: 0x20,
  decimal: 0x28,
  text: 0x30,
  bytes: 0x31,
  /** Then one byte: how many follow. */
  raw: 0x38,
  /** A column that begins with a byte of its own (arrays, rows, ranges): what follows is known to its type alone. */
  nested: 0x40,
  nullLast: 0xff,
} as const

/** A zero byte inside text is 00 ff; its end is 00 01, below every continuation. */
const ESCAPE = 0x00
const ESCAPED_ZERO = 0xff
const END = 0x01

/** The decimal's second byte; negative numbers are the complement of their opposites. */
export const DECIMAL_CLASS = {
  minusInfinity: 0x01,
  negative: 0x02,
  zero: 0x03,
  positive: 0x04,
  infinity: 0x05,
  nan: 0x06,
} as const
/** Exponents within ±EXPONENT_SMALL take one byte, others five. */
const EXPONENT_SMALL = 100

const INITIAL_BYTES = 256

export function createKeyEncoder(): OrderedEncoder {
  return new OrderedEncoder()
}

/**
 * Builds one key at a time in a scratch buffer:
 *
 *     encoder.start(prefix)
 *     encoder.column(nullsFirst, descending); encoder.int32(5)       // or encoder.null()
 *     const key = encoder.finish()
 *
 * A prefix that was given last time is not written again. `column` may be left out for ascending columns without NULLs.
 */
export class OrderedEncoder {
  #bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  #length = 0
  #prefix = ''
  #columnStart = 0
  /** Where the descending column being written began, or -1. */
  #descendingFrom = -1
  #nullTag: number = TAG.nullLast

  /** Begins a key with a prefix made by map.ts ('' for none). */
  start(prefix: Key | ''): void {
    if (prefix !== this.#prefix) {
      if (prefix.length > this.#bytes.length) this.#grow(prefix.length)
      this.#bytes.latin1Write(prefix, 0)
      this.#prefix = prefix
    }
    this.#length = this.#columnStart = prefix.length
    this.#descendingFrom = -1
  }

  /** Begins a column: where its NULLs go, and its direction (DESC NULLS FIRST is `column(true, true)`). */
  column(nullsFirst: boolean, descending: boolean): void {
    if (this.#descendingFrom >= 0) this.#complement()
    this.#columnStart = this.#length
    this.#nullTag = nullsFirst ? TAG.nullFirst : TAG.nullLast
    if (descending) this.#descendingFrom = this.#length
  }

  /** The column is NULL: its tag keeps its place whatever the direction. */
  null(): void {
    this.#descendingFrom = -1
    const at = this.#reserve(1)
    this.#bytes[at] = this.#nullTag
  }

  /** The key so far. More columns may follow, and `finish` be called again. */
  finish(): Key {
    if (this.#descendingFrom >= 0) this.#complement()
    return this.#bytes.latin1Slice(0, this.#length) as Key
  }

  /** Appends bytes that are already encoded: another key's columns, for one. */
  encoded(bytes: string): void {
    const at = this.#reserve(bytes.length)
    this.#bytes.latin1Write(bytes, at)
  }

  /** The same of bytes [from, end) of a buffer. */
  encodedBytes(bytes: Uint8Array, from: number, end: number): void {
    const at = this.#reserve(end - from)
    const to = this.#bytes
    for (let i = from, j = at; i < end; i++, j++) to[j] = bytes[i]!
  }

  /** `finish` without the text: how many bytes of `scratch` are the key, until the next one is begun. */
  finishBytes(): number {
    if (this.#descendingFrom >= 0) this.#complement()
    return this.#length
  }

  get scratch(): Buffer {
    return this.#bytes
  }

  boolean(b: boolean): void {
    const at = this.#reserve(1)
    this.#bytes[at] = b ? TAG.true : TAG.false
  }

  int16(n: number): void {
    const at = this.#reserve(3)
    const to = this.#bytes
    to[at] = TAG.int16
    to[at + 1] = (n >> 8) ^ 0x80
    to[at + 2] = n
  }

  int32(n: number): void {
    const at = this.#reserve(5)
    const to = this.#bytes
    to[at] = TAG.int32
    to[at + 1] = (n >> 24) ^ 0x80
    to[at + 2] = n >> 16
    to[at + 3] = n >> 8
    to[at + 4] = n
  }

  uint32(n: number): void {
    const at = this.#reserve(5)
    this.#bytes[at] = TAG.uint32
    this.#bytes.writeUInt32BE(n, at + 1)
  }

  int64(n: number | bigint): void {
    const at = this.#reserve(9)
    const to = this.#bytes
    to[at] = TAG.int64
    if (typeof n === 'bigint') {
      to.writeBigInt64BE(n, at + 1)
    } else {
      to.writeInt32BE(Math.floor(n / 0x1_0000_0000) | 0, at + 1)
      to.writeInt32BE(n | 0, at + 5)
    }
    to[at + 1] = to[at + 1]! ^ 0x80
  }

  /** -0 equals 0; NaN is above everything, as in PostgreSQL's order. */
  float64(n: number): void {
    const at = this.#reserve(9)
    const to = this.#bytes
    to[at] = TAG.float64
    to.writeDoubleBE(n === 0 ? 0 : Number.isNaN(n) ? Number.NaN : n, at + 1)
    if (n < 0) for (let i = at + 1; i < at + 9; i++) to[i] = to[i]! ^ 0xff
    else to[at + 1] = to[at + 1]! | 0x80
  }

  /** By UTF-8 bytes, which is the order of code points (collation C). */
  text(s: string): void {
    const at = this.#reserve(s.length * 3 + 3)
    this.#bytes[at] = TAG.text
    this.#length = this.#escape(at + 1, at + 1 + this.#bytes.utf8Write(s, at + 1))
  }

  bytes(b: Uint8Array): void {
    const at = this.#reserve(b.length + 3)
    this.#bytes[at] = TAG.bytes
    this.#bytes.set(b, at + 1)
    this.#length = this.#escape(at + 1, at + 1 + b.length)
  }

  /**
   * digits × 10^-scale. Sign class, exponent, then the significant digits two to a byte (01 + pair), ended by 00:
   * 12.5 = 0.125 × 10^2 is 04 82 0d 33 00. Equal values of different scale encode alike; NaN sorts last.
   */
  decimal(digits: bigint, scale: number, special: 'NaN' | 'Infinity' | '-Infinity' | undefined): void {
    const at = this.#reserve(2)
    const to = this.#bytes
    to[at] = TAG.decimal
    if (special !== undefined) {
      to[at + 1] =
        special === 'NaN'
          ? DECIMAL_CLASS.nan
          : special === 'Infinity'
            ? DECIMAL_CLASS.infinity
            : DECIMAL_CLASS.minusInfinity
    } else if (digits === 0n) {
      to[at + 1] = DECIMAL_CLASS.zero
    } else {
      to[at + 1] = digits < 0n ? DECIMAL_CLASS.negative : DECIMAL_CLASS.positive
      this.#magnitude(digits < 0n ? -digits : digits, scale)
      if (digits < 0n) this.#complementFrom(at + 2)
    }
  }

  #magnitude(digits: bigint, scale: number): void {
    const text = digits.toString()
    let significant = text.length
    while (text.charCodeAt(significant - 1) === 0x30) significant--
    const exponent = text.length - scale
    const small = Math.abs(exponent) <= EXPONENT_SMALL
    let at = this.#reserve((small ? 1 : 5) + ((significant + 1) >> 1) + 1)
    const to = this.#bytes
    if (small) {
      to[at++] = 0x80 + exponent
    } else {
      to[at++] = exponent < 0 ? 0x01 : 0xff
      at = to.writeUInt32BE((exponent ^ 0x8000_0000) >>> 0, at)
    }
    for (let i = 0; i < significant; i += 2) {
      const low = i + 1 < significant ? text.charCodeAt(i + 1) - 0x30 : 0
      to[at++] = (text.charCodeAt(i) - 0x30) * 10 + low + 1
    }
    to[at] = 0
  }

  /** Fixed-length bytes as they are (a uuid, a MAC address): every value of the type has this length. At most 255. */
  raw(b: Uint8Array): void {
    const at = this.#reserve(2 + b.length)
    const to = this.#bytes
    to[at] = TAG.raw
    to[at + 1] = b.length
    to.set(b, at + 2)
  }

  /** One byte, for tags and terminators of nested values. */
  byte(n: number): void {
    if (this.#length === this.#columnStart) {
      const tag = this.#reserve(1)
      this.#bytes[tag] = TAG.nested
    }
    const at = this.#reserve(1)
    this.#bytes[at] = n
  }

  /** Escapes the zero bytes of [from, end) in place, appends the terminator and returns the new length. */
  #escape(from: number, end: number): number {
    let zeros = 0
    for (let i = from; i < end; i++) if (this.#bytes[i] === ESCAPE) zeros++
    const length = end + zeros + 2
    if (length > this.#bytes.length) this.#grow(length)
    const to = this.#bytes
    // From the back; where both meet, nothing is left to move.
    let read = end - 1
    let write = end + zeros - 1
    while (read < write) {
      const b = to[read--]!
      if (b === ESCAPE) to[write--] = ESCAPED_ZERO
      to[write--] = b
    }
    to[length - 2] = ESCAPE
    to[length - 1] = END
    return length
  }

  #complement(): void {
    this.#complementFrom(this.#descendingFrom)
    this.#descendingFrom = -1
  }

  #complementFrom(from: number): void {
    const to = this.#bytes
    for (let i = from; i < this.#length; i++) to[i] = to[i]! ^ 0xff
  }

  #reserve(n: number): number {
    const at = this.#length
    if (at + n > this.#bytes.length) this.#grow(at + n)
    this.#length = at + n
    return at
  }

  #grow(needed: number): void {
    const bigger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(bigger)
    this.#bytes = bigger
  }
}

/** Every pair of bytes as a string of two characters: what lets an int4 key be put together without a buffer. */
const PAIRS: readonly string[] = Array.from({ length: 0x1_0000 }, (_, i) => String.fromCharCode(i >>> 8, i & 0xff))
const INT32 = String.fromCharCode(TAG.int32)
const INT64 = String.fromCharCode(TAG.int64)

/** The key of one ascending int4 column: the commonest primary key there is. */
export function int32Key(prefix: Key, n: number): Key {
  return (prefix + INT32 + PAIRS[((n >>> 16) ^ 0x8000) & 0xffff]! + PAIRS[n & 0xffff]!) as Key
}

/** The same of one int8 column, from a safe integer. */
export function int64Key(prefix: Key, n: number): Key {
  const high = Math.floor(n / 0x1_0000_0000) | 0
  return (prefix +
    INT64 +
    PAIRS[((high >>> 16) ^ 0x8000) & 0xffff]! +
    PAIRS[high & 0xffff]! +
    PAIRS[(n >>> 16) & 0xffff]! +
    PAIRS[n & 0xffff]!) as Key
}
