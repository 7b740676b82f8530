/**
 * A transaction's writes until it commits: the newest value (or removal) of each key, in key order, outside the JS heap.
 *
 * Entries lie one after the other in chunks of an address space that only grows:
 *
 *     address: u32 key length, u32 value length (ffffffff: removed), u32 address of the key's entry before, key, value, padded to 4
 *
 * which is a form that loads take as it is (Entries).
 *
 * The order is a two-level tree: leaves of up to 128 addresses, and the list of leaves. Writing in key order touches the
 * last leaf alone. A write of a key that is there already makes a new entry that points to the old one: a scan that began
 * earlier still finds what it may see (later addresses are later writes), and undoing walks the journal back and gives the
 * newest addresses back to the chunk, so a savepoint costs nothing but its number.
 */
import { type Entries, ENTRY_HEADER_BYTES as HEADER_BYTES, ENTRY_REMOVED as REMOVED } from '../engine/engine.ts'
import type { Key } from '../keys/brand.ts'
import { giveBack } from './give-back.ts'

/** Address arithmetic: every chunk is a whole number of units. The first chunk has one, later ones CHUNK_UNITS. */
const UNIT_BITS = 14
const UNIT_BYTES = 1 << UNIT_BITS
const CHUNK_UNITS = 64
/** A transaction that wrote more gives its memory back at its end. */
const GIVEN_BACK_UNITS = 4 * CHUNK_UNITS
const LEAF_ENTRIES = 128
/** No entry: nothing was there before; in the journal, nothing was written (a mark). */
const NONE = 0xffff_ffff
/** So many writes behind a mark are looked at: a millisecond. */
const WRITES_LOOKED_AT = 16_384
/** Below this a loop copies faster than a call. */
const COPY_LOOP_MAX = 48

interface Chunk {
  readonly bytes: Buffer
  readonly words: Uint32Array
  /** Address of its first byte. */
  readonly base: number
}

interface Leaf {
  readonly entries: Uint32Array
  count: number
}

function makeChunk(units: number, base: number): Chunk {
  const bytes = Buffer.allocUnsafeSlow(units * UNIT_BYTES)
  return { bytes, words: new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2), base }
}

const makeLeaf = (): Leaf => ({ entries: new Uint32Array(LEAF_ENTRIES), count: 0 })

/** What a transaction had written at some time. */
export interface WritesMark {
  readonly writes: number
  readonly undone: number
}

/** Where a key's entry is, or would be: see `seek`. */
export interface Position {
  leaf: number
  slot: number
}

export class WriteBuffer {
  /** By unit: the chunk it lies in. */
  readonly #chunks: Chunk[]
  #top = 0
  #end = UNIT_BYTES
  readonly #leaves: Leaf[] = [makeLeaf()]
  #count = 0
  /** The entries in the order they were written. */
  #journal = new Uint32Array(16)
  #writes = 0
  /** Writes there were at the newest `markNow`, and how often writes before such a mark were undone. */
  #marked = 0
  #undone = 0
  /** Result of the last #find, or the place of the last write: whoever goes through the keys in order finds the next one beside it. */
  #leaf = 0
  #slot = 0
  /** Someone reads on in it after its transaction's end: no other transaction may have it. */
  isKept = false

  constructor() {
    this.#chunks = [makeChunk(1, 0)]
  }

  /** Number of keys. */
  get count(): number {
    return this.#count
  }

  /** Number of writes so far, overwritten ones included: a savepoint is this number. */
  get writes(): number {
    return this.#writes
  }

  /** Bytes of memory in use. */
  get bytes(): number {
    return this.#top
  }

  put(key: Key, value: Uint8Array, length = value.length): void {
    const at = this.#append(key, length, length)
    const chunk = this.#chunks[at >>> UNIT_BITS]!
    const to = chunk.bytes
    const from = at - chunk.base + HEADER_BYTES + key.length
    if (length <= COPY_LOOP_MAX) for (let i = 0; i < length; i++) to[from + i] = value[i]!
    else to.set(length === value.length ? value : value.subarray(0, length), from)
    this.#enter(key, at)
  }

  /** Writes a key, given as bytes, that is above all others, with the value [start, end); false when it is not above them. */
  append(key: Uint8Array, keyBytes: number, value: Uint8Array, start: number, end: number): boolean {
    const last = this.#leaves.length - 1
    const leaf = this.#leaves[last]!
    if (leaf.count > 0 && this.#compareBytes(key, keyBytes, leaf.entries[leaf.count - 1]!) <= 0) return false
    const at = this.#room(keyBytes, end - start, end - start)
    const chunk = this.#chunks[at >>> UNIT_BITS]!
    const to = chunk.bytes
    let j = at - chunk.base + HEADER_BYTES
    for (let i = 0; i < keyBytes; i++, j++) to[j] = key[i]!
    if (end - start <= COPY_LOOP_MAX) for (let i = start; i < end; i++, j++) to[j] = value[i]!
    else to.set(value.subarray(start, end), j)
    this.#leaf = last
    this.#slot = leaf.count
    this.#insert(at)
    this.#record(at)
    return true
  }

  /** The key is gone: a mark that hides what is stored. */
  remove(key: Key): void {
    this.#enter(key, this.#append(key, 0, REMOVED))
  }

  /** A step in the journal without a write: what is kept elsewhere can be undone with the rest. Returns its number. */
  mark(): number {
    this.#record(NONE)
    return this.#writes
  }

  /** Writes an entry's header and key at the top of the last chunk, and returns its address. */
  #append(key: Key, valueBytes: number, valueWord: number): number {
    const at = this.#room(key.length, valueBytes, valueWord)
    const chunk = this.#chunks[at >>> UNIT_BITS]!
    const to = chunk.bytes
    const from = at - chunk.base + HEADER_BYTES
    if (key.length <= COPY_LOOP_MAX) for (let i = 0; i < key.length; i++) to[from + i] = key.charCodeAt(i)
    else to.latin1Write(key, from)
    return at
  }

  /** Room for an entry, with its header. */
  #room(keyBytes: number, valueBytes: number, valueWord: number): number {
    const size = (HEADER_BYTES + keyBytes + valueBytes + 3) & ~3
    if (this.#top + size > this.#end) this.#addChunk(size)
    const at = this.#top
    this.#top += size
    const chunk = this.#chunks[at >>> UNIT_BITS]!
    const word = (at - chunk.base) >>> 2
    chunk.words[word] = keyBytes
    chunk.words[word + 1] = valueWord
    chunk.words[word + 2] = NONE
    return at
  }

  #addChunk(size: number): void {
    const units = Math.max(CHUNK_UNITS, Math.ceil(size / UNIT_BYTES))
    const base = this.#chunks.length * UNIT_BYTES
    const chunk = makeChunk(units, base)
    for (let i = 0; i < units; i++) this.#chunks.push(chunk)
    this.#top = base
    this.#end = base + units * UNIT_BYTES
  }

  /** Gives the new entry its place in the order. */
  #enter(key: Key, at: number): void {
    const last = this.#leaves.length - 1
    const leaf = this.#leaves[last]!
    if (leaf.count === 0 || this.#compare(key, leaf.entries[leaf.count - 1]!) > 0) {
      this.#leaf = last
      this.#slot = leaf.count
      this.#insert(at)
    } else if (this.#find(key)) {
      const entries = this.#leaves[this.#leaf]!.entries
      const chunk = this.#chunks[at >>> UNIT_BITS]!
      chunk.words[((at - chunk.base) >>> 2) + 2] = entries[this.#slot]!
      entries[this.#slot] = at
    } else {
      this.#insert(at)
    }
    this.#record(at)
  }

  #record(at: number): void {
    const i = this.#writes++
    if (i === this.#journal.length) {
      const bigger = new Uint32Array(i * 2)
      bigger.set(this.#journal)
      this.#journal = bigger
    }
    this.#journal[i] = at
  }

  /** Puts `at` before the entry at (#leaf, #slot). A full last leaf that grows at its end is left full. */
  #insert(at: number): void {
    this.#count++
    let leaf = this.#leaves[this.#leaf]!
    if (leaf.count === LEAF_ENTRIES) {
      const right = makeLeaf()
      this.#leaves.splice(this.#leaf + 1, 0, right)
      const keep = this.#slot === LEAF_ENTRIES ? LEAF_ENTRIES : LEAF_ENTRIES >>> 1
      right.entries.set(leaf.entries.subarray(keep))
      right.count = LEAF_ENTRIES - keep
      leaf.count = keep
      if (this.#slot >= keep) {
        this.#leaf++
        this.#slot -= keep
        leaf = right
      }
    }
    const { entries } = leaf
    if (this.#slot < leaf.count) entries.copyWithin(this.#slot + 1, this.#slot, leaf.count)
    entries[this.#slot] = at
    leaf.count++
  }

  #delete(): void {
    this.#count--
    const leaf = this.#leaves[this.#leaf]!
    leaf.entries.copyWithin(this.#slot, this.#slot + 1, leaf.count)
    leaf.count--
    if (leaf.count === 0 && this.#leaves.length > 1) this.#leaves.splice(this.#leaf, 1)
  }

  /** Sets (#leaf, #slot) to the first entry at or above the key; true when it is the key's own. */
  #find(key: Key): boolean {
    const near = this.#findNear(key)
    if (near !== undefined) return near
    let low = 0
    let high = this.#leaves.length - 1
    // The last leaf that begins at or below the key.
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      const order = this.#compare(key, this.#leaves[middle]!.entries[0]!)
      if (order >= 0) low = middle
      else high = middle - 1
    }
    this.#leaf = low
    const leaf = this.#leaves[low]!
    let from = 0
    let to = leaf.count
    while (from < to) {
      const middle = (from + to) >>> 1
      const order = this.#compare(key, leaf.entries[middle]!)
      if (order === 0) {
        this.#slot = middle
        return true
      }
      if (order > 0) from = middle + 1
      else to = middle
    }
    this.#slot = from
    return false
  }

  /** The same for a key at or right behind the place of the last one; undefined when it is elsewhere. */
  #findNear(key: Key): boolean | undefined {
    const leaf = this.#leaves[this.#leaf]
    if (leaf === undefined || this.#slot > leaf.count) return undefined
    let order = this.#slot < leaf.count ? this.#compare(key, leaf.entries[this.#slot]!) : -1
    if (order === 0) return true
    if (order > 0) this.#slot++
    else if (this.#slot === 0 || this.#compare(key, leaf.entries[this.#slot - 1]!) <= 0) return undefined
    if (order > 0 && this.#slot < leaf.count) {
      order = this.#compare(key, leaf.entries[this.#slot]!)
      if (order === 0) return true
      return order > 0 ? undefined : false
    }
    if (this.#slot < leaf.count) return false
    const after = this.#leaves[this.#leaf + 1]
    return after === undefined || this.#compare(key, after.entries[0]!) < 0 ? false : undefined
  }

  #compare(key: Key, at: number): number {
    const chunk = this.#chunks[at >>> UNIT_BITS]!
    const start = at - chunk.base
    const length = chunk.words[start >>> 2]!
    const bytes = chunk.bytes
    const common = Math.min(length, key.length)
    for (let i = 0, j = start + HEADER_BYTES; i < common; i++, j++) {
      const order = key.charCodeAt(i) - bytes[j]!
      if (order !== 0) return order
    }
    return key.length - length
  }

  /** The same of a key given as bytes. */
  #compareBytes(key: Uint8Array, keyBytes: number, at: number): number {
    const chunk = this.#chunks[at >>> UNIT_BITS]!
    const start = at - chunk.base
    const length = chunk.words[start >>> 2]!
    const bytes = chunk.bytes
    const common = Math.min(length, keyBytes)
    for (let i = 0, j = start + HEADER_BYTES; i < common; i++, j++) {
      const order = key[i]! - bytes[j]!
      if (order !== 0) return order
    }
    return keyBytes - length
  }

  /** The entry of a key; undefined when this buffer has not written it. */
  lookup(key: Key): number | undefined {
    if (this.#count === 0 || !this.#find(key)) return undefined
    return this.#leaves[this.#leaf]!.entries[this.#slot]!
  }

  has(key: Key): boolean {
    return this.#count > 0 && this.#reaches(key) && this.#find(key)
  }

  /** The highest key that was written; empty when there is none. */
  get lastKey(): Key | '' {
    if (this.#count === 0) return ''
    const last = this.#leaves[this.#leaves.length - 1]!
    return this.keyOf(last.entries[last.count - 1]!)
  }

  /** Whether a key lies between the first and the last that was written. */
  #reaches(key: Key): boolean {
    const last = this.#leaves[this.#leaves.length - 1]!
    return (
      this.#compare(key, last.entries[last.count - 1]!) <= 0 && this.#compare(key, this.#leaves[0]!.entries[0]!) >= 0
    )
  }

  /** True when some key in [from, to) was written; `live` counts values only, not removals. */
  anyIn(from: Key, to: Key, live: boolean): boolean {
    const position = { leaf: 0, slot: 0 }
    this.seek(position, from)
    for (let at = this.entryAt(position); at !== undefined && this.#compare(to, at) > 0; at = this.next(position)) {
      if (!live || !this.isRemoval(at)) return true
    }
    return false
  }

  /** Moves to the first entry at or above the key. Positions end with the next write. */
  seek(position: Position, key: Key): void {
    this.#find(key)
    position.leaf = this.#leaf
    position.slot = this.#slot
  }

  /** The entry at a position; undefined behind the last one. */
  entryAt(position: Position): number | undefined {
    const leaf = this.#leaves[position.leaf]
    if (leaf === undefined) return undefined
    if (position.slot < leaf.count) return leaf.entries[position.slot]
    const after = this.#leaves[position.leaf + 1]
    if (after === undefined) return undefined
    position.leaf++
    position.slot = 0
    return after.entries[0]
  }

  /** Steps on and returns the entry there. */
  next(position: Position): number | undefined {
    position.slot++
    return this.entryAt(position)
  }

  /** Steps back and returns the entry there; undefined before the first one. */
  previous(position: Position): number | undefined {
    if (position.slot === 0) {
      if (position.leaf === 0) return undefined
      position.leaf--
      position.slot = this.#leaves[position.leaf]!.count
    }
    position.slot--
    return this.#leaves[position.leaf]!.entries[position.slot]
  }

  isRemoval(entry: number): boolean {
    const chunk = this.#chunks[entry >>> UNIT_BITS]!
    return chunk.words[((entry - chunk.base) >>> 2) + 1] === REMOVED
  }

  /** The memory an entry lies in; offsets below are into it. */
  bufferOf(entry: number): Buffer {
    return this.#chunks[entry >>> UNIT_BITS]!.bytes
  }

  keyStart(entry: number): number {
    return entry - this.#chunks[entry >>> UNIT_BITS]!.base + HEADER_BYTES
  }

  keyLength(entry: number): number {
    const chunk = this.#chunks[entry >>> UNIT_BITS]!
    return chunk.words[(entry - chunk.base) >>> 2]!
  }

  /** 0 for a removal. The value follows the key. */
  valueLength(entry: number): number {
    const chunk = this.#chunks[entry >>> UNIT_BITS]!
    const length = chunk.words[((entry - chunk.base) >>> 2) + 1]!
    return length === REMOVED ? 0 : length
  }

  keyOf(entry: number): Key {
    const start = this.keyStart(entry)
    return this.bufferOf(entry).latin1Slice(start, start + this.keyLength(entry)) as Key
  }

  valueOf(entry: number): Buffer {
    const start = this.keyStart(entry) + this.keyLength(entry)
    return this.bufferOf(entry).subarray(start, start + this.valueLength(entry))
  }

  /** In key order the entries of each leaf, and where they end when they lie one after the other in one buffer. */
  *leaves(): Generator<{ readonly entries: Uint32Array; readonly end: number | undefined }> {
    for (const leaf of this.#leaves) {
      if (leaf.count === 0) continue
      const { entries, count } = leaf
      const { base, words, bytes } = this.#chunks[entries[0]! >>> UNIT_BITS]!
      let end = entries[0]!
      let i = 0
      for (; i < count && entries[i] === end && end - base < bytes.length; i++) {
        const word = (end - base) >>> 2
        const length = words[word + 1]!
        end += (HEADER_BYTES + words[word]! + (length === REMOVED ? 0 : length) + 3) & ~3
      }
      yield { entries: entries.subarray(0, count), end: i === count ? end : undefined }
    }
  }

  /** The entries from one address to another of the same buffer. */
  entriesAt(from: number, to: number): Entries {
    const { base, bytes } = this.#chunks[from >>> UNIT_BITS]!
    return { buffer: bytes, start: from - base, end: to - base }
  }

  #before(entry: number): number {
    const chunk = this.#chunks[entry >>> UNIT_BITS]!
    return chunk.words[((entry - chunk.base) >>> 2) + 2]!
  }

  /** What the key's entry was when `bytes` was `top`; undefined when it was not written then. */
  asOf(entry: number, top: number): number | undefined {
    let at = entry
    while (at >= top) {
      at = this.#before(at)
      if (at === NONE) return undefined
    }
    return at
  }

  /** Compares an entry's key with a key. */
  compareEntry(entry: number, key: Key): number {
    return -this.#compare(key, entry)
  }

  /** For `writtenSince`. */
  markNow(): WritesMark {
    this.#marked = this.#writes
    return { writes: this.#writes, undone: this.#undone }
  }

  /**
   * Whether one of the writes since the mark is of a key in [from, to), or what was there then has been undone. They are looked at
   * one by one; when there are very many the answer is true.
   */
  writtenSince(mark: WritesMark, from: Key, to: Key): boolean {
    if (mark.undone !== this.#undone || this.#writes - mark.writes > WRITES_LOOKED_AT) return true
    for (let i = mark.writes; i < this.#writes; i++) {
      const at = this.#journal[i]!
      if (at !== NONE && this.#compare(from, at) <= 0 && this.#compare(to, at) > 0) return true
    }
    return false
  }

  /** Undoes every write after the first `writes`. */
  rollbackTo(writes: number): void {
    if (writes < this.#marked) {
      this.#marked = writes
      this.#undone++
    }
    let top = this.#top
    while (this.#writes > writes) {
      const at = this.#journal[--this.#writes]!
      if (at === NONE) continue
      this.#find(this.keyOf(at))
      const before = this.#before(at)
      if (before === NONE) this.#delete()
      else this.#leaves[this.#leaf]!.entries[this.#slot] = before
      top = at
    }
    this.#truncate(top)
  }

  #truncate(top: number): void {
    this.#top = top
    const chunk = this.#chunks[top >>> UNIT_BITS]
    if (chunk === undefined) return
    this.#end = chunk.base + chunk.bytes.length
    if (this.#chunks.length > this.#end >>> UNIT_BITS) this.#chunks.length = this.#end >>> UNIT_BITS
  }

  /** Empty again, keeping the first chunk and leaf. */
  reset(): void {
    this.#leaves.length = 1
    this.#leaves[0]!.count = 0
    if (this.#chunks.length > GIVEN_BACK_UNITS) {
      const chunks = new Set(this.#chunks.slice(1))
      giveBack(Array.from(chunks, ({ bytes }) => bytes.buffer as ArrayBuffer))
    }
    this.#chunks.length = 1
    this.#top = 0
    this.#end = UNIT_BYTES
    this.#count = 0
    this.#writes = 0
    this.#marked = 0
    this.#undone = 0
    if (this.#journal.length > 1024) this.#journal = new Uint32Array(16)
  }

  /** All writes in key order, for people: 'key = 12 bytes', 'key removed'. */
  print(printKey: (key: Key) => string): string {
    const lines: string[] = []
    const position = { leaf: 0, slot: 0 }
    for (let at = this.entryAt(position); at !== undefined; at = this.next(position)) {
      lines.push(`${printKey(this.keyOf(at))} ${this.isRemoval(at) ? 'removed' : `= ${this.valueLength(at)} bytes`}`)
    }
    return lines.join('\n')
  }
}
