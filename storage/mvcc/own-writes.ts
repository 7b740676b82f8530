/**
 * A scan that sees its transaction's own writes: the stored rows and the buffer's entries are merged in key order, an
 * entry hides the stored row of its key, a removal shows nothing.
 *
 *     stored  a  c  d        writes  b  c(removed)  e        page  a b d e
 *
 * What is written after the scan began stays out of it. Pages without own writes are the engine's, untouched.
 */

import { type Entries, PAGE_HEADER_BYTES, type Page, type Scanner } from '../engine/engine.ts'
import { nextRow, u32 } from '../engine/page.ts'
import type { Key, Timestamp } from '../keys/brand.ts'
import type { Position, WriteBuffer } from './write-buffer.ts'

/** The version timestamp shown for a row that this transaction wrote itself. */
export const OWN_WRITE = Number.MAX_SAFE_INTEGER as Timestamp
const OWN_LOW = 0xffff_ffff
const OWN_HIGH = 0x1f_ffff

const PAGE_BYTES = 256 << 10
const INITIAL_BYTES = 8 << 10

/** A page being put together from stored rows and buffered entries. */
export class MergedPage {
  buffer: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  bytes = 0
  count = 0

  clear(): void {
    this.bytes = 0
    this.count = 0
  }

  /** Copies `count` rows that lie one after the other. */
  addStored(from: Buffer, start: number, end: number, count: number): void {
    const at = this.#reserve(end - start)
    from.copy(this.buffer, at, start, end)
    this.count += count
  }

  addOwn(writes: WriteBuffer, entry: number): void {
    const keyLength = writes.keyLength(entry)
    const valueLength = writes.valueLength(entry)
    const at = this.#reserve(PAGE_HEADER_BYTES + keyLength + valueLength)
    this.buffer.writeUInt32LE(keyLength, at)
    this.buffer.writeUInt32LE(valueLength, at + 4)
    this.buffer.writeUInt32LE(OWN_LOW, at + 8)
    this.buffer.writeUInt32LE(OWN_HIGH, at + 12)
    const start = writes.keyStart(entry)
    writes.bufferOf(entry).copy(this.buffer, at + PAGE_HEADER_BYTES, start, start + keyLength + valueLength)
    this.count++
  }

  page(): Page {
    return { buffer: this.buffer, bytes: this.bytes, count: this.count }
  }

  #reserve(size: number): number {
    const at = this.bytes
    if (at + size > this.buffer.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.max(at + size, this.buffer.length * 2))
      this.buffer.copy(bigger, 0, 0, at)
      this.buffer = bigger
    }
    this.bytes = at + size
    return at
  }
}

/**
 * All writes of a buffer in key order, for a load: where they were written in that order they are handed out as they lie,
 * elsewhere as pages of `bytes` (a removal is a row without a value). What is drawn is valid until the next is.
 */
export function* loadsOf(writes: WriteBuffer, bytes: number): Generator<Page | Entries> {
  const page = new MergedPage()
  let run: Entries | undefined
  for (const { entries, end } of writes.leaves()) {
    if (end !== undefined) {
      if (page.count > 0) yield page.page()
      page.clear()
      const next = writes.entriesAt(entries[0]!, end)
      const follows = run !== undefined && run.buffer === next.buffer && run.end === next.start
      if (run !== undefined && !follows) yield run
      run = run !== undefined && follows ? { ...run, end: next.end } : next
      continue
    }
    if (run !== undefined) yield run
    run = undefined
    for (const entry of entries) {
      page.addOwn(writes, entry)
      if (page.bytes < bytes) continue
      yield page.page()
      page.clear()
    }
  }
  if (run !== undefined) yield run
  if (page.count > 0) yield page.page()
}

/** `stored` scans [from, to) in the same direction. `top`: writes from that address on stay out, else later ones. */
export function scanWithOwnWrites(
  stored: Scanner,
  writes: WriteBuffer,
  from: Key,
  to: Key,
  reverse: boolean,
  top: number = writes.bytes,
): Scanner {
  return new MergingScanner(stored, writes, from, to, reverse, top)
}

class MergingScanner implements Scanner {
  readonly #stored: Scanner
  readonly #writes: WriteBuffer
  readonly #from: Key
  readonly #to: Key
  readonly #reverse: boolean
  /** The writes that were there when the scan began. */
  readonly #top: number
  readonly #out = new MergedPage()
  readonly #position: Position = { leaf: 0, slot: 0 }
  /** The last key of the buffer that was dealt with. */
  #passed: Key | undefined
  #ownEnded = false
  /** The stored page being walked, and where. */
  #page: Page | undefined
  #offset = 0

  constructor(stored: Scanner, writes: WriteBuffer, from: Key, to: Key, reverse: boolean, top: number) {
    this.#stored = stored
    this.#writes = writes
    this.#from = from
    this.#to = to
    this.#reverse = reverse
    this.#top = top
  }

  next(rows: number): Page | undefined {
    let own = this.#ownEnded ? undefined : this.#seekOwn()
    if (own === undefined && this.#page === undefined) return this.#stored.next(rows)
    const out = this.#out
    const writes = this.#writes
    out.clear()
    let passed: number | undefined
    while (out.count < rows && out.bytes < PAGE_BYTES) {
      const page = this.#page ?? this.#nextPage(rows)
      if (page === undefined) {
        if (own === undefined) break
        if (!writes.isRemoval(own)) out.addOwn(writes, own)
        passed = own
        own = this.#stepOwn()
        continue
      }
      // A run of stored rows that come before the own entry is copied at once.
      const start = this.#offset
      let end = start
      let count = 0
      let order = -1
      while (
        end < page.bytes &&
        out.count + count < rows &&
        (own === undefined || (order = this.#order(page, end, own)) < 0)
      ) {
        end = nextRow(page.buffer, end)
        count++
      }
      if (count > 0) out.addStored(page.buffer, start, end, count)
      if (own !== undefined && order >= 0 && out.count < rows) {
        if (!writes.isRemoval(own)) out.addOwn(writes, own)
        if (order === 0) end = nextRow(page.buffer, end)
        passed = own
        own = this.#stepOwn()
      }
      this.#offset = end
      if (end >= page.bytes) this.#page = undefined
    }
    if (own === undefined) this.#ownEnded = true
    else if (passed !== undefined) this.#passed = writes.keyOf(passed)
    return out.count === 0 ? undefined : out.page()
  }

  #nextPage(rows: number): Page | undefined {
    this.#page = this.#stored.next(rows)
    this.#offset = 0
    return this.#page
  }

  /** Finds the place behind what was passed: the buffer may have changed between two pages. */
  #seekOwn(): number | undefined {
    const position = this.#position
    if (this.#reverse) {
      this.#writes.seek(position, this.#passed ?? this.#to)
      return this.#visible(this.#writes.previous(position))
    }
    this.#writes.seek(position, this.#passed ?? this.#from)
    const entry = this.#writes.entryAt(position)
    const isPassed =
      entry !== undefined && this.#passed !== undefined && this.#writes.compareEntry(entry, this.#passed) === 0
    return this.#visible(isPassed ? this.#writes.next(position) : entry)
  }

  #stepOwn(): number | undefined {
    return this.#visible(this.#reverse ? this.#writes.previous(this.#position) : this.#writes.next(this.#position))
  }

  /** The first entry from here on that lies in the span and was there when the scan began. */
  #visible(from: number | undefined): number | undefined {
    const writes = this.#writes
    for (let entry = from; entry !== undefined; ) {
      if (this.#reverse ? writes.compareEntry(entry, this.#from) < 0 : writes.compareEntry(entry, this.#to) >= 0)
        return undefined
      const old = writes.asOf(entry, this.#top)
      if (old !== undefined) return old
      entry = this.#reverse ? writes.previous(this.#position) : writes.next(this.#position)
    }
    return undefined
  }

  /** Negative when the stored row at `offset` comes before the entry in the scan's direction. */
  #order(page: Page, offset: number, entry: number): number {
    const a = page.buffer
    const b = this.#writes.bufferOf(entry)
    const aStart = offset + PAGE_HEADER_BYTES
    const bStart = this.#writes.keyStart(entry)
    const aLength = u32(a, offset)
    const bLength = this.#writes.keyLength(entry)
    const common = Math.min(aLength, bLength)
    let order = aLength - bLength
    for (let i = 0; i < common; i++) {
      const difference = a[aStart + i]! - b[bStart + i]!
      if (difference !== 0) {
        order = difference
        break
      }
    }
    return this.#reverse ? -order : order
  }

  close(): void {
    this.#ownEnded = true
    this.#page = undefined
    this.#stored.close()
  }
}
