/**
 * A range: a span of the key space with a log under it. It turns a transaction's buffered writes into a batch at a commit
 * timestamp, hands it to the log, and knows which commits everyone may see.
 *
 *     timestamps given   17   18   19   20
 *     durable, applied   yes  yes  …    yes          visible = 18: everything at or below it is applied
 *
 * A snapshot is the newest such timestamp, so a reader never sees a commit that is not durable, nor one without those
 * before it. A commit is acknowledged once it is visible.
 */
import { type Batch, type Engine, EngineError } from '../engine/engine.ts'
import { type Key, type NodeId, type RangeId, type Timestamp, timestamp } from '../keys/brand.ts'
import { type Clock, createTimestamps, type Timestamps } from '../keys/clock.ts'
import { invariant } from '../keys/invariant.ts'
import { systemKey } from '../keys/map.ts'
import { loadsOf } from '../mvcc/own-writes.ts'
import type { Reads } from '../mvcc/reads.ts'
import { RecentWrites } from '../mvcc/recent-writes.ts'
import type { Position, WriteBuffer } from '../mvcc/write-buffer.ts'
import { KvError } from './errors.ts'
import { Feed } from './feed.ts'
import type { OpenLog, RangeLog } from './log.ts'
import { openMachine } from './machine.ts'

/** The clock's high-water mark is written so far ahead: one more put in a commit every few seconds, none in the others. */
const CLOCK_AHEAD = 3000 * 4096
/** A transaction id's likewise. */
const IDS_AHEAD = 65_536
/** A commit of more writes does not enter its keys in the table of recent writes. */
const RECENT_WRITES_MAX = 4096
/** A large commit becomes a batch in slices of so many writes (about 2 ms), between which everything but commits goes on. */
const SLICE_WRITES = 4096
/** A commit of so many bytes goes to the log as sorted rows, where the log can take them. */
const INGEST_BYTES = 32 << 20
const INGEST_PAGE_BYTES = 128 << 10
/** A batch of more bytes is not kept for the next commit. */
const KEPT_BATCH_BYTES = 1 << 20

/** What a commit asks of the range. */
export interface Commit {
  readonly writes: WriteBuffer | undefined
  /** SERIALIZABLE: what was read at `snapshot`, to be checked once the timestamp is taken. */
  readonly reads?: Reads | undefined
  readonly snapshot: Timestamp
  /** Unversioned puts that go with it, or before it. */
  readonly addTo?: ((batch: Batch) => void) | undefined
}

class InFlight {
  readonly at: Timestamp
  readonly writes: WriteBuffer | undefined
  readonly done: (error: KvError | undefined, at: Timestamp) => void
  isSettled = false
  error: KvError | undefined
  next: InFlight | undefined

  constructor(
    at: Timestamp,
    writes: WriteBuffer | undefined,
    done: (error: KvError | undefined, at: Timestamp) => void,
  ) {
    this.at = at
    this.writes = writes
    this.done = done
  }
}

export interface RangeOptions {
  readonly id: RangeId
  readonly engine: Engine
  readonly clock: Clock
  readonly replicas: readonly NodeId[]
  readonly openLog: OpenLog
}

export async function openRange(options: RangeOptions): Promise<Range> {
  const range = new Range(options)
  await range.open(options.openLog, options.replicas)
  return range
}

export class Range {
  readonly id: RangeId
  readonly feed = new Feed()
  readonly #engine: Engine
  readonly #timestamps: Timestamps
  readonly #recent: RecentWrites
  readonly #clock: Clock
  #batch: Batch
  readonly #clockKey: Key
  readonly #commitKey: Key
  /** Undefined until `open`, and while a log replays its entries there. */
  #log: RangeLog | undefined
  #isReplicated = false
  #visible: Timestamp
  #clockHigh: number
  #idsHigh: number
  #nextId: number
  #oldestInFlight: InFlight | undefined
  #newestInFlight: InFlight | undefined
  readonly #idle: (() => void)[] = []
  /** A large commit is being turned into a batch; what else wants to be appended waits in order. */
  #isBusy = false
  #queued: (() => void)[] = []

  constructor({ id, engine, clock }: RangeOptions) {
    this.id = id
    this.#engine = engine
    this.#batch = engine.createBatch()
    this.#clockKey = systemKey(`range/${id}/clock`)
    this.#commitKey = systemKey(`range/${id}/commit`)
    this.#clock = clock
    this.#timestamps = createTimestamps(clock)
    const stored = engine.getRaw('state', this.#clockKey)
    this.#clockHigh = stored === undefined ? 0 : stored.readDoubleLE(0)
    this.#idsHigh = this.#nextId = stored === undefined ? 0 : stored.readDoubleLE(8)
    // Every timestamp given before a restart is below the mark, so this one is above all that is stored.
    this.#timestamps.observe(timestamp(this.#clockHigh))
    this.#visible = this.#timestamps.next()
    this.#recent = new RecentWrites(this.#visible)
  }

  async open(openLog: OpenLog, replicas: readonly NodeId[]): Promise<void> {
    this.#isReplicated = replicas.length > 1
    const machine = openMachine(this.#engine, `range/${this.id}`, () => this.#follow())
    this.#log = await openLog(this.id, replicas, machine)
  }

  /** The newest snapshot: every commit at or below it is applied and durable. */
  get visible(): Timestamp {
    return this.#visible
  }

  /** Transaction ids grow, also over restarts. */
  nextTxnId(): number {
    return ++this.#nextId
  }

  /** False when no version of the key was committed after `at`. Cheap; ask about keys whose lock is held. */
  isNewerThan(key: Key, at: Timestamp): boolean {
    if (!this.#recent.mayBeNewer(key, at)) return false
    const newest = this.#engine.newest(key)
    return newest !== undefined && newest.timestamp > at
  }

  /**
   * Gives the commit a timestamp, checks its reads, and appends it. `done` is called once: when it is visible, or with
   * the KvError that ended it (read-conflict: nothing was appended).
   */
  commit(commit: Commit, done: (error: KvError | undefined, at: Timestamp) => void): void {
    if (this.#isBusy) {
      this.#queued.push(() => this.commit(commit, done))
      return
    }
    const { writes } = commit
    const at = this.#timestamps.next()
    const conflict = commit.reads === undefined ? undefined : this.#changedRead(commit.reads, commit.snapshot)
    if (conflict !== undefined) {
      done(new KvError({ kind: 'read-conflict', key: conflict }), at)
      return
    }
    const batch = this.#batch
    batch.clear()
    commit.addTo?.(batch)
    if (at >= this.#clockHigh || this.#nextId >= this.#idsHigh) this.#raiseClock(batch, at)
    if (this.#isReplicated) batch.putRaw('state', this.#commitKey, doubles(at))
    const entry = new InFlight(at, writes, done)
    if (writes === undefined) {
      this.#append(batch, entry)
    } else if (writes.bytes >= INGEST_BYTES && this.#openLog().ingest) {
      this.#ingest(writes, batch, entry)
    } else if (writes.count <= SLICE_WRITES) {
      this.#evaluate(writes, { leaf: 0, slot: 0 }, batch, at)
      this.#append(batch, entry)
    } else {
      this.#isBusy = true
      this.#evaluateSlowly(writes, { leaf: 0, slot: 0 }, entry)
    }
  }

  /** The state that goes along is made durable first: a sequence or clock that is ahead of its commit does no harm. */
  #ingest(writes: WriteBuffer, state: Batch, entry: InFlight): void {
    const log = this.#openLog()
    const ingest = () => {
      log.ingest?.(loadsOf(writes, INGEST_PAGE_BYTES), entry.at, (error) => this.#settle(entry, error))
    }
    this.#recent.recordMany(entry.at)
    this.#enqueue(entry)
    if (state.count === 0) ingest()
    else log.append(state, (error) => (error === undefined ? ingest() : this.#settle(entry, error)))
  }

  /** Appends what carries no versions of its own (garbage collection, unversioned state). */
  write(fill: (batch: Batch) => void, done: (error: KvError | undefined) => void): void {
    if (this.#isBusy) {
      this.#queued.push(() => this.write(fill, done))
      return
    }
    const batch = this.#batch
    batch.clear()
    fill(batch)
    if (batch.count === 0) {
      done(undefined)
      return
    }
    this.#append(batch, new InFlight(this.#timestamps.next(), undefined, done))
  }

  #raiseClock(batch: Batch, at: Timestamp): void {
    this.#clockHigh = at + CLOCK_AHEAD
    this.#idsHigh = this.#nextId + IDS_AHEAD
    batch.putRaw('state', this.#clockKey, doubles(this.#clockHigh, this.#idsHigh))
  }

  /** Adds at most SLICE_WRITES writes from the position on; false when that was the last one. */
  #evaluate(writes: WriteBuffer, position: Position, batch: Batch, at: Timestamp): boolean {
    const recent = writes.count > RECENT_WRITES_MAX ? undefined : this.#recent
    let left = SLICE_WRITES
    for (let entry = writes.entryAt(position); entry !== undefined; entry = writes.next(position)) {
      if (left-- === 0) return true
      const bytes = writes.bufferOf(entry)
      const start = writes.keyStart(entry)
      const keyBytes = writes.keyLength(entry)
      batch.putBytes(bytes, start, keyBytes, writes.valueLength(entry), at)
      recent?.recordBytes(bytes, start, start + keyBytes, at)
    }
    return false
  }

  /** Commits that come meanwhile wait their turn: their timestamps, and so their places in the log, are later. */
  #evaluateSlowly(writes: WriteBuffer, position: Position, entry: InFlight): void {
    if (this.#evaluate(writes, position, this.#batch, entry.at)) {
      this.#clock.after(0, () => this.#evaluateSlowly(writes, position, entry))
      return
    }
    this.#recent.recordMany(entry.at)
    this.#isBusy = false
    this.#append(this.#batch, entry)
    const queued = this.#queued
    this.#queued = []
    for (const run of queued) run()
  }

  #enqueue(entry: InFlight): void {
    if (this.#newestInFlight === undefined) this.#oldestInFlight = entry
    else this.#newestInFlight.next = entry
    this.#newestInFlight = entry
  }

  #append(batch: Batch, entry: InFlight): void {
    this.#enqueue(entry)
    this.#openLog().append(batch, (error) => this.#settle(entry, error))
    if (batch.bytes > KEPT_BATCH_BYTES) this.#batch = this.#engine.createBatch()
  }

  #settle(entry: InFlight, error: Error | undefined): void {
    entry.isSettled = true
    entry.error = error === undefined ? undefined : kvError(error)
    for (let head = this.#oldestInFlight; head?.isSettled; head = this.#oldestInFlight) {
      this.#oldestInFlight = head.next
      if (head.next === undefined) this.#newestInFlight = undefined
      if (head.error === undefined) {
        if (head.writes !== undefined) this.feed.committed(head.at, head.writes)
        this.#visible = head.at
      }
      head.done(head.error, head.at)
    }
    if (this.#oldestInFlight === undefined && !this.#isBusy && this.#idle.length > 0)
      for (const idle of this.#idle.splice(0)) idle()
  }

  /** Everything that was read must be as it was at the snapshot, in the store and in every commit on its way. */
  #changedRead(reads: Reads, snapshot: Timestamp): Key | undefined {
    for (const key of reads.keys) {
      if (this.isNewerThan(key, snapshot) || this.#isInFlight((writes) => writes.has(key))) return key
    }
    for (const { from, to } of reads.spans) {
      if (from >= to) continue
      if (
        this.#engine.changedSince(from, to, snapshot) ||
        this.#isInFlight((writes) => writes.anyIn(from, to, false))
      ) {
        return from
      }
    }
    return undefined
  }

  #isInFlight(touches: (writes: WriteBuffer) => boolean): boolean {
    for (let entry = this.#oldestInFlight; entry !== undefined; entry = entry.next) {
      if (entry.writes !== undefined && touches(entry.writes)) return true
    }
    return false
  }

  /** Resolves when no commit is on its way. */
  idle(): Promise<void> {
    if (this.#oldestInFlight === undefined && !this.#isBusy) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  async close(): Promise<void> {
    await this.idle()
    await this.#openLog().close()
  }

  #openLog(): RangeLog {
    invariant(this.#log !== undefined, 'the range is not open')
    return this.#log
  }

  /** A follower sees what it has applied: the newest commit's timestamp comes with the batches. */
  #follow(): void {
    if (this.#log?.role().kind === 'leader') return
    const newest = this.#engine.getRaw('state', this.#commitKey)
    if (newest === undefined) return
    const at = timestamp(newest.readDoubleLE(0))
    this.#timestamps.observe(at)
    if (at > this.#visible) this.#visible = at
    this.#recent.recordMany(at)
  }
}

function doubles(...numbers: readonly number[]): Buffer {
  const value = Buffer.alloc(numbers.length * 8)
  for (const [i, n] of numbers.entries()) value.writeDoubleLE(n, i * 8)
  return value
}

function kvError(error: Error): KvError {
  if (error instanceof KvError) return error
  if (error instanceof EngineError) return new KvError({ kind: 'engine', reason: error.reason }, error.message)
  return new KvError({ kind: 'commit-unknown' }, error.message)
}
