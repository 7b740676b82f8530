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

  /** A commit of many keys: anything may have been written at `at`. */
  recordMany(at: Timestamp): void {
    this.#floor = at
  }

  /** False: surely no write of the key after `at`. True: ask the engine. */
  mayBeNewer(key: Key, at: Timestamp): boolean {
    return at < this.#floor || this.#slots[slotOf(key)]! > at
  }
}

function slotOf(key: Key): number {
  let hash = 0x811c_9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x0100_0193)
  return (hash ^ (hash >>> 16)) & (SLOTS - 1)
}
