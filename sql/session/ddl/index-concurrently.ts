/**
 * CREATE INDEX CONCURRENTLY, and REINDEX CONCURRENTLY: writers go on while the index is made. Several transactions, as the manual has it ("Building
 * Indexes Concurrently"); only the session's own lock is held from the first to the last.
 *
 *     1  the index is in the catalog, not valid: statements from now on maintain it, none reads it
 *        … until transactions that may be writing without knowing of it have ended
 *     2  the rows that are there, batch by batch (executor/index-catch-up.ts)
 *        … until snapshots older than the last batch are gone: the index does not have what only they see
 *     3  the index is valid
 *
 * The graph of a vector index follows the commits of all this from 1 on, and is linked before 3.
 *
 * An error after 1 leaves an index that is not valid: it costs writers and helps nobody until DROP INDEX or REINDEX.
 */
import type { Key, Oid } from '../../../storage/keys/brand.ts'
import type { Txn } from '../../../storage/kv/kv.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { compileEnv } from '../../executor/executor.ts'
import { addMissing, catchUp } from '../../executor/index-catch-up.ts'
import { sqlError } from '../../types/error.ts'
import type { Backend } from '../backend.ts'
import { beginDdl, current, type Ddl, lockRelation, update } from './context.ts'
import { chooseRelationName } from './names.ts'
import { drivePauses } from './query.ts'
import { removeStorage } from './storage.ts'
import { followingGraph } from './vector-build.ts'

/** Milliseconds between looks at what others are doing. */
const LOOK_MS = 5

/** Keeps other statements that change the table away, until `work` is done, whatever transactions it has. */
export async function holdingTable<T>(session: Backend, table: Oid, work: () => Promise<T>): Promise<T> {
  const target = `relation ${table}`
  const mode = 'share-update-exclusive'
  const granted = session.kv.lockSession(session.pid, target, mode, 'wait', session.settings.number('lock_timeout'))
  if (granted instanceof Promise) await session.waits.interruptible(granted, 'Lock')
  try {
    return await work()
  } finally {
    session.kv.unlockSession(session.pid, target, mode)
  }
}

/** From step 1's end on; `ddl`'s transaction has put the index. */
export async function buildConcurrently(ddl: Ddl, tableOid: Oid, indexOid: Oid): Promise<void> {
  await fillConcurrently(ddl, tableOid, indexOid)
  const last = beginDdl(ddl.session, ddl.call, ddl.statement)
  // This one ends after the session has let go of the table.
  await lockRelation(last, tableOid, 'share-update-exclusive')
  const filled = current(last, indexOid)
  update(last, { ...filled, index: { ...filled.index!, valid: true } })
  await seen(last, tableOid)
}

async function fillConcurrently(ddl: Ddl, tableOid: Oid, indexOid: Oid): Promise<void> {
  const [table, index] = [current(ddl, tableOid), current(ddl, indexOid)]
  await nextTransaction(ddl)
  await followingGraph(ddl, table, index, async (check, linked) => {
    await fillBeside(ddl, tableOid, indexOid, check)
    await linked()
    await until(ddl.session, reading)
  })
}

/** Whoever keeps something made for the table looks again. */
async function seen(ddl: Ddl, tableOid: Oid): Promise<void> {
  update(ddl, { ...current(ddl, tableOid) })
  await ddl.editor.settled()
}

/**
 * REINDEX CONCURRENTLY, of one index that is no clustered one: another is made beside it, as above; then both change their storage,
 * and the other goes once nobody reads or writes what was the index's.
 *
 *     i  storage 7                    i  storage 9                    i  storage 9
 *     i_ccnew  storage 9, not valid   i_ccold  storage 7, not valid
 */
export async function reindexConcurrently(ddl: Ddl, tableOid: Oid, indexOid: Oid): Promise<void> {
  const other = putTwin(ddl, tableOid, indexOid)
  await fillConcurrently(ddl, tableOid, other)
  const swapping = beginDdl(ddl.session, ddl.call, ddl.statement)
  const [before, filled] = [current(swapping, indexOid), current(swapping, other)]
  update(swapping, { ...before, storageId: filled.storageId, index: { ...before.index!, valid: true } })
  update(swapping, { ...filled, name: nameFor(swapping, before, 'ccold'), storageId: before.storageId })
  await seen(swapping, tableOid)
  await nextTransaction(swapping)
  await until(ddl.session, writing)
  await until(ddl.session, reading)
  const dropping = beginDdl(ddl.session, ddl.call, ddl.statement)
  const table = current(dropping, tableOid)
  update(dropping, { ...table, indexes: table.indexes.filter((each) => each !== other) })
  removeStorage(dropping, current(dropping, other))
  dropping.editor.remove('relation', other)
  await nextTransaction(dropping)
}

const nameFor = (ddl: Ddl, index: RelationRow, label: string): string =>
  chooseRelationName(ddl.editor, index.namespace, index.name, undefined, label)

/** The same index under a new storage id: no constraint's, not valid. */
function putTwin(ddl: Ddl, tableOid: Oid, indexOid: Oid): Oid {
  const { editor } = ddl
  const [table, index] = [current(ddl, tableOid), current(ddl, indexOid)]
  const twin = update(ddl, {
    ...index,
    oid: editor.nextOid(),
    name: nameFor(ddl, index, 'ccnew'),
    storageId: editor.nextStorageId(),
    index: { ...index.index!, primary: false, valid: false },
  })
  update(ddl, { ...table, indexes: [...table.indexes, twin.oid] })
  return twin.oid
}

/** Step 2. `check` is called after each batch. */
async function fillBeside(ddl: Ddl, tableOid: Oid, indexOid: Oid, check: () => void): Promise<void> {
  await until(ddl.session, writing)
  const held: Key[] = []
  for (let from: Key | undefined, first = true; first || from !== undefined; first = false) {
    const now = beginDdl(ddl.session, ddl.call, ddl.statement)
    const { next, held: left } = await drivePauses(
      now,
      catchUp(execution(now), compileEnv(now.editor, 'often'), current(now, tableOid), current(now, indexOid), from),
    )
    held.push(...left)
    from = next
    await nextTransaction(now)
    check()
  }
  for (const key of held) {
    const now = beginDdl(ddl.session, ddl.call, ddl.statement)
    const env = compileEnv(now.editor, 'often')
    await drivePauses(now, addMissing(execution(now), env, current(now, tableOid), current(now, indexOid), [key], true))
    await nextTransaction(now)
  }
}

const execution = (ddl: Ddl) => ddl.session.runner.newExecution(ddl.session.transaction.ensure(), 0, [])

/** Commits what there is; the statement goes on in a new transaction. */
async function nextTransaction(ddl: Ddl): Promise<void> {
  const { transaction } = ddl.session
  const { startedAt } = transaction
  await ddl.editor.settled()
  await transaction.commit()
  transaction.start('implicit', startedAt)
}

/** What of another session has to end: undefined for nothing, else a test that is false once it has. */
type Concern = (other: Backend, txn: Txn) => (() => boolean) | undefined

/** A transaction that has written, or whose statement was planned before the index was there. */
const writing: Concern = (other, txn) => {
  const { queryStart } = other
  if (!txn.hasWrites && !other.running) return undefined
  return () => txn.hasWrites || (other.running && other.queryStart === queryStart)
}

/** A snapshot from before: of a running statement, or of a transaction that keeps its first one. */
const reading: Concern = (other, txn) => {
  const { queryStart } = other
  if (txn.isolation !== 'read-committed') return txn.hasBegun ? () => true : undefined
  return other.running ? () => other.running && other.queryStart === queryStart : undefined
}

/**
 * Those who wait, by whatever steps, for what this session has locked: a statement that waits for a table takes its snapshot,
 * and its plan, when it has got it.
 */
function waitingFor(session: Backend): ReadonlySet<number> {
  const locks = session.kv.locks()
  const found = new Set([session.pid])
  const blocked = new Set(locks.filter((each) => found.has(each.pid) && each.granted).map((each) => each.target))
  for (let before = 0; before < found.size; ) {
    before = found.size
    for (const { pid, target, granted } of locks) if (!granted && blocked.has(target)) found.add(pid)
    for (const { pid, target, granted } of locks) if (granted && found.has(pid)) blocked.add(target)
  }
  found.delete(session.pid)
  return found
}

/** Throws 40P01 when the other waits for this session, and has what it would have to end first. */
function standsAside(session: Backend, other: Backend): boolean {
  if (!waitingFor(session).has(other.pid)) return false
  const { txn } = other.transaction
  if (txn === undefined || (!txn.hasWrites && txn.isolation === 'read-committed')) return true
  throw sqlError('40P01', 'deadlock detected', {
    detail: `Process ${session.pid} waits for the transaction of process ${other.pid}; blocked by process ${other.pid}.\nProcess ${other.pid} waits for a lock of process ${session.pid}; blocked by process ${session.pid}.`,
  })
}

async function until(session: Backend, concern: Concern): Promise<void> {
  const awaited = [...session.server.backends.values()].flatMap((other) => {
    const { txn } = other.transaction
    if (other === session || txn === undefined || other.databaseOid !== session.databaseOid) return []
    const lasts = concern(other, txn)
    return lasts === undefined ? [] : [{ other, lasts: () => other.transaction.txn === txn && lasts() }]
  })
  for (const { other, lasts } of awaited) {
    while (lasts() && !standsAside(session, other)) {
      await session.waits.interruptible(new Promise((resolve) => setTimeout(resolve, LOOK_MS)), undefined)
      session.checkInterrupts()
    }
  }
}
