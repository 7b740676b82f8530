/**
 * Old versions and who removes them. A commit that replaced or removed rows leaves its keys here; once no snapshot is
 * older than the commit, the version before it can go, and a deletion mark with all that lies under it. What does not fit
 * in the queue is found by a sweep, which walks every version of a span.
 *
 *     k @ 9   k @ 4   k @ 2        oldest snapshot 5: k@2 goes          oldest snapshot 9: k@4 and k@2 go
 */
import type { Batch, Engine, Scanner } from '../engine/engine.ts'
import { isSameKey, nextRow, rowKey, rowTimestamp, valueBytes } from '../engine/page.ts'
import { type Key, type Timestamp, timestamp } from '../keys/brand.ts'
import { type KeySpan, successor } from '../keys/map.ts'

/** Keys that are remembered one by one, about 100 bytes each. */
const QUEUE_MAX = 65_536
const NEWEST = Number.MAX_SAFE_INTEGER as Timestamp
const SWEEP_ROWS = 256

interface Superseded {
  readonly key: Key
  readonly at: Timestamp
  readonly removed: boolean
}

/** Keys whose older versions can go one day, oldest commit first. */
export class GarbageQueue {
  #queue: (Superseded | undefined)[] = []
  #first = 0

  get size(): number {
    return this.#queue.length - this.#first
  }

  /** False when the queue is full: a sweep has to find it. */
  add(key: Key, at: Timestamp, removed: boolean): boolean {
    if (this.size >= QUEUE_MAX) return false
    this.#queue.push({ key, at, removed })
    return true
  }

  /** The commit that waits longest. */
  oldest(): Timestamp | undefined {
    return this.#queue[this.#first]?.at
  }

  /** Adds the purges of at most `keys` keys to the batch, as far as the watermark allows; returns their number. */
  collect(engine: Engine, batch: Batch, watermark: Timestamp, keys: number): number {
    let purged = 0
    for (let n = 0; n < keys && this.#first < this.#queue.length; n++) {
      const entry = this.#queue[this.#first]!
      if (entry.at > watermark) break
      this.#queue[this.#first++] = undefined
      purged += entry.removed ? purgeHistory(engine, batch, entry) : purgePrevious(engine, batch, entry)
    }
    if (this.#first > 4096 && this.#first * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first)
      this.#first = 0
    }
    return purged
  }
}

/** An update: the one version before it (the versions before that one had their own updates in the queue). */
function purgePrevious(engine: Engine, batch: Batch, { key, at }: Superseded): number {
  const previous = engine.get(key, timestamp(at - 1))
  if (previous === undefined) return 0
  batch.purge(key, previous.timestamp)
  return 1
}

/** A deletion: the mark goes only together with everything under it, or an old version would come back. */
function purgeHistory(engine: Engine, batch: Batch, { key, at }: Superseded): number {
  let purged = 0
  const scanner = engine.scan({ from: key, to: successor(key), at, versions: true })
  for (let page = scanner.next(SWEEP_ROWS); page !== undefined; page = scanner.next(SWEEP_ROWS)) {
    for (let o = 0; o < page.bytes; o = nextRow(page.buffer, o)) {
      batch.purge(key, rowTimestamp(page.buffer, o))
      purged++
    }
  }
  scanner.close()
  return purged
}

/**
 * A walk over every version of a span, in steps. A key's versions go all at once, when the walk has left it: a deletion
 * mark must not go before what it hides.
 */
export class Sweep {
  readonly #scanner: Scanner
  readonly #watermark: Timestamp
  /** The key at work: known at a page's border, and once one of its versions is doomed. */
  #key: Key | undefined
  /** The version that a reader at the watermark sees has been met. */
  #isSettled = false
  /** Versions of the current key that nobody can see. */
  readonly #doomed: Timestamp[] = []
  isFinished = false

  constructor(engine: Engine, span: KeySpan, watermark: Timestamp) {
    this.#scanner = engine.scan({ from: span.from, to: span.to, at: NEWEST, versions: true })
    this.#watermark = watermark
  }

  /** Adds the purges of one page to the batch; returns their number. */
  step(batch: Batch): number {
    const page = this.#scanner.next(SWEEP_ROWS)
    let purged = 0
    if (page === undefined) {
      this.isFinished = true
      return this.#endKey(batch)
    }
    const { buffer, bytes } = page
    let before = -1
    for (let o = 0; o < bytes; before = o, o = nextRow(buffer, o)) {
      if (before < 0 ? rowKey(buffer, o) !== this.#key : !isSameKey(buffer, before, o)) {
        if (this.#doomed.length > 0) purged += this.#endKey(batch)
        this.#isSettled = false
      }
      const at = rowTimestamp(buffer, o)
      if (at > this.#watermark) continue
      if (this.#isSettled || valueBytes(buffer, o) === 0) {
        if (this.#doomed.length === 0) this.#key = rowKey(buffer, o)
        this.#doomed.push(at)
      }
      this.#isSettled = true
    }
    if (this.#doomed.length === 0) this.#key = rowKey(buffer, before)
    return purged
  }

  #endKey(batch: Batch): number {
    const purged = this.#doomed.length
    for (const at of this.#doomed) batch.purge(this.#key!, at)
    this.#doomed.length = 0
    return purged
  }

  close(): void {
    this.#scanner.close()
  }
}
