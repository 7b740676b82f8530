/**
 * The background work: old versions and dropped spans go in slices of one or two milliseconds between statements, once no
 * snapshot can see them. A slice is counted in keys and pages, not in time, so that a simulation repeats it exactly. A dropped span
 * is recorded as a row of the commit that dropped it, so it is found again after a restart, and only if that commit was:
 *
 *     /removal/<transaction>/<n> @ commit -> u32 length of from, from, to
 */
import { type Batch, type Engine, EngineError } from '../engine/engine.ts'
import { nextRow, rowKey, rowTimestamp, rowValue } from '../engine/page.ts'
import type { Key, Timestamp, TxnId } from '../keys/brand.ts'
import type { Clock } from '../keys/clock.ts'
import { indexPrefixLength, type KeySpan, prefixSpan, REMOVALS, removalKey, VERSIONED_SPANS } from '../keys/map.ts'
import { GarbageQueue, Sweep } from '../mvcc/garbage.ts'
import type { WriteBuffer } from '../mvcc/write-buffer.ts'
import type { Range } from '../range/range.ts'

/** Keys of the queue a slice (about 3 µs each), pages of a sweep (256 versions each). */
const SLICE_KEYS = 512
const SLICE_PAGES = 8
/** The same for VACUUM, where somebody waits. */
const COLLECT_PAGES = 32
/** Rows of a page when the recorded removals are read. */
const PAGE_ROWS = 256
/** A pause between slices; how soon after a commit the first one begins; how soon a blocked one looks again. */
const PAUSE_MS = 4
const DELAY_MS = 50
const BLOCKED_MS = 200
/** A commit of more keys has its indexes swept instead of its keys remembered. */
const REMEMBERED_MAX = 4096
/** Indexes that wait for a sweep; when there are more, everything is swept. */
const SWEEPS_MAX = 256

export interface RecordedRemoval {
  readonly record: Key
  readonly span: KeySpan
}
interface Removal extends RecordedRemoval {
  readonly at: Timestamp
}

export class Vacuum {
  readonly #engine: Engine
  readonly #range: Range
  readonly #clock: Clock
  readonly #watermark: () => Timestamp
  readonly #failed: (error: Error) => void
  readonly #queue = new GarbageQueue()
  readonly #removals: Removal[] = []
  /** By index prefix: the newest commit whose garbage is not in the queue. */
  #sweeps = new Map<Key, Timestamp>()
  #sweep: Sweep | undefined
  #cancel: (() => void) | undefined
  #isClosed = false

  /** `failed` hears of an error that background work met. */
  constructor(engine: Engine, range: Range, clock: Clock, watermark: () => Timestamp, failed: (error: Error) => void) {
    this.#failed = failed
    this.#engine = engine
    this.#range = range
    this.#clock = clock
    this.#watermark = watermark
    const records = engine.scan({ ...REMOVALS, at: range.visible })
    for (let page = records.next(PAGE_ROWS); page !== undefined; page = records.next(PAGE_ROWS)) {
      for (let o = 0; o < page.bytes; o = nextRow(page.buffer, o)) {
        const span = readSpan(rowValue(page.buffer, o))
        this.#removals.push({ record: rowKey(page.buffer, o), span, at: rowTimestamp(page.buffer, o) })
      }
    }
    records.close()
    if (this.#removals.length > 0) this.#schedule(DELAY_MS)
  }

  /** A commit that replaced or removed rows is visible. */
  committed(writes: WriteBuffer, at: Timestamp): void {
    const position = { leaf: 0, slot: 0 }
    if (writes.count > REMEMBERED_MAX) {
      this.#rememberIndexes(writes, at)
    } else {
      for (let entry = writes.entryAt(position); entry !== undefined; entry = writes.next(position)) {
        if (!this.#queue.add(writes.keyOf(entry), at, writes.isRemoval(entry))) {
          this.#rememberIndexes(writes, at)
          break
        }
      }
    }
    this.#schedule(DELAY_MS)
  }

  /** Leaps from index to index over the commit's keys. */
  #rememberIndexes(writes: WriteBuffer, at: Timestamp): void {
    const position = { leaf: 0, slot: 0 }
    for (let entry = writes.entryAt(position); entry !== undefined; ) {
      const key = writes.keyOf(entry)
      const prefix = key.slice(0, indexPrefixLength(key)) as Key
      this.#sweeps.set(prefix, at)
      writes.seek(position, prefixSpan(prefix).to)
      entry = writes.entryAt(position)
    }
    if (this.#sweeps.size > SWEEPS_MAX) this.#sweeps = new Map(VERSIONED_SPANS.map(({ from }) => [from, at]))
  }

  /** Records the removals among the writes of the commit that wants them; give the result to `removalsCommitted`. */
  recordRemovals(writes: WriteBuffer, spans: readonly KeySpan[], txn: TxnId): readonly RecordedRemoval[] {
    return spans.map((span, n) => {
      const record = removalKey(`${String(txn).padStart(16, '0')}/${n}`)
      writes.put(record, spanBytes(span))
      return { record, span }
    })
  }

  removalsCommitted(removals: readonly RecordedRemoval[], at: Timestamp): void {
    for (const removal of removals) this.#removals.push({ ...removal, at })
    this.#schedule(DELAY_MS)
  }

  #schedule(delayMs: number): void {
    if (this.#cancel !== undefined || this.#isClosed) return
    const run = () => {
      this.#cancel = undefined
      this.#slice()
    }
    this.#cancel = this.#clock.after(delayMs, run, 'background')
  }

  #slice(): void {
    try {
      this.#work()
    } catch (error) {
      // An engine that fails or is closed gets no more background work; what is left is found after a restart.
      this.#isClosed = true
      if (!(error instanceof EngineError) || error.reason !== 'closed') this.#failed(error as Error)
    }
  }

  #work(): void {
    const watermark = this.#watermark()
    let worked = false
    this.#range.write(
      (batch) => {
        this.#removeSpans(batch, watermark)
        this.#queue.collect(this.#engine, batch, watermark, SLICE_KEYS)
        this.#sweepSome(batch, watermark)
        worked = batch.count > 0
      },
      (error) => {
        // A store that failed takes no more writes: what is left is found by a later sweep.
        if (error === undefined && this.#hasWork()) this.#schedule(worked ? PAUSE_MS : BLOCKED_MS)
      },
    )
  }

  #hasWork(): boolean {
    return this.#queue.size > 0 || this.#removals.length > 0 || this.#sweeps.size > 0 || this.#sweep !== undefined
  }

  #removeSpans(batch: Batch, watermark: Timestamp): void {
    for (let i = 0; i < this.#removals.length; ) {
      const { record, span, at } = this.#removals[i]!
      if (at > watermark) {
        i++
        continue
      }
      batch.purgeRange(span.from, span.to)
      batch.purge(record, at)
      this.#removals.splice(i, 1)
    }
  }

  #sweepSome(batch: Batch, watermark: Timestamp): void {
    for (let pages = 0; pages < SLICE_PAGES; pages++) {
      if (this.#sweep === undefined) {
        const next = [...this.#sweeps].find(([, at]) => at <= watermark)
        if (next === undefined) return
        this.#sweeps.delete(next[0])
        this.#sweep = new Sweep(this.#engine, prefixSpan(next[0]), watermark)
      }
      this.#sweep.step(batch)
      if (this.#sweep.isFinished) {
        this.#sweep.close()
        this.#sweep = undefined
      }
    }
  }

  /** Sweeps spans whole, pausing between slices; returns the number of versions removed. */
  async collect(spans: readonly KeySpan[]): Promise<number> {
    let purged = 0
    for (const span of spans) {
      const sweep = new Sweep(this.#engine, span, this.#watermark())
      try {
        while (!sweep.isFinished) {
          await new Promise<void>((resolve, reject) => {
            this.#range.write(
              (batch) => {
                this.#removeSpans(batch, this.#watermark())
                for (let pages = 0; pages < COLLECT_PAGES && !sweep.isFinished; pages++) purged += sweep.step(batch)
              },
              (error) => (error === undefined ? this.#clock.after(0, resolve) : reject(error)),
            )
          })
        }
      } finally {
        sweep.close()
      }
    }
    return purged
  }

  close(): void {
    this.#isClosed = true
    this.#cancel?.()
    this.#sweep?.close()
  }
}

function spanBytes({ from, to }: KeySpan): Buffer {
  const out = Buffer.alloc(4 + from.length + to.length)
  out.writeUInt32LE(from.length, 0)
  out.latin1Write(from, 4)
  out.latin1Write(to, 4 + from.length)
  return out
}

function readSpan(bytes: Buffer): KeySpan {
  const end = 4 + bytes.readUInt32LE(0)
  return { from: bytes.latin1Slice(4, end) as Key, to: bytes.latin1Slice(end, bytes.length) as Key }
}
