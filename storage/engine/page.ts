/**
 * Walking and building pages: rows packed one after the other, read in place.
 *
 *     offset → u32le key bytes | u32le value bytes | u64le timestamp | key | value → next offset
 *
 * The hot way is by offsets: `for (let o = 0; o < page.bytes; o = nextRow(b, o)) …`, with no object a row.
 */
import { type Key, key, type Timestamp, timestamp } from '../keys/brand.ts'
import { ENTRY_HEADER_BYTES, ENTRY_REMOVED, type Entries, PAGE_HEADER_BYTES, type Page } from './engine.ts'

declare global {
  /** What Buffer's own write and toString call: a third of the time for short keys. */
  interface Buffer {
    latin1Write(text: string, offset?: number, length?: number): number
    latin1Slice(start?: number, end?: number): string
  }
}

const TWO_32 = 4294967296

export function u32(buffer: Uint8Array, offset: number): number {
  return (
    (buffer[offset]! | (buffer[offset + 1]! << 8) | (buffer[offset + 2]! << 16) | (buffer[offset + 3]! << 24)) >>> 0
  )
}

const keyStart = (offset: number) => offset + PAGE_HEADER_BYTES
export const valueStart = (buffer: Uint8Array, offset: number) => offset + PAGE_HEADER_BYTES + u32(buffer, offset)
export const valueBytes = (buffer: Uint8Array, offset: number) => u32(buffer, offset + 4)
export const nextRow = (buffer: Uint8Array, offset: number) =>
  offset + PAGE_HEADER_BYTES + u32(buffer, offset) + u32(buffer, offset + 4)

/** Whether two rows of a page have one key; neighbours differ at their end first. */
export function isSameKey(buffer: Uint8Array, a: number, b: number): boolean {
  const length = u32(buffer, a)
  if (u32(buffer, b) !== length) return false
  const aStart = keyStart(a)
  const bStart = keyStart(b)
  for (let i = length - 1; i >= 0; i--) if (buffer[aStart + i] !== buffer[bStart + i]) return false
  return true
}

export function rowKey(buffer: Buffer, offset: number): Key {
  const start = offset + PAGE_HEADER_BYTES
  return key(buffer.latin1Slice(start, start + u32(buffer, offset)))
}

/** The value in place: a view that is overwritten with the page. */
export function rowValue(buffer: Buffer, offset: number): Buffer {
  const start = valueStart(buffer, offset)
  return buffer.subarray(start, start + valueBytes(buffer, offset))
}

export function rowTimestamp(buffer: Uint8Array, offset: number): Timestamp {
  return timestamp(u32(buffer, offset + 12) * TWO_32 + u32(buffer, offset + 8))
}

export interface Row {
  readonly key: Key
  readonly timestamp: Timestamp
  readonly value: Buffer
}

/** The rows as objects with copied values: for tests, tools and short pages. */
export function rowsOf(page: Page): Row[] {
  const rows: Row[] = []
  const { buffer } = page
  for (let offset = 0; offset < page.bytes; offset = nextRow(buffer, offset)) {
    rows.push({
      key: rowKey(buffer, offset),
      timestamp: rowTimestamp(buffer, offset),
      value: Buffer.from(rowValue(buffer, offset)),
    })
  }
  return rows
}

/** The same rows as a page, a deletion mark as a row without a value. */
export function pageOfEntries({ buffer, start, end }: Entries): Page {
  const page = new PageBuilder(end - start)
  for (let o = start; o < end; ) {
    const from = o + ENTRY_HEADER_BYTES
    const to = from + u32(buffer, o)
    const length = u32(buffer, o + 4)
    const last = to + (length === ENTRY_REMOVED ? 0 : length)
    page.add(key(buffer.latin1Slice(from, to)), buffer.subarray(to, last))
    o = (last + 3) & ~3
  }
  return page
}

/** Packs rows: pages for `ingest`, and the pages of the engine in memory. */
export class PageBuilder implements Page {
  buffer: Buffer
  bytes = 0
  count = 0

  constructor(capacity = 64 << 10) {
    this.buffer = Buffer.allocUnsafeSlow(capacity)
  }

  add(rowKey: Key, value: Uint8Array, at = 0): void {
    const size = PAGE_HEADER_BYTES + rowKey.length + value.length
    if (this.bytes + size > this.buffer.length) this.#grow(size)
    const { buffer } = this
    const o = this.bytes
    buffer.writeUInt32LE(rowKey.length, o)
    buffer.writeUInt32LE(value.length, o + 4)
    buffer.writeUInt32LE(at >>> 0, o + 8)
    buffer.writeUInt32LE((at / TWO_32) >>> 0, o + 12)
    buffer.latin1Write(rowKey, o + PAGE_HEADER_BYTES)
    buffer.set(value, o + PAGE_HEADER_BYTES + rowKey.length)
    this.bytes += size
    this.count++
  }

  clear(): void {
    this.bytes = 0
    this.count = 0
  }

  #grow(size: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.bytes + size))
    this.buffer.copy(grown, 0, 0, this.bytes)
    this.buffer = grown
  }
}
