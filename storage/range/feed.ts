/**
 * The feed: what each commit wrote under some prefixes, told to those who keep something derived from it, in the order of
 * commits and just before anyone can take a snapshot that sees it. Whoever follows must be quick: commits wait meanwhile.
 *
 *     commit 17 is applied → followers of the prefixes it wrote under → visible = 17 → its client is told
 */
import type { Key, Timestamp } from '../keys/brand.ts'
import { successor } from '../keys/map.ts'
import type { Position, WriteBuffer, WritesMark } from '../mvcc/write-buffer.ts'

/** A commit's writes under one prefix; valid during the call. */
export interface Changes {
  /** There are no more than this. */
  readonly most: number
  /** In key order; undefined: removed. `value` is valid during the call. */
  each(visit: (key: Key, value: Uint8Array | undefined) => void): void
  /** Whether they are what was there when the mark was made; false also where that is not quickly seen. */
  isAsAt(mark: WritesMark): boolean
  /** The same for later: what is too much for one call. Holds the memory of the commit's writes until it is forgotten. */
  keep(): KeptChanges
}

export interface KeptChanges {
  /** The next ones in key order, at most `count`; false: there are no more behind them. */
  next(count: number, visit: (key: Key, value: Uint8Array | undefined) => void): boolean
}
export type Follower = (at: Timestamp, changes: Changes) => void

interface Following {
  readonly prefix: Key
  /** The first key behind those of the prefix. */
  readonly to: Key
  readonly follower: Follower
}

export class Feed {
  readonly #all = new Map<Key, Following>()

  /** One follower a prefix. Returns what ends it. */
  follow(prefix: Key, follower: Follower): () => void {
    const following = { prefix, to: successor(prefix), follower }
    this.#all.set(prefix, following)
    return () => {
      if (this.#all.get(prefix) === following) this.#all.delete(prefix)
    }
  }

  committed(at: Timestamp, writes: WriteBuffer): void {
    if (this.#all.size === 0) return
    for (const { prefix, to, follower } of this.#all.values())
      if (writes.anyIn(prefix, to, false)) follower(at, new WrittenUnder(writes, prefix))
  }
}

class WrittenUnder implements Changes {
  readonly #writes: WriteBuffer
  readonly #prefix: Key

  constructor(writes: WriteBuffer, prefix: Key) {
    this.#writes = writes
    this.#prefix = prefix
  }

  get most(): number {
    return this.#writes.count
  }

  each(visit: (key: Key, value: Uint8Array | undefined) => void): void {
    eachWrite(this.#writes, this.#prefix, undefined, visit)
  }

  keep(): KeptChanges {
    const writes = this.#writes
    writes.isKept = true
    const position: Position = { leaf: 0, slot: 0 }
    const to = successor(this.#prefix)
    writes.seek(position, this.#prefix)
    return {
      next(count, visit) {
        for (let n = 0; n < count; n++) {
          const entry = writes.entryAt(position)
          if (entry === undefined || writes.compareEntry(entry, to) >= 0) return false
          visit(writes.keyOf(entry), writes.isRemoval(entry) ? undefined : writes.valueOf(entry))
          position.slot++
        }
        return true
      },
    }
  }

  isAsAt(mark: WritesMark): boolean {
    return !this.#writes.writtenSince(mark, this.#prefix, successor(this.#prefix))
  }
}

/** Writes under the prefix in key order; `hidden`: those from that address on stay out. */
export function eachWrite(
  writes: WriteBuffer,
  prefix: Key,
  hidden: number | undefined,
  visit: (key: Key, value: Uint8Array | undefined) => void,
): void {
  const position: Position = { leaf: 0, slot: 0 }
  const to = successor(prefix)
  writes.seek(position, prefix)
  for (let at = writes.entryAt(position); at !== undefined; at = writes.next(position)) {
    if (writes.compareEntry(at, to) >= 0) break
    const entry = hidden === undefined ? at : writes.asOf(at, hidden)
    if (entry !== undefined) visit(writes.keyOf(entry), writes.isRemoval(entry) ? undefined : writes.valueOf(entry))
  }
}
