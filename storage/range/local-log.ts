/**
 * A log of one: an entry is durable and applied as soon as the engine has written it. There is no log beside the engine's
 * own write-ahead log, and no applied index; when a second member joins, its history begins with a snapshot.
 */
import type { Batch, Engine, Entries, Page } from '../engine/engine.ts'
import { type LogIndex, logIndex, type Timestamp, term } from '../keys/brand.ts'
import { KvError } from './errors.ts'
import type { LogRole, OpenLog, RangeLog } from './log.ts'

/** The topology of embedded and single-node databases. */
export function openLocalLog(engine: Engine): OpenLog {
  return async () => new LocalLog(engine)
}

const LEADER: LogRole = { kind: 'leader', term: term(1) }

class LocalLog implements RangeLog {
  readonly #engine: Engine
  #appended = 0
  #written = 0
  #drained: (() => void) | undefined

  constructor(engine: Engine) {
    this.#engine = engine
  }

  role(): LogRole {
    return LEADER
  }

  append(batch: Batch, done: (error: Error | undefined, index: LogIndex) => void): void {
    const index = logIndex(++this.#appended)
    this.#engine.writeThen(batch, 'synced', (error) => {
      if (++this.#written === this.#appended) this.#drained?.()
      done(error, index)
    })
  }

  /** A file of its own: no write-ahead log, no memtable; a third of a batch's time. */
  ingest(
    rows: Iterable<Page | Entries>,
    at: Timestamp,
    done: (error: Error | undefined, index: LogIndex) => void,
  ): void {
    const index = logIndex(++this.#appended)
    const finish = (error: Error | undefined) => {
      if (++this.#written === this.#appended) this.#drained?.()
      done(error, index)
    }
    this.#engine.ingest(rows, at).then(() => finish(undefined), finish)
  }

  readBarrier(): undefined {
    return undefined
  }

  async changeReplicas(): Promise<void> {
    throw new KvError({ kind: 'not-leader', leader: undefined }, 'a log of one has no other members')
  }

  /** Resolves when everything appended was written. */
  async close(): Promise<void> {
    if (this.#written < this.#appended) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve
      })
    }
  }
}
