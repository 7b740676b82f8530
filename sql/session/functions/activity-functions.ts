/** The sessions of this server: what they do (pg_stat_activity), and ending it (manual 9.27.2, 28.2). */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { memberships } from '../../catalog/privileges.ts'
import { sqlError } from '../../types/error.ts'
import type { FunctionBody, FunctionTable } from '../../types/function.ts'
import type { Int64, Value } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import { ofSession, rowsOfSession, valuesOfSession } from './session-function.ts'

const SIGNAL_BACKEND = oid(4200)
const READ_ALL_STATS = oid(3375)

/** Superusers, the role's members and those of pg_read_all_stats see what others run. */
function maySee(session: Backend, backend: Backend): boolean {
  if (session.isSuperuser) return true
  const mine = memberships(session.catalog, session.userOid, true)
  return mine.has(backend.sessionUser) || mine.has(READ_ALL_STATS)
}

const orNull = (micros: number): Value => (micros === 0 ? null : micros)
const addressOf = (backend: Backend): Value => {
  const { clientAddress } = backend.identity.options
  return clientAddress === undefined || clientAddress.startsWith('/') ? null : clientAddress
}
const WAIT_EVENTS = {
  Lock: ['Lock', 'transactionid'],
  Client: ['Client', 'ClientWrite'],
  Timeout: ['Timeout', 'PgSleep'],
} as const
const IDLE_WAIT = ['Client', 'ClientRead'] as const

function waitOf(backend: Backend): readonly [string, string] | undefined {
  if (!backend.running) return IDLE_WAIT
  return backend.waits.waiting === undefined ? undefined : WAIT_EVENTS[backend.waits.waiting]
}

function activity(session: Backend, backend: Backend): readonly Value[] {
  const { transaction, settings } = backend
  if (!maySee(session, backend)) {
    const hidden: Value[] = new Array<Value>(30).fill(null)
    ;[hidden[0], hidden[1], hidden[2], hidden[5]] = [
      backend.databaseOid,
      backend.pid,
      backend.sessionUser,
      '<insufficient privilege>',
    ]
    return hidden
  }
  const wait = waitOf(backend)
  const address = addressOf(backend)
  const { encryption } = backend.identity.options
  const local = backend.identity.options.clientAddress?.startsWith('/') === true
  return [
    backend.databaseOid,
    backend.pid,
    backend.sessionUser,
    settings.get('application_name'),
    backend.state,
    backend.queryText,
    wait?.[0] ?? null,
    wait?.[1] ?? null,
    transaction.block === 'idle' ? null : orNull(backend.transactionStart),
    orNull(backend.queryStart),
    backend.startedAt,
    orNull(backend.stateChange),
    address,
    null,
    address === null ? (local ? -1 : null) : (backend.identity.options.clientPort ?? null),
    transaction.txn?.hasWrites === true ? Number(BigInt(transaction.txn.id) & 0xffffffffn) : null,
    null,
    'client backend',
    encryption !== undefined,
    encryption?.version ?? null,
    encryption?.cipher ?? null,
    encryption?.bits ?? null,
    null,
    null,
    null,
    false,
    null,
    false,
    null,
    null,
  ] // prettier-ignore
}

/** `pid` null: all sessions. */
function* activityRows(session: Backend, pid: number | null): Iterable<readonly Value[]> {
  for (const backend of session.server.backends.values())
    if (pid === null || backend.pid === pid) yield activity(session, backend)
}

function target(
  session: Backend,
  pid: number,
  verbs: readonly [superuser: string, member: string],
): Backend | undefined {
  const backend = session.server.backends.get(pid)
  if (backend === undefined) {
    session.notice({
      severity: 'WARNING',
      code: '01000',
      message: `PID ${pid} is not a PostgreSQL backend process`,
      fields: {},
    })
    return undefined
  }
  if (!session.isSuperuser) {
    if (session.catalog.role(backend.userOid)?.superuser === true)
      throw sqlError('42501', `must be a superuser to ${verbs[0]}`)
    const mine = memberships(session.catalog, session.userOid, true)
    if (!mine.has(backend.userOid) && !mine.has(SIGNAL_BACKEND))
      throw sqlError('42501', `must be a member of the role whose ${verbs[1]} or member of pg_signal_backend`)
  }
  return backend
}

const sessionById = (session: Backend, id: number): Backend | undefined => [...session.server.backends.values()][id - 1]
/** pg_stat_get_backend_…(id): sessions counted from 1. */
const byId = (get: (backend: Backend, session: Backend) => Value): FunctionBody =>
  ofSession((session, id: number) => {
    const backend = sessionById(session, id)
    return backend === undefined || !maySee(session, backend) ? null : get(backend, session)
  })

export const ACTIVITY_FUNCTIONS: FunctionTable = {
  ...rowsOfSession('pg_stat_get_activity', activityRows),
  pg_cancel_backend: ofSession((session, pid: number) => {
    const backend = target(session, pid, ['cancel superuser query', 'query is being canceled'])
    backend?.cancel()
    return backend !== undefined
  }),
  pg_terminate_backend: ofSession((session, pid: number, timeout: Int64) => {
    if (Number(timeout) < 0) throw sqlError('22003', '"timeout" must not be negative')
    const backend = target(session, pid, ['terminate superuser process', 'process is being terminated'])
    backend?.terminate()
    // Of itself: the statement that asked for it ends with it.
    session.checkInterrupts()
    return backend !== undefined
  }),
  pg_stat_get_backend_idset: valuesOfSession((session) => [...session.server.backends.keys()].map((_, i) => i + 1)),
  pg_stat_get_backend_pid: byId((backend) => backend.pid),
  pg_stat_get_backend_dbid: byId((backend) => backend.databaseOid),
  pg_stat_get_backend_userid: byId((backend) => backend.sessionUser),
  pg_stat_get_backend_activity: byId((backend) => backend.queryText),
  pg_stat_get_backend_activity_start: byId((backend) => orNull(backend.queryStart)),
  pg_stat_get_backend_xact_start: byId((backend) =>
    backend.transaction.block === 'idle' ? null : orNull(backend.transactionStart),
  ),
  pg_stat_get_backend_start: byId((backend) => backend.startedAt),
  pg_stat_get_backend_client_addr: byId(addressOf),
  pg_stat_get_backend_client_port: byId((backend) => backend.identity.options.clientPort ?? null),
  pg_stat_get_backend_wait_event_type: byId((backend) => waitOf(backend)?.[0] ?? null),
  pg_stat_get_backend_wait_event: byId((backend) => waitOf(backend)?.[1] ?? null),
  pg_stat_get_db_numbackends: ofSession(
    (session, database: Oid) =>
      [...session.server.backends.values()].filter((backend) => backend.databaseOid === database).length,
  ),
}
