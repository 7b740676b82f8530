/** Who and where: the server, the session's users, its search path, its connection, and waiting (manual 9.26, 9.9.6). */
import { readFileSync } from 'node:fs'
import { oid } from '../../../storage/keys/brand.ts'
import type { Txn } from '../../../storage/kv/kv.ts'
import { timezoneAbbreviations, timezoneNames } from '../../types/datetime/zones.ts'
import { sqlError } from '../../types/error.ts'
import { type FunctionTable, scalar } from '../../types/function.ts'
import { ArrayValue, type Int64, Interval, type Value } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import { clockMicros } from '../call-context.ts'
import { exportSnapshot } from '../shared-snapshots.ts'
import { channelsOf, notify } from '../utilities/notify.ts'
import { ofSession, rowsOfSession, valuesOfSession } from './session-function.ts'

const VERSION = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version

const versionText = (session: Backend): string => {
  const postgres = session.settings.get('server_version').split(' ')[0]
  return `PostgreSQL ${postgres} (Alopex ${VERSION}) on ${process.arch}-${process.platform}, Node.js ${process.versions.node}, 64-bit`
}

const roleName = (session: Backend, role: number): string =>
  session.catalog.role(oid(role))?.name ?? `unknown (OID=${role})`

function currentSchemas(session: Backend, implicit: boolean): Value {
  const names: Value[] = []
  const listed = session.listedNamespaces()
  for (const namespace of implicit ? session.searchPath : listed) {
    const name = session.catalog.namespace(namespace)?.name
    if (name !== undefined) names.push(name)
  }
  return ArrayValue.of(names)
}

/** A cancelled wait's timer is gone after at most so long. */
const SLEEP_STEP_MS = 500

function sleep(session: Backend, seconds: number): Value {
  if (!(seconds > 0)) return ''
  const until = performance.now() + seconds * 1000
  const wait = (): Promise<string> =>
    new Promise((resolve) => {
      const step = (): void => {
        const left = until - performance.now()
        if (left <= 0 || session.waits.waiting !== 'Timeout') resolve('')
        else setTimeout(step, Math.min(left, SLEEP_STEP_MS))
      }
      setTimeout(step, Math.min(seconds * 1000, SLEEP_STEP_MS))
    })
  return session.suspend(wait, 'Timeout') as Value
}
const intervalSeconds = (interval: Interval): number =>
  (interval.months * 30 + interval.days) * 86_400 + Number(interval.micros) / 1e6

/** A number for the transaction: its own in this server's order. */
const numbered = new WeakSet<Txn>()
function transactionId(session: Backend): Int64 {
  const txn = session.transaction.ensure()
  numbered.add(txn)
  return txn.id
}
function assignedId(session: Backend): Value {
  const { txn } = session.transaction
  return txn !== undefined && (txn.hasWrites || numbered.has(txn)) ? txn.id : null
}

const unixSecond = (micros: number): number => Math.floor(micros / 1e6) + 946_684_800
const zoneInterval = (seconds: number): Interval => new Interval(0, 0, seconds * 1_000_000)

function clientAddress(session: Backend): Value {
  const address = session.identity.options.clientAddress
  return address === undefined || address.startsWith('/') ? null : address
}

export const SERVER_FUNCTIONS: FunctionTable = {
  pgsql_version: ofSession(versionText),
  current_database: ofSession((session) => session.catalog.databaseName),
  current_user: ofSession((session) => roleName(session, session.userOid)),
  session_user: ofSession((session) => roleName(session, session.sessionUser)),
  current_schema: ofSession((session) => {
    const first = session.listedNamespaces()[0]
    return first === undefined ? null : (session.catalog.namespace(first)?.name ?? null)
  }),
  current_schemas: ofSession((session, implicit: boolean) => currentSchemas(session, implicit)),
  current_query: ofSession((session) => (session.queryText === '' ? null : session.queryText)),
  pg_backend_pid: ofSession((session) => session.pid),
  pg_client_encoding: ofSession((session) => session.settings.get('client_encoding')),
  pg_postmaster_start_time: ofSession((session) => session.server.startedAt),
  pg_conf_load_time: ofSession((session) => session.server.startedAt),
  pg_is_in_recovery: scalar(() => false),
  pg_is_wal_replay_paused: scalar(() => {
    throw sqlError('55000', 'recovery is not in progress', {
      hint: 'Recovery control functions can only be executed during recovery.',
    })
  }),
  pg_last_wal_receive_lsn: scalar(() => null),
  pg_last_wal_replay_lsn: scalar(() => null),
  pg_last_xact_replay_timestamp: scalar(() => null),
  pg_trigger_depth: scalar(() => 0),
  pg_jit_available: scalar(() => false),
  pg_current_logfile: scalar(() => null),
  pg_current_logfile_1arg: scalar(() => null),
  inet_client_addr: ofSession(clientAddress),
  inet_client_port: ofSession((session) =>
    clientAddress(session) === null ? null : (session.identity.options.clientPort ?? null),
  ),
  inet_server_addr: ofSession((session) =>
    clientAddress(session) === null ? null : session.settings.get('listen_addresses').split(',')[0]!.trim(),
  ),
  inet_server_port: ofSession((session) => (clientAddress(session) === null ? null : session.settings.number('port'))),
  row_security_active: scalar(() => false),
  row_security_active_name: scalar(() => false),

  pg_sleep: ofSession((session, seconds: number) => sleep(session, seconds)),
  'pg_sleep_for(interval)': ofSession((session, interval: Interval) => sleep(session, intervalSeconds(interval))),
  'pg_sleep_until(timestamptz)': ofSession((session, until: Int64) =>
    sleep(session, (Number(until) - clockMicros()) / 1e6),
  ),

  pg_current_xact_id: ofSession(transactionId),
  pg_export_snapshot: ofSession(exportSnapshot),
  pg_current_xact_id_if_assigned: ofSession(assignedId),

  pg_notify: ofSession((session, channel: string | null, payload: string | null) => {
    notify(session, channel ?? '', payload ?? '')
    return ''
  }),
  pg_listening_channels: valuesOfSession((session) => channelsOf(session)),
  pg_notification_queue_usage: scalar(() => 0),

  ...rowsOfSession('pg_timezone_names', (session) =>
    timezoneNames(unixSecond(session.transactionStart)).map((zone) => [
      zone.name,
      zone.abbreviation,
      zoneInterval(zone.offset),
      zone.isDst,
    ]),
  ),
  ...rowsOfSession('pg_timezone_abbrevs', (session) =>
    timezoneAbbreviations(unixSecond(session.transactionStart)).map((zone) => [
      zone.name,
      zoneInterval(zone.offset),
      zone.isDst,
    ]),
  ),

  pg_reload_conf: ofSession((session) => {
    needSuperuser(session, 'pg_reload_conf')
    // There is nothing that a running server reads again: settings come from its start.
    return true
  }),
  pg_rotate_logfile_v2: ofSession((session) => {
    needSuperuser(session, 'pg_rotate_logfile')
    session.notice({
      severity: 'WARNING',
      code: '01000',
      message: 'rotation not possible because log collection not active',
      fields: {},
    })
    return false
  }),
}

function needSuperuser(session: Backend, name: string): void {
  if (!session.isSuperuser) throw sqlError('42501', `permission denied for function ${name}`)
}
