/**
 * Where rows lie, as statements change it: filling an index, moving a table's rows to new storage, emptying a table. New
 * storage ids are written by this transaction alone; the old ones are taken away once no snapshot sees them.
 */
import { sequenceKey } from '../../../storage/keys/map.ts'
import { KvError } from '../../../storage/range/errors.ts'
import { removeStorage as scheduleRemoval } from '../../access/index-build.ts'
import { entryPrefix } from '../../access/keys.ts'
import { isVectorIndex } from '../../access/vector-spec.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { compileEnv } from '../../executor/executor.ts'
import { buildIndex, rewriteTable as moveRows } from '../../executor/modify-index.ts'
import type { MutableRow, Pause } from '../../executor/operator.ts'
import { type SqlError, sqlError } from '../../types/error.ts'
import type { Row } from '../../types/value.ts'
import { current, type Ddl, update } from './context.ts'
import { checkVectorKeys, isVectorMethod, noticeOfLittleData } from './index-vector.ts'
import { drivePauses } from './query.ts'
import { buildGraph } from './vector-build.ts'

/** Entries for the rows that are there. 23505 when a unique index cannot be. */
export async function fillIndex(ddl: Ddl, table: RelationRow, index: RelationRow): Promise<void> {
  const { method } = index.index!
  const { kv, server, hooks } = ddl.session
  hooks.ended.push((committed) => {
    if (committed) server.young.filled(index.storageId, kv.now(), kv.watermark())
  })
  const vector = { keys: index.index!.keys, options: index.options }
  if (isVectorMethod(method)) checkVectorKeys(ddl, vector, method)
  const building = drivePauses(ddl, buildIndex(execution(ddl), compileEnv(ddl.editor, 'often'), table, index))
  const rows = await building.catch((error: unknown) => {
    throw error instanceof KvError && error.reason.kind === 'too-large' ? entriesTooLarge(index) : error
  })
  if (method === 'ivfflat') noticeOfLittleData(ddl, rows, vector)
  if (isVectorMethod(method)) await buildGraph(ddl, table, index)
}

const entriesTooLarge = ({ name }: RelationRow): SqlError =>
  sqlError('53200', 'out of memory', {
    detail: `The entries of index "${name}" are more than one transaction may hold.`,
    hint: 'CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY write them in several transactions.',
  })

/** REINDEX: the index under a new storage id. A clustered one is the table itself and has nothing to build. */
export async function refillIndex(ddl: Ddl, index: RelationRow): Promise<void> {
  if (index.index!.clustered) return
  removeStorage(ddl, index)
  const next = update(ddl, { ...index, storageId: ddl.editor.nextStorageId(), index: { ...index.index!, valid: true } })
  await fillIndex(ddl, current(ddl, index.index!.table), next)
}

const execution = (ddl: Ddl) => ddl.session.runner.newExecution(ddl.session.transaction.ensure(), 0, [])

/**
 * Every row of `before` written again as `after` has it (columns, clustered key), and the indexes made anew. `convert`
 * makes a row of after's live columns from one of before's; without it they are the same columns.
 */
export async function rewriteTable(
  ddl: Ddl,
  before: RelationRow,
  after: RelationRow,
  convert?: (old: Row) => MutableRow,
): Promise<RelationRow> {
  const columns = after.columns.map(({ missing: _, ...column }) => column)
  const next = update(ddl, { ...after, columns, storageId: ddl.editor.nextStorageId() })
  // Constraints are checked by who asks for the rewrite, in its words.
  const bare = (row: RelationRow): RelationRow => ({ ...row, constraints: [] })
  const moved: Generator<Pause, unknown, undefined> = moveRows(
    execution(ddl),
    compileEnv(ddl.editor, 'often'),
    { ...bare(before), indexes: [] },
    bare(next),
    convert,
  )
  await drivePauses(ddl, moved)
  removeStorage(ddl, before)
  for (const each of next.indexes) await refillIndex(ddl, current(ddl, each))
  return current(ddl, after.oid)
}

/** TRUNCATE: the table and its indexes under new, empty storage. */
export function replaceStorage(ddl: Ddl, table: RelationRow): RelationRow {
  removeStorage(ddl, table)
  for (const each of table.indexes) {
    const index = current(ddl, each)
    if (index.index!.clustered) continue
    removeStorage(ddl, index)
    const empty = update(ddl, { ...index, storageId: ddl.editor.nextStorageId() })
    // Until this transaction ends it may search there.
    forgetGraph(ddl, empty)
    if (index.index!.method === 'ivfflat')
      noticeOfLittleData(ddl, 0, { keys: index.index!.keys, options: index.options })
  }
  return update(ddl, { ...table, storageId: ddl.editor.nextStorageId() })
}

export function removeStorage(ddl: Ddl, row: RelationRow): void {
  forgetGraph(ddl, row)
  scheduleRemoval(ddl.session.kv, ddl.session.transaction.ensure(), ddl.editor.databaseOid, row)
}

/** A vector index's graph goes when the transaction has ended, whichever way, unless the index still lies there. */
export function forgetGraph(ddl: Ddl, row: RelationRow): void {
  if (!isVectorIndex(row)) return
  const { databaseOid } = ddl.editor
  const { server, hooks } = ddl.session
  hooks.ended.push(() => {
    const kept = server.catalogs.catalog(databaseOid).relation(row.oid)
    if (kept?.storageId !== row.storageId) server.vectors.drop(entryPrefix(databaseOid, row))
  })
}

/** The state of a sequence lies outside of transactions: it goes when this one has committed, if the sequence has left it. */
export function removeSequenceState(ddl: Ddl, row: RelationRow, forget = true): void {
  const { session } = ddl
  const { databaseOid } = ddl.editor
  session.hooks.ended.push((committed) => {
    const kept = session.server.catalogs.catalog(databaseOid).relation(row.oid)
    if (!committed || kept?.storageId === row.storageId) return
    session.kv.deleteState(sequenceKey(databaseOid, row.storageId))
    if (forget && kept === undefined) session.sequences.forget(row.oid)
  })
}
