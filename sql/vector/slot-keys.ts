/**
 * The keys of a graph's slots, outside the JavaScript heap: a million strings would be walked by every garbage collection.
 *
 *     bytes    | key of slot 0 | key of slot 1 | …            starts    where each key begins, and where the last one ends
 *     table    hash of a key → the newest slot that has it (open addressing, linear steps; 0 empty, -1 removed)
 */
import type { Key } from '../../storage/keys/brand.ts'

const FIRST_SLOTS = 64
const EMPTY = 0
const REMOVED = -1

export class SlotKeys {
  #bytes = Buffer.allocUnsafeSlow(FIRST_SLOTS * 16)
  #starts = new Float64Array(FIRST_SLOTS + 1)
  #count = 0
  #named = 0
  /** Slot + 1. */
  #table = new Int32Array(FIRST_SLOTS * 2)
  /** Places of the table that are not empty. */
  #used = 0
  #live = 0

  /** One more than the last slot. */
  get count(): number {
    return this.#count
  }

  /** Slots that were named. */
  get named(): number {
    return this.#named
  }

  /** All keys one after the other, and where each begins: for a checkpoint. */
  get packed(): { readonly bytes: Buffer; readonly starts: Float64Array } {
    return {
      bytes: this.#bytes.subarray(0, this.#starts[this.#count]),
      starts: this.#starts.subarray(0, this.#count + 1),
    }
  }

  /** Memory in use. */
  get size(): number {
    return this.#bytes.length + this.#starts.byteLength + this.#table.byteLength
  }

  /** Names a slot, the next one or a later one. The key now finds this slot. */
  add(key: string, slot: number): void {
    if (slot + 2 > this.#starts.length) {
      const bigger = new Float64Array(Math.max(slot + 2, this.#starts.length * 2))
      bigger.set(this.#starts)
      this.#starts = bigger
    }
    const start = this.#starts[this.#count]!
    // Slots in between are no vectors' (graph.ts: sparse ones take several numbers).
    for (let between = this.#count + 1; between <= slot; between++) this.#starts[between] = start
    const end = start + key.length
    if (end > this.#bytes.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.max(end, this.#bytes.length * 2))
      this.#bytes.copy(bigger, 0, 0, start)
      this.#bytes = bigger
    }
    this.#bytes.latin1Write(key, start)
    this.#starts[slot + 1] = end
    this.#count = slot + 1
    this.#named++
    this.#enter(key, slot)
  }

  /** The key of a slot, behind `prefix`. */
  key(slot: number): Key {
    return this.#bytes.latin1Slice(this.#starts[slot], this.#starts[slot + 1]) as Key
  }

  /** Whether the slot was named: it is a vector's. */
  has(slot: number): boolean {
    return this.#starts[slot + 1]! > this.#starts[slot]!
  }

  /** The newest slot of a key, unless it was forgotten. */
  find(key: string): number | undefined {
    const at = this.#place(key)
    const value = this.#table[at]!
    return value > 0 ? value - 1 : undefined
  }

  /** The same for the key that lies in `bytes` from `from` to before `to`. */
  findIn(bytes: Uint8Array, from: number, to: number): number | undefined {
    const table = this.#table
    const mask = table.length - 1
    let hash = SEED
    for (let i = from; i < to; i++) hash = step(hash, bytes[i]!)
    for (let at = mix(hash) & mask; ; at = (at + 1) & mask) {
      const value = table[at]!
      if (value === EMPTY) return undefined
      if (value !== REMOVED && this.#isIn(value - 1, bytes, from, to)) return value - 1
    }
  }

  /** The key finds nothing any more; its slots keep it. */
  forget(key: string): void {
    const at = this.#place(key)
    if (this.#table[at]! <= 0) return
    this.#table[at] = REMOVED
    this.#live--
  }

  #enter(key: string, slot: number): void {
    if ((this.#used + 1) * 3 > this.#table.length * 2) this.#rehash()
    const at = this.#place(key)
    const value = this.#table[at]!
    if (value === EMPTY) this.#used++
    if (value <= 0) this.#live++
    this.#table[at] = slot + 1
  }

  /** Where the key is, or the place to put it: the first removed one on its way, or the empty one at its end. */
  #place(key: string): number {
    const table = this.#table
    const mask = table.length - 1
    let free = -1
    for (let at = hashText(key) & mask; ; at = (at + 1) & mask) {
      const value = table[at]!
      if (value === EMPTY) return free >= 0 ? free : at
      if (value === REMOVED) {
        if (free < 0) free = at
      } else if (this.#isKey(value - 1, key)) return at
    }
  }

  #isKey(slot: number, key: string): boolean {
    const start = this.#starts[slot]!
    if (this.#starts[slot + 1]! - start !== key.length) return false
    const bytes = this.#bytes
    // Keys of one table differ at their ends.
    for (let i = key.length - 1; i >= 0; i--) if (bytes[start + i] !== key.charCodeAt(i)) return false
    return true
  }

  #isIn(slot: number, bytes: Uint8Array, from: number, to: number): boolean {
    const start = this.#starts[slot]!
    const length = to - from
    if (this.#starts[slot + 1]! - start !== length) return false
    const own = this.#bytes
    for (let i = length - 1; i >= 0; i--) if (own[start + i] !== bytes[from + i]) return false
    return true
  }

  #rehash(): void {
    const old = this.#table
    let length = old.length
    while ((this.#live + 1) * 2 > length) length *= 2
    this.#table = new Int32Array(length)
    this.#used = 0
    const mask = length - 1
    for (const value of old) {
      if (value <= 0) continue
      let at = this.#hashSlot(value - 1) & mask
      while (this.#table[at] !== EMPTY) at = (at + 1) & mask
      this.#table[at] = value
      this.#used++
    }
  }

  #hashSlot(slot: number): number {
    let hash = SEED
    for (let i = this.#starts[slot]!, end = this.#starts[slot + 1]!; i < end; i++) hash = step(hash, this.#bytes[i]!)
    return mix(hash)
  }
}

/** FNV-1a, its bits mixed at the end. */
const SEED = 0x811c9dc5
const step = (hash: number, byte: number): number => Math.imul(hash ^ byte, 0x01000193)
const mix = (hash: number): number => Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 1

function hashText(key: string): number {
  let hash = SEED
  for (let i = 0; i < key.length; i++) hash = step(hash, key.charCodeAt(i))
  return mix(hash)
}
