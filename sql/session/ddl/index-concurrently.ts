/**
 * CREATE INDEX CONCURRENTLY: writers go on while the index is made. Several transactions, as the manual has it ("Building
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
import { compileEnv } from '../../executor/executor.ts'
import { addMissing, catchUp } from '../../executor/index-catch-up.ts'
import type { Backend } from '../backend.ts'
import { beginDdl, current, type Ddl, update } from './context.ts'
import { drivePauses } from './query.ts'
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
  const [table, index] = [current(ddl, tableOid), current(ddl, indexOid)]
  await nextTransaction(ddl)
  await followingGraph(ddl, table, index, async (check, linked) => {
    await fillBeside(ddl, tableOid, indexOid, check)
    await linked()
    await until(ddl.session, reading)
  })
  const last = beginDdl(ddl.session, ddl.call, ddl.statement)
  const filled = current(last, indexOid)
  update(last, { ...filled, index: { ...filled.index!, valid: true } })
  // Whoever keeps something made for the table looks again.
  update(last, { ...current(last, tableOid) })
  await last.editor.settled()
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

async function until(session: Backend, concern: Concern): Promise<void> {
  const awaited = [...session.server.backends.values()].flatMap((other) => {
    const { txn } = other.transaction
    if (other === session || txn === undefined || other.databaseOid !== session.databaseOid) return []
    const lasts = concern(other, txn)
    return lasts === undefined ? [] : [() => other.transaction.txn === txn && lasts()]
  })
  for (const lasts of awaited) {
    while (lasts()) {
      await session.waits.interruptible(new Promise((resolve) => setTimeout(resolve, LOOK_MS)), undefined)
      session.checkInterrupts()
    }
  }
}
