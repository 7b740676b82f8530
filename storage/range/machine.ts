/**
 * What a log calls back: it applies agreed batches to the range's keys, and copies the whole range to a new member.
 *
 * A snapshot is a sequence of serialized batches, about 1 MiB each: first the unversioned state, then every version in key
 * order. Commits that are applied while it is being read may be in it or not; they come again from the log, and putting
 * the same version twice changes nothing.
 */
import { WriteBatch } from '../engine/batch.ts'
import type { Batch, Engine } from '../engine/engine.ts'
import { nextRow, rowKey, rowTimestamp, rowValue, valueBytes } from '../engine/page.ts'
import { type Key, type LogIndex, logIndex, type Timestamp } from '../keys/brand.ts'
import { FIRST_KEY, LAST_KEY, sequenceSpan, systemKey, systemSpan } from '../keys/map.ts'
import type { RangeMachine } from './log.ts'

const SNAPSHOT_BATCH_BYTES = 1 << 20
const SNAPSHOT_ROWS = 1024
const NEWEST = Number.MAX_SAFE_INTEGER as Timestamp

/** Unversioned keys that belong to the range and travel with it. */
const STATE_SPANS = [systemSpan(''), sequenceSpan()]

/** `applied` is called after every apply and restore. */
export function openMachine(engine: Engine, rangeName: string, applied: () => void): RangeMachine {
  const appliedKey = systemKey(`${rangeName}/applied`)

  const write = (
    batch: Batch,
    durability: 'synced' | 'buffered',
    upTo: LogIndex,
    done: (error: Error | undefined) => void,
  ) => {
    batch.putRaw('state', appliedKey, indexBytes(upTo))
    engine.writeThen(batch, durability, (error) => {
      if (error === undefined) applied()
      done(error)
    })
  }

  return {
    appliedIndex: () => logIndex(engine.getRaw('state', appliedKey)?.readDoubleLE(0) ?? 0),

    apply(upTo, batches, done) {
      const all = engine.createBatch()
      for (const batch of batches) all.append(batch)
      // The log holds the entries until they are durable here, so this write need not wait for the disk.
      write(all, 'buffered', upTo, done)
    },

    async *snapshot() {
      const state = engine.createBatch()
      for (const { from, to } of STATE_SPANS) {
        for (const [key, value] of engine.scanRaw('state', from, to))
          if (key !== appliedKey) state.putRaw('state', key, value)
      }
      yield Buffer.from(state.serialize())
      yield* versions(engine)
    },

    async restore(upTo, chunks) {
      const empty = engine.createBatch()
      empty.purgeRange(FIRST_KEY, LAST_KEY)
      for (const { from, to } of STATE_SPANS) {
        for (const [key] of engine.scanRaw('state', from, to)) empty.deleteRaw('state', key)
      }
      await engine.write(empty, 'buffered')
      for await (const chunk of chunks) await engine.write(WriteBatch.from(chunk), 'buffered')
      const last = engine.createBatch()
      await new Promise<void>((resolve, reject) => {
        write(last, 'synced', upTo, (error) => (error === undefined ? resolve() : reject(error)))
      })
    },
  }
}

async function* versions(engine: Engine): AsyncGenerator<Uint8Array> {
  const batch = engine.createBatch()
  const scanner = engine.scan({ from: FIRST_KEY, to: LAST_KEY, at: NEWEST, versions: true })
  try {
    for (let page = scanner.next(SNAPSHOT_ROWS); page !== undefined; page = scanner.next(SNAPSHOT_ROWS)) {
      const { buffer } = page
      for (let o = 0; o < page.bytes; o = nextRow(buffer, o)) {
        const key: Key = rowKey(buffer, o)
        const at = rowTimestamp(buffer, o)
        if (valueBytes(buffer, o) === 0) batch.remove(key, at)
        else batch.put(key, at, rowValue(buffer, o))
      }
      if (batch.bytes >= SNAPSHOT_BATCH_BYTES) {
        yield Buffer.from(batch.serialize())
        batch.clear()
      }
    }
    if (batch.count > 0) yield Buffer.from(batch.serialize())
  } finally {
    scanner.close()
  }
}

function indexBytes(index: LogIndex): Buffer {
  const value = Buffer.alloc(8)
  value.writeDoubleLE(index, 0)
  return value
}
