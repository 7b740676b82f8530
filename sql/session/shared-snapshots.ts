/**
 * Snapshots that transactions share: pg_export_snapshot gives one a name, which holds until the transaction ends, and SET
 * TRANSACTION SNAPSHOT has another transaction see exactly what it sees (PostgreSQL 15 manual, 9.27.5). pg_dump -j works by it.
 */
import type { SharedSnapshot } from '../../storage/kv/kv.ts'
import { sqlError } from '../types/error.ts'
import type { Backend, Server } from './backend.ts'

interface Shared {
  readonly snapshot: SharedSnapshot
  readonly owner: Backend
}

const exported = new WeakMap<Server, Map<string, Shared>>()
const digits = (n: number): string => n.toString(16).toUpperCase().padStart(8, '0')

/** The name, as PostgreSQL writes it: of the session, the transaction, and a number from 1. */
export function exportSnapshot(session: Backend): string {
  const txn = session.transaction.ensure()
  if (!txn.hasBegun) txn.beginStatement()
  const all = exported.get(session.server) ?? new Map<string, Shared>()
  exported.set(session.server, all)
  const prefix = `${digits(session.pid)}-${digits(txn.id % 0x1_0000_0000)}`
  let n = 1
  while (all.has(`${prefix}-${n}`)) n++
  const name = `${prefix}-${n}`
  const snapshot = txn.shareSnapshot()
  all.set(name, { snapshot, owner: session })
  session.hooks.ended.push(() => {
    snapshot.release()
    all.delete(name)
  })
  return name
}

/** Throws 0A000, 25001, 22023, 42704 as PostgreSQL's ImportSnapshot does. */
export function importSnapshot(session: Backend, name: string): void {
  const { transaction } = session
  const txn = transaction.ensure()
  if (txn.hasBegun) throw sqlError('25001', 'SET TRANSACTION SNAPSHOT must be called before any query')
  if (transaction.isolation === 'read-committed')
    throw sqlError(
      '0A000',
      'a snapshot-importing transaction must have isolation level SERIALIZABLE or REPEATABLE READ',
    )
  if (!/^[0-9A-F-]+$/.test(name)) throw sqlError('22023', `invalid snapshot identifier: "${name}"`)
  const shared = exported.get(session.server)?.get(name)
  if (shared === undefined) throw sqlError('22023', `invalid snapshot identifier: "${name}"`)
  if (transaction.isolation === 'serializable' && shared.owner.transaction.isolation !== 'serializable')
    throw sqlError('0A000', 'a serializable transaction cannot import a snapshot from a non-serializable transaction')
  if (shared.owner.databaseOid !== session.databaseOid)
    throw sqlError('0A000', 'cannot import a snapshot from a different database')
  txn.adoptSnapshot(shared.snapshot)
}
