/**
 * Temporary tables end with their session, or do what ON COMMIT says at the end of each transaction. A session drops its
 * own in a transaction of its own when it closes; what a process that died has left is dropped by whoever takes the schema.
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { CLASS } from '../../catalog/classes.ts'
import type { Backend } from '../backend.ts'
import { toSqlError } from '../sqlstate-of.ts'
import type { Ddl } from './context.ts'
import type { ObjectAddress } from './depend.ts'
import { dropAll } from './drop.ts'
import { replaceStorage } from './storage.ts'

/** At the end of this transaction (drop), or of every one (delete). */
export function onCommit(ddl: Ddl, table: Oid, action: 'delete' | 'drop'): void {
  const { session } = ddl
  if (action === 'drop') {
    session.hooks.beforeCommit.push(async () => {
      if (ddl.editor.relation(table) !== undefined)
        await dropAll(ddl, [{ classOid: CLASS.relation, object: table, sub: 0 }])
    })
    return
  }
  emptyAtCommit(session)
}

const watching = new WeakSet<Backend>()

/** Empties tables ON COMMIT DELETE ROWS whenever a transaction that has written commits. */
function emptyAtCommit(session: Backend): void {
  if (watching.has(session)) return
  watching.add(session)
  session.hooks.everyCommit.add(() => {
    if (session.tempNamespace === 0 || session.transaction.txn?.hasWrites !== true) return
    const tables = ownTables(session).filter((row) => row.onCommit === 'delete')
    if (tables.length === 0) return
    const editor = session.transaction.edit()
    for (const row of tables) {
      const ddl: Pick<Ddl, 'session' | 'editor'> = { session, editor }
      replaceStorage(ddl as Ddl, row)
    }
  })
}

const ownTables = (session: Backend): RelationRow[] =>
  [...session.catalog.relations()].filter(
    (row) => row.session !== undefined && row.namespace === session.tempNamespace && row.kind !== 'i',
  )

/** Drops everything in the temporary schema: the session is closing, DISCARD TEMP, or the schema was left behind. */
async function dropTemporary(ddl: Ddl): Promise<void> {
  if (ddl.session.tempNamespace === 0) return
  const targets = [
    ...ownTables(ddl.session).map((row) => ({ classOid: CLASS.relation, object: row.oid, sub: 0 })),
    ...functionsOf(ddl),
  ]
  if (targets.length > 0) await dropAll(ddl, targets)
}

const functionsOf = (ddl: Ddl): ObjectAddress[] =>
  [...ddl.editor.ownAll('function')]
    .filter((row) => row.namespace === ddl.session.tempNamespace)
    .map((row) => ({ classOid: CLASS.function, object: row.oid, sub: 0 }))

const prepared = new WeakSet<Backend>()

/** Before a session's first temporary relation: what an earlier owner of the schema left goes, and its own will go when it closes. */
export async function prepareTemporary(ddl: Ddl): Promise<void> {
  const { session } = ddl
  if (prepared.has(session)) return
  const left = ownTables(session).filter((row) => row.session !== session.pid)
  const leftTargets = [
    ...left.map((row) => ({ classOid: CLASS.relation, object: row.oid, sub: 0 })),
    ...functionsOf(ddl),
  ]
  if (leftTargets.length > 0) await dropAll(ddl, leftTargets)
  prepared.add(session)
  session.onClose = () => dropAtClose(session, ddl)
}

async function dropAtClose(session: Backend, made: Ddl): Promise<void> {
  if (
    session.tempNamespace === 0 ||
    session.server.catalogs.catalog(session.databaseOid).namespace(session.tempNamespace) === undefined
  )
    return
  try {
    session.transaction.start('implicit', 0)
    session.transaction.readOnly = false
    session.transaction.ensure().beginStatement()
    await dropTemporary({ ...made, editor: session.transaction.edit() })
    await session.transaction.commit()
  } catch (error) {
    session.transaction.rollback()
    session.server.log('warn', `temporary tables were not dropped: ${(toSqlError(error) as Error).message}`, {
      process: session.pid,
    })
  }
}
