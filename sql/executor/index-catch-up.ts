/**
 * Filling an index that writers maintain already (CREATE INDEX CONCURRENTLY), one batch of rows a transaction:
 *
 *     keys of the next rows → for each: lock the row against writers (not against readers) → what it is now → its entry,
 *     unless a writer has added it
 *
 * A locked row does not change until the batch commits, and whoever changes it later finds its entry there. Rows that a
 * writer holds are left for the end, each with a transaction of its own that waits for it, so that nobody waits for rows
 * of a batch that itself waits.
 */
import type { Key } from '../../storage/keys/brand.ts'
import { PAGE_HEADER_BYTES, type Span } from '../../storage/kv/kv.ts'
import { rowSpan } from '../access/keys.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import type { CompileEnv } from './env.ts'
import { duplicated } from './modify-index.ts'
import { IndexRun } from './modify-rows.ts'
import { indexWriter, tableWriter } from './modify-table.ts'
import { type Execution, Pause, SLICE_OVER } from './operator.ts'

/** Rows of a batch: their locks are held until it has committed. */
const BATCH = 2000

export interface CaughtUp {
  /** Where the next batch begins; undefined: that was the last. */
  readonly next: Key | undefined
  /** Rows of this batch that others hold. */
  readonly held: readonly Key[]
}

/** Adds what is missing for the rows from `from` on; undefined: from the first. Throws 23505 when a unique index cannot be. */
export function* catchUp(
  x: Execution,
  env: CompileEnv,
  table: RelationRow,
  index: RelationRow,
  from: Key | undefined,
): Generator<Pause, CaughtUp, undefined> {
  const span = rowSpan(x.catalog.databaseOid, table)
  const keys = keysOf(x, from === undefined ? span : { from, to: span.to })
  const held = yield* addMissing(x, env, table, index, keys, false)
  // The least key above the last one.
  return { next: keys.length < BATCH ? undefined : (`${keys.at(-1)!}\0` as Key), held }
}

function keysOf(x: Execution, span: Span): Key[] {
  const keys: Key[] = []
  const scanner = x.txn.scanNewest(span)
  try {
    while (keys.length < BATCH) {
      const page = scanner.next(BATCH - keys.length)
      if (page === undefined) break
      const { buffer, bytes } = page
      for (let o = 0; o < bytes; ) {
        const at = o + PAGE_HEADER_BYTES + buffer.readUInt32LE(o)
        keys.push(buffer.latin1Slice(o + PAGE_HEADER_BYTES, at) as Key)
        o = at + buffer.readUInt32LE(o + 4)
      }
    }
  } finally {
    scanner.close()
  }
  return keys
}

/** Adds the entries of these rows. Answers those that could not be locked; with `wait` there are none. */
export function* addMissing(
  x: Execution,
  env: CompileEnv,
  table: RelationRow,
  index: RelationRow,
  keys: readonly Key[],
  wait: boolean,
): Generator<Pause, Key[], undefined> {
  const { txn } = x
  const writer = tableWriter(table, env)
  const run = new IndexRun(indexWriter(table, index, { ...env, mode: 'often' }), writer.prefix.length, x)
  const held: Key[] = []
  function* locked(key: Key, strength: 'share' | 'update'): Generator<Pause, boolean, undefined> {
    let granted = txn.lock(key, strength, wait ? 'wait' : 'skip')
    while (granted instanceof Promise) {
      yield new Pause(granted)
      granted = txn.lock(key, strength, wait ? 'wait' : 'skip')
    }
    return granted !== false
  }
  for (const key of keys) {
    if (!(yield* locked(key, 'share'))) {
      held.push(key)
      continue
    }
    const found = txn.getNewest(key)
    if (found === undefined) continue
    const row = writer.read(found.buffer, found.start)
    const entry = run.entry(row, key)
    if (entry === undefined) continue
    const { meets } = run
    if (meets && !(yield* locked(entry, 'update'))) {
      held.push(key)
      continue
    }
    const known = txn.getNewest(entry)
    if (known !== undefined) {
      if (meets && known.buffer.latin1Slice(known.start, known.end) !== key)
        throw duplicated(x, table, index, run.values(row))
      continue
    }
    if (run.writer.vector === undefined) txn.put(entry, Buffer.from(key, 'latin1'))
    else txn.put(entry, run.value, run.length)
    if (x.sliceOver()) yield SLICE_OVER
  }
  return held
}
