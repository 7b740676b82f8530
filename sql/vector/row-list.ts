/**
 * Keys of rows, packed one after the other: what another index names is asked of a vector index without a string for each.
 *
 *     bytes   | key 0 | key 1 | …        starts   where each begins, and where the last one ends
 *
 * Its memory lies outside the JavaScript heap, where making and giving up some for each search would have V8 collect its whole heap
 * again and again: whoever is done with a list releases it, and the next one has its memory.
 */
import type { Key } from '../../storage/keys/brand.ts'

/** Shorter keys are copied here; the call that copies longer ones takes as long as twenty bytes. */
const SHORT = 24

/** So much of what was released is kept. */
const SPARE_BYTES = 1 << 20

interface Room {
  readonly bytes: Buffer
  readonly starts: Uint32Array
}
let spare: Room | undefined

export class RowList {
  #bytes: Buffer
  #starts: Uint32Array
  #count = 0

  constructor(rows = 64) {
    if (spare !== undefined) {
      this.#bytes = spare.bytes
      this.#starts = spare.starts
      spare = undefined
      return
    }
    this.#bytes = Buffer.allocUnsafeSlow(rows * 16)
    this.#starts = new Uint32Array(rows + 1)
  }

  static of(keys: readonly Key[]): RowList {
    const list = new RowList(Math.max(1, keys.length))
    for (const key of keys) list.addKey(key)
    return list
  }

  get count(): number {
    return this.#count
  }

  /** Key i lies between start i and start i + 1. Valid until the next one is added, or the list is released. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  get starts(): Uint32Array {
    return this.#starts
  }

  key(i: number): Key {
    return this.#bytes.latin1Slice(this.#starts[i], this.#starts[i + 1]) as Key
  }

  /** Strings of the rows from `from` to before `to`. */
  keys(from = 0, to = this.#count): Key[] {
    const keys = new Array<Key>(to - from)
    for (let i = from; i < to; i++) keys[i - from] = this.key(i)
    return keys
  }

  /** The key that lies in a buffer from `from` to before `to`. */
  add(buffer: Buffer, from: number, to: number): void {
    const start = this.#room(to - from)
    const bytes = this.#bytes
    if (to - from > SHORT) buffer.copy(bytes, start, from, to)
    else for (let at = start, i = from; i < to; i++, at++) bytes[at] = buffer[i]!
  }

  addKey(key: Key): void {
    const start = this.#room(key.length)
    this.#bytes.latin1Write(key, start)
  }

  /** Empties the list for good; another one has its memory. */
  release(): void {
    const room = { bytes: this.#bytes, starts: this.#starts }
    this.#count = 0
    this.#bytes = NOTHING
    this.#starts = NO_STARTS
    if (room.bytes.length + room.starts.byteLength <= SPARE_BYTES && room.bytes.length > 0) spare = room
  }

  /** Where the next key begins; there is room for it then. */
  #room(bytes: number): number {
    const count = this.#count
    if (count + 1 >= this.#starts.length) {
      const bigger = new Uint32Array(count * 2 + 2)
      bigger.set(this.#starts)
      this.#starts = bigger
    }
    const start = this.#starts[count]!
    const end = start + bytes
    if (end > this.#bytes.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.max(end, this.#bytes.length * 2))
      this.#bytes.copy(bigger, 0, 0, start)
      this.#bytes = bigger
    }
    this.#starts[count + 1] = end
    this.#count = count + 1
    return start
  }
}

const NOTHING = Buffer.alloc(0)
const NO_STARTS = new Uint32Array(1)
