/**
 * The one ByteWriter: a Buffer that doubles when it is full. `buffer` is the whole backing store and changes when it
 * grows, so callers keep the writer, not the buffer, and take `buffer.subarray(0, length)` at the end.
 */
import type { ByteWriter } from './type.ts'

export interface ResettableByteWriter extends ByteWriter {
  /** Forgets what was written and keeps the memory. */
  reset(): void
  /** Shortens to `length` bytes. */
  truncate(length: number): void
  /** Sets four bytes that were reserved before, big-endian. */
  setInt32(offset: number, n: number): void
  setInt16(offset: number, n: number): void
  setUint8(offset: number, n: number): void
  /** A copy of what was written. */
  toBuffer(): Buffer
  /** How texts become bytes; undefined: as UTF-8. `lenient`: something stands for what cannot be written. */
  encode: ((text: string, lenient?: boolean) => Uint8Array) | undefined
}

const MINIMUM_BYTES = 64

class GrowingByteWriter implements ResettableByteWriter {
  buffer: Buffer
  length = 0
  encode: ((text: string, lenient?: boolean) => Uint8Array) | undefined = undefined

  constructor(initialBytes: number) {
    this.buffer = Buffer.allocUnsafe(Math.max(initialBytes, MINIMUM_BYTES))
  }

  private grow(needed: number): void {
    const bigger = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2))
    this.buffer.copy(bigger, 0, 0, this.length)
    this.buffer = bigger
  }

  reserve(n: number): number {
    const at = this.length
    const end = at + n
    if (end > this.buffer.length) this.grow(end)
    this.length = end
    return at
  }

  uint8(n: number): void {
    const at = this.reserve(1)
    this.buffer[at] = n
  }

  int16(n: number): void {
    const at = this.reserve(2)
    this.buffer[at] = n >> 8
    this.buffer[at + 1] = n
  }

  int32(n: number): void {
    const at = this.reserve(4)
    const to = this.buffer
    to[at] = n >> 24
    to[at + 1] = n >> 16
    to[at + 2] = n >> 8
    to[at + 3] = n
  }

  /** The same four bytes: shifts take a number modulo 2^32. */
  uint32(n: number): void {
    this.int32(n)
  }

  /** Two's complement; the high half of a safe integer is its floor division by 2^32. */
  int64(n: number | bigint): void {
    if (typeof n === 'bigint') {
      const at = this.reserve(8)
      this.buffer.writeBigInt64BE(n, at)
      return
    }
    this.int32(Math.floor(n / 0x1_0000_0000))
    this.int32(n)
  }

  float32(n: number): void {
    const at = this.reserve(4)
    this.buffer.writeFloatBE(n, at)
  }

  float64(n: number): void {
    const at = this.reserve(8)
    this.buffer.writeDoubleBE(n, at)
  }

  bytes(b: Uint8Array): void {
    const at = this.reserve(b.length)
    this.buffer.set(b, at)
  }

  /** Short strings are mostly ASCII: one pass, left for Buffer's encoder at the first other character. */
  text(s: string): void {
    const count = s.length
    if (this.encode !== undefined) {
      this.bytes(this.encode(s))
      return
    }
    if (count > 48) {
      this.longText(s)
      return
    }
    const at = this.reserve(count)
    const to = this.buffer
    for (let i = 0; i < count; i++) {
      const unit = s.charCodeAt(i)
      if (unit >= 0x80) {
        this.length = at
        this.longText(s)
        return
      }
      to[at + i] = unit
    }
  }

  private longText(s: string): void {
    const most = this.length + s.length * 3
    if (most > this.buffer.length) {
      const needed = this.length + Buffer.byteLength(s)
      if (needed > this.buffer.length) this.grow(needed)
    }
    this.length += this.buffer.write(s, this.length)
  }

  reset(): void {
    this.length = 0
  }

  truncate(length: number): void {
    this.length = length
  }

  setInt32(offset: number, n: number): void {
    this.buffer.writeInt32BE(n | 0, offset)
  }

  setInt16(offset: number, n: number): void {
    this.buffer.writeInt16BE(n, offset)
  }

  setUint8(offset: number, n: number): void {
    this.buffer[offset] = n
  }

  toBuffer(): Buffer {
    return Buffer.from(this.buffer.subarray(0, this.length))
  }
}

export const createByteWriter = (initialBytes = 256): ResettableByteWriter => new GrowingByteWriter(initialBytes)

/** The int64 at `at` in canonical form. */
export function readInt64(from: Buffer, at: number): number | bigint {
  const high = from.readInt32BE(at)
  if (high >= -0x20_0000 && high < 0x20_0000) {
    const n = high * 0x1_0000_0000 + from.readUInt32BE(at + 4)
    if (n !== -0x20_0000_0000_0000) return n
  }
  return from.readBigInt64BE(at)
}
