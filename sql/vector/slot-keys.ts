/**
 * The keys of a graph's slots, outside the JavaScript heap: a million strings would be walked by every garbage collection.
 * Nothing here grows as a whole: no call takes longer because there are many keys.
 *
 *     groups     of 4,096 slots: bytes | key | key | …   starts: where each begins, and where the last one ends; full groups
 *                of keys of one length have the same ones
 *     segments   hash of a key → 5 of its bits | slot + 1, the newest that has it (open addressing, linear steps; 0 empty, -1 removed):
 *                where the bits differ the key is not looked at
 *     directory  by the hash's low bits: its segment. One that is full is parted by one bit more (extendible hashing: Fagin,
 *                Nievergelt, Pippenger, Strong, "Extendible hashing - a fast access method for dynamic files", 1979)
 */
import type { Key } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'

const GROUP_BITS = 12
/** Slots of a block that `packed` gives; the last may have fewer. */
export const GROUP_SLOTS = 1 << GROUP_BITS
const FIRST_BYTES = 1024
const SEGMENT_BITS = 11
const SEGMENT_PLACES = 1 << SEGMENT_BITS
/** Bits of a hash that choose the segment; those above choose the place in it. Keys that share them all are in one that grows. */
const DIRECTORY_BITS = 20
/** A segment that is this full is parted. A key is found by looking at 2 or 3 places then, which lie together. */
const LOAD_MAX = 0.8
const EMPTY = 0
const REMOVED = -1
/** Bits of a place that hold slot + 1: a graph has 2^26 slots at most. Above are bits of the hash that neither directory nor place use, mostly. */
const SLOT_BITS = 27
const SLOT_MASK = (1 << SLOT_BITS) - 1
const TAG_SHIFT = SLOT_BITS - 15
const TAG_MASK = ~SLOT_MASK

interface Group {
  bytes: Buffer
  /** `filled` + 1 of them count. */
  starts: Uint32Array
  filled: number
}

interface Segment {
  readonly places: Int32Array
  /** Low bits of the hash that all its keys share. */
  readonly bits: number
  /** Places that are not empty. */
  used: number
}

/** The keys of some slots, as they lie: `count` + 1 starts, and the bytes between the first and the last. */
export interface PackedKeys {
  readonly starts: Uint32Array
  readonly bytes: Buffer
}

const newSegment = (bits: number, places = SEGMENT_PLACES): Segment => ({
  places: new Int32Array(places),
  bits,
  used: 0,
})

export class SlotKeys {
  readonly #groups: Group[] = []
  /** Starts of full groups whose keys have all this length. */
  readonly #even = new Map<number, Uint32Array>()
  #count = 0
  #named = 0
  #directory: Segment[] = [newSegment(0)]
  #size = SEGMENT_PLACES * 4

  /** One more than the last slot. */
  get count(): number {
    return this.#count
  }

  /** Slots that were named. */
  get named(): number {
    return this.#named
  }

  /** Memory in use. */
  get size(): number {
    return this.#size
  }

  /** The keys of the slots below `count`, in order, some thousand at a time: for a checkpoint. They do not change any more. */
  *packed(count: number): Generator<PackedKeys> {
    for (let from = 0, number = 0; from < count; from += GROUP_SLOTS, number++) {
      const { starts, bytes } = this.#groups[number]!
      const slots = Math.min(GROUP_SLOTS, count - from)
      yield { starts: starts.subarray(0, slots + 1), bytes: bytes.subarray(0, starts[slots]) }
    }
  }

  /** So many `packed` gives. */
  packedBlocks(count: number): number {
    return Math.ceil(count / GROUP_SLOTS)
  }

  /** What `packed` gave, one after the other, into what is empty. False: it cannot be such. */
  restore({ starts, bytes }: PackedKeys): boolean {
    const slots = starts.length - 1
    if (this.#count !== this.#groups.length * GROUP_SLOTS || slots < 1 || slots > GROUP_SLOTS) return false
    if (starts[0] !== 0 || starts[slots] !== bytes.length) return false
    for (let i = 0; i < slots; i++) if (starts[i + 1]! < starts[i]!) return false
    const group = this.#newGroup(bytes)
    group.starts.set(starts)
    group.filled = slots
    if (slots === GROUP_SLOTS) this.#settle(group)
    const from = this.#count
    this.#count += slots
    for (let i = 0, start = 0; i < slots; i++) {
      const end = starts[i + 1]!
      if (start === end) continue
      this.#named++
      this.#enter(hashBytes(bytes, start, end), from + i)
      start = end
    }
    return true
  }

  /** There will be about so many keys: nothing has to be parted on the way. Before the first. */
  expect(count: number): void {
    let bits = 0
    while (bits < DIRECTORY_BITS && count > (SEGMENT_PLACES << bits) * LOAD_MAX) bits++
    this.#directory = Array.from({ length: 1 << bits }, () => newSegment(bits))
    this.#size = SEGMENT_PLACES * 4 * this.#directory.length
  }

  /** Names a slot, the next one or a later one. The key now finds this slot. */
  add(key: string, slot: number): void {
    // Slots in between are no vectors' (graph.ts: sparse ones take several numbers).
    while (this.#count < slot) {
      const group = this.#next()
      if (++group.filled === GROUP_SLOTS) this.#settle(group)
    }
    const group = this.#next()
    const { starts } = group
    const start = starts[group.filled]!
    const end = start + key.length
    if (end > group.bytes.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.max(end, group.bytes.length * 2))
      group.bytes.copy(bigger, 0, 0, start)
      this.#size += bigger.length - group.bytes.length
      group.bytes = bigger
    }
    group.bytes.latin1Write(key, start)
    starts[++group.filled] = end
    if (group.filled === GROUP_SLOTS) this.#settle(group)
    this.#named++
    this.#enter(hashText(key), slot)
  }

  /** The group of the next slot, which has a start for its end. */
  #next(): Group {
    const group = this.#groups[this.#count++ >> GROUP_BITS] ?? this.#newGroup(Buffer.allocUnsafeSlow(FIRST_BYTES))
    group.starts[group.filled + 1] = group.starts[group.filled]!
    return group
  }

  #newGroup(bytes: Buffer): Group {
    const group = { bytes, starts: new Uint32Array(GROUP_SLOTS + 1), filled: 0 }
    this.#groups.push(group)
    this.#size += bytes.length + group.starts.byteLength
    return group
  }

  /** A group that is full gives back what it does not need. */
  #settle(group: Group): void {
    const { starts, bytes } = group
    const end = starts[GROUP_SLOTS]!
    if (end < bytes.length) {
      group.bytes = Buffer.allocUnsafeSlow(end)
      bytes.copy(group.bytes, 0, 0, end)
      this.#size -= bytes.length - end
    }
    const length = starts[1]!
    for (let i = 2; i <= GROUP_SLOTS; i++) if (starts[i] !== i * length) return
    const even = this.#even.get(length)
    if (even === undefined) this.#even.set(length, starts)
    else {
      group.starts = even
      this.#size -= starts.byteLength
    }
  }

  /** The key of a slot, behind `prefix`. */
  key(slot: number): Key {
    const { bytes, starts } = this.#groups[slot >> GROUP_BITS]!
    const i = slot & (GROUP_SLOTS - 1)
    return bytes.latin1Slice(starts[i], starts[i + 1]) as Key
  }

  /** Whether the slot was named: it is a vector's. */
  has(slot: number): boolean {
    if (slot >= this.#count) return false
    const { starts } = this.#groups[slot >> GROUP_BITS]!
    const i = slot & (GROUP_SLOTS - 1)
    return starts[i + 1]! > starts[i]!
  }

  /** Whether the slot is there and has the key that lies in [start, end) of a buffer. */
  isAt(slot: number, buffer: Uint8Array, start: number, end: number): boolean {
    if (slot >= this.#count) return false
    const { bytes, starts } = this.#groups[slot >> GROUP_BITS]!
    const from = starts[slot & (GROUP_SLOTS - 1)]! - start
    if (starts[(slot & (GROUP_SLOTS - 1)) + 1]! - from !== end) return false
    // Keys of one table differ at their ends.
    for (let i = end - 1; i >= start; i--) if (bytes[from + i] !== buffer[i]) return false
    return true
  }

  /** The newest slot of a key, unless it was forgotten. */
  find(key: string): number | undefined {
    const hash = hashText(key)
    const { places } = this.#segment(hash)
    const value = places[this.#place(places, hash, key)]!
    return isSlot(value) ? slotOf(value) : undefined
  }

  /** The same for the key that lies in [start, end) of a buffer. */
  findIn(buffer: Uint8Array, start: number, end: number): number | undefined {
    const slot = this.#findIn(buffer, start, end, hashBytes(buffer, start, end))
    return slot < 0 ? undefined : slot
  }

  /**
   * The same for keys that lie one after the other in a buffer, key i behind `skip` bytes between starts i and i + 1: those from
   * `from` to before `to`, into `out`; -1: there is none. Loads of one key do not wait for those of another.
   */
  findMany(buffer: Uint8Array, starts: Uint32Array, skip: number, from: number, to: number, out: Int32Array): void {
    const count = to - from
    if (HASHES.length < count) HASHES = new Int32Array(count * 2)
    const hashes = HASHES
    for (let i = 0; i < count; i++) hashes[i] = hashBytes(buffer, starts[from + i]! + skip, starts[from + i + 1]!)
    const directory = this.#directory
    const mask = directory.length - 1
    for (let i = 0; i < count; i++) {
      const hash = hashes[i]!
      const { places } = directory[hash & mask]!
      out[i] = places[(hash >>> DIRECTORY_BITS) & (places.length - 1)]!
    }
    for (let i = 0; i < count; i++) {
      const value = out[i]!
      const hash = hashes[i]!
      const start = starts[from + i]! + skip
      const end = starts[from + i + 1]!
      const slot = slotOf(value)
      const isFound = isTagged(value, hash) && isSlot(value) && this.isAt(slot, buffer, start, end)
      out[i] = isFound ? slot : value === EMPTY ? -1 : this.#findIn(buffer, start, end, hash)
    }
  }

  #findIn(buffer: Uint8Array, start: number, end: number, hash: number): number {
    const { places } = this.#segment(hash)
    for (let at = hash >>> DIRECTORY_BITS; ; at++) {
      at &= places.length - 1
      const value = places[at]!
      if (value === EMPTY) return -1
      if (!isTagged(value, hash) || value === REMOVED) continue
      const slot = slotOf(value)
      if (this.isAt(slot, buffer, start, end)) return slot
    }
  }

  /** The key finds nothing any more; its slots keep it. */
  forget(key: string): void {
    const hash = hashText(key)
    const { places } = this.#segment(hash)
    const at = this.#place(places, hash, key)
    if (isSlot(places[at]!)) places[at] = REMOVED
  }

  #segment(hash: number): Segment {
    return this.#directory[hash & (this.#directory.length - 1)]!
  }

  #enter(hash: number, slot: number): void {
    let segment = this.#segment(hash)
    while (segment.used >= segment.places.length * LOAD_MAX) {
      this.#part(segment, hash)
      segment = this.#segment(hash)
    }
    const at = this.#place(segment.places, hash, slot)
    if (segment.places[at] === EMPTY) segment.used++
    segment.places[at] = placed(slot, hash)
  }

  /** Where the key (or the key of the slot) is, or the place to put it: the first removed one on its way, or the empty one at its end. */
  #place(places: Int32Array, hash: number, key: string | number): number {
    let free = -1
    for (let at = hash >>> DIRECTORY_BITS; ; at++) {
      at &= places.length - 1
      const value = places[at]!
      if (value === EMPTY) return free >= 0 ? free : at
      if (value === REMOVED) {
        if (free < 0) free = at
      } else if (isTagged(value, hash)) {
        const slot = slotOf(value)
        if (typeof key === 'string' ? this.#isKey(slot, key) : this.#isSame(slot, key)) return at
      }
    }
  }

  #isKey(slot: number, key: string): boolean {
    const { bytes, starts } = this.#groups[slot >> GROUP_BITS]!
    const i = slot & (GROUP_SLOTS - 1)
    const start = starts[i]!
    if (starts[i + 1]! - start !== key.length) return false
    for (let c = key.length - 1; c >= 0; c--) if (bytes[start + c] !== key.charCodeAt(c)) return false
    return true
  }

  #isSame(slot: number, other: number): boolean {
    const { bytes, starts } = this.#groups[other >> GROUP_BITS]!
    const i = other & (GROUP_SLOTS - 1)
    return this.isAt(slot, bytes, starts[i]!, starts[i + 1]!)
  }

  /** The segment's keys into two, by one bit more of their hashes; into one, when most of it was removed ones. */
  #part(full: Segment, hash: number): void {
    const { bits, places } = full
    let live = 0
    for (const value of places) if (isSlot(value)) live++
    const isSpacious = live * 3 < places.length
    const isParted = !isSpacious && bits < DIRECTORY_BITS
    if (isParted && this.#directory.length === 1 << bits) this.#directory = [...this.#directory, ...this.#directory]
    const low = newSegment(isParted ? bits + 1 : bits, isParted || isSpacious ? places.length : places.length * 2)
    const high = isParted ? newSegment(bits + 1) : low
    for (const value of places) {
      if (!isSlot(value)) continue
      const own = this.#hashSlot(slotOf(value))
      const to = (own >>> bits) & 1 ? high : low
      const mask = to.places.length - 1
      let at = (own >>> DIRECTORY_BITS) & mask
      while (to.places[at] !== EMPTY) at = (at + 1) & mask
      to.places[at] = value
      to.used++
    }
    this.#size += 4 * (low.places.length - places.length + (isParted ? high.places.length : 0))
    for (let i = hash & ((1 << bits) - 1); i < this.#directory.length; i += 1 << bits)
      this.#directory[i] = (i >>> bits) & 1 ? high : low
  }

  #hashSlot(slot: number): number {
    const { bytes, starts } = this.#groups[slot >> GROUP_BITS]!
    const i = slot & (GROUP_SLOTS - 1)
    return hashBytes(bytes, starts[i]!, starts[i + 1]!)
  }
}

/** Of `findMany`. */
let HASHES = new Int32Array(256)

const isSlot = (value: number): boolean => value !== EMPTY && value !== REMOVED
const slotOf = (value: number): number => (value & SLOT_MASK) - 1
const tagOf = (hash: number): number => (hash << TAG_SHIFT) & TAG_MASK
const placed = (slot: number, hash: number): number => {
  invariant(slot < SLOT_MASK - 1, 'a graph has fewer slots')
  return tagOf(hash) | (slot + 1)
}
const isTagged = (value: number, hash: number): boolean => ((value ^ (hash << TAG_SHIFT)) & TAG_MASK) === 0

/** FNV-1a, its bits mixed at the end: 31 of them. */
const SEED = 0x811c9dc5
const step = (hash: number, byte: number): number => Math.imul(hash ^ byte, 0x01000193)
const mix = (hash: number): number => {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (mixed ^ (mixed >>> 13)) >>> 1
}

function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = SEED
  for (let i = start; i < end; i++) hash = step(hash, bytes[i]!)
  return mix(hash)
}

function hashText(key: string): number {
  let hash = SEED
  for (let i = 0; i < key.length; i++) hash = step(hash, key.charCodeAt(i))
  return mix(hash)
}
