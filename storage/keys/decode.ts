/**
 * Values back from their bytes in a key, for the encodings that lose nothing: the inverse of encode.ts for ascending
 * columns. A column is read with the method it was written with; there is no NULL among primary keys' columns.
 *
 *     decoder.start(key, prefix.length); decoder.int32() → 5; decoder.text() → 'ab'
 */
import type { Key } from './brand.ts'
import { invariant } from './invariant.ts'

const TWO_32 = 0x1_0000_0000
const HIGH_MAX = 0x20_0000

export class OrderedDecoder {
  #key = ''
  #at = 0

  /** Begins with the column at `at`. */
  start(key: Key, at: number): void {
    this.#key = key
    this.#at = at
  }

  int16(): number {
    const at = this.#take(3)
    return ((((this.#byte(at + 1) << 8) | this.#byte(at + 2)) ^ 0x8000) << 16) >> 16
  }

  int32(): number {
    return this.#word(this.#take(5) + 1) ^ 0x8000_0000
  }

  /** A number while it is a safe integer, as encode.ts takes it. */
  int64(): number | bigint {
    const at = this.#take(9)
    const high = this.#word(at + 1) ^ 0x8000_0000
    const low = this.#word(at + 5) >>> 0
    const number = high * TWO_32 + low
    if (high >= -HIGH_MAX && high < HIGH_MAX && number !== -HIGH_MAX * TWO_32) return number
    return (BigInt(high) << 32n) | BigInt(low)
  }

  text(): string {
    const key = this.#key
    const from = this.#at + 1
    let end = key.indexOf('\0', from)
    // Zero bytes are followed by ff, the end by 01.
    while (key.charCodeAt(end + 1) === 0xff) end = key.indexOf('\0', end + 2)
    invariant(end >= 0, 'text in a key has an end')
    this.#at = end + 2
    const bytes = key.slice(from, end)
    return /^[\x01-\x7f]*$/.test(bytes)
      ? bytes
      : Buffer.from(bytes.replaceAll('\0\xff', '\0'), 'latin1').toString('utf8')
  }

  /** `length` bytes, written by `raw`: where they begin; one character of the key is one byte. */
  raw(length: number): string {
    const at = this.#take(2 + length)
    return this.#key.slice(at + 2, at + 2 + length)
  }

  #byte(at: number): number {
    return this.#key.charCodeAt(at)
  }

  #word(at: number): number {
    return (this.#byte(at) << 24) | (this.#byte(at + 1) << 16) | (this.#byte(at + 2) << 8) | this.#byte(at + 3)
  }

  /** Where a column of so many bytes begins; the next one follows. */
  #take(length: number): number {
    const at = this.#at
    this.#at = at + length
    return at
  }
}
