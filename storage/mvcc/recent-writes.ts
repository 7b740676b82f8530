/**
 * When was this key written last? A small table of timestamps by hash that answers "not after t" for most keys without
 * asking the engine; a collision or a large commit only makes it answer "perhaps".
 */
import type { Key, Timestamp } from '../keys/brand.ts'

const SLOTS = 1 << 16

export class RecentWrites {
  readonly #slots = new Float64Array(SLOTS)
  #floor: number

  /** Nothing is known about writes up to `since`. */
  constructor(since: Timestamp) {
    this.#floor = since
  }

  record(key: Key, at: Timestamp): void {
    this.#slots[slotOf(key)] = at
  }

  /** The same for a key given as bytes. */
  recordBytes(bytes: Uint8Array, from: number, to: number, at: Timestamp): void {
    let hash = HASH_START
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, HASH_FACTOR)
    this.#slots[slot(hash)] = at
  }

  /** A commit of many keys: anything may have been written at `at`. */
  recordMany(at: Timestamp): void {
    this.#floor = at
  }

  /** False: surely no write of the key after `at`. True: ask the engine. */
  mayBeNewer(key: Key, at: Timestamp): boolean {
    return at < this.#floor || this.#slots[slotOf(key)]! > at
  }
}

const HASH_START = 0x811c_9dc5
const HASH_FACTOR = 0x0100_0193
const slot = (hash: number): number => (hash ^ (hash >>> 16)) & (SLOTS - 1)

function slotOf(key: Key): number {
  let hash = HASH_START
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), HASH_FACTOR)
  return slot(hash)
}
