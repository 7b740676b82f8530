/**
 * Keys of rows, packed one after the other: what another index names is asked of a vector index without a string for each.
 *
 *     bytes   | key 0 | key 1 | …        ends   where each ends
 */
import type { Key } from '../../storage/keys/brand.ts'

/** Shorter keys are copied here; the call that copies longer ones takes as long as twenty bytes. */
const SHORT = 24

export class RowList {
  #bytes: Buffer
  #ends: Uint32Array
  #count = 0

  constructor(rows = 64) {
    this.#bytes = Buffer.allocUnsafeSlow(rows * 16)
    this.#ends = new Uint32Array(rows)
  }

  static of(keys: readonly Key[]): RowList {
    const list = new RowList(Math.max(1, keys.length))
    for (const key of keys) list.addKey(key)
    return list
  }

  get count(): number {
    return this.#count
  }

  /** What lies between `start` and `end` of each. Valid until the next one is added. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  start(i: number): number {
    return i === 0 ? 0 : this.#ends[i - 1]!
  }

  end(i: number): number {
    return this.#ends[i]!
  }

  key(i: number): Key {
    return this.#bytes.latin1Slice(this.start(i), this.#ends[i]) as Key
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
    this.#bytes.latin1Write(key, this.#room(key.length))
  }

  /** Where the next key begins; there is room for it then. */
  #room(bytes: number): number {
    const start = this.#count === 0 ? 0 : this.#ends[this.#count - 1]!
    const end = start + bytes
    if (end > this.#bytes.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.max(end, this.#bytes.length * 2))
      this.#bytes.copy(bigger, 0, 0, start)
      this.#bytes = bigger
    }
    if (this.#count === this.#ends.length) {
      const bigger = new Uint32Array(this.#count * 2)
      bigger.set(this.#ends)
      this.#ends = bigger
    }
    this.#ends[this.#count++] = end
    return start
  }
}
