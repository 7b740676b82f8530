/**
 * Advisory locks (manual 9.27.10, 13.3.5), what is locked (pg_locks) and who stands in whose way.
 *
 *     pg_advisory_lock(bigint)       target 'advisory DATABASE:HIGH:LOW:1'        held by the session until it unlocks
 *     pg_advisory_xact_lock(a, b)    target 'advisory DATABASE:A:B:2'             held by the transaction
 */
import { type LockRow, modesConflict, modeTitle, type TableLockMode } from '../../../storage/kv/kv.ts'
import type { FunctionBody, FunctionTable } from '../../types/function.ts'
import { ArrayValue, type Int64, type Value } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import { ofSession, rowsOfSession } from './session-function.ts'

type Keys = readonly [classOid: number, objectOid: number, fields: number]
const bigKey = (key: Int64): Keys => {
  const bits = BigInt.asUintN(64, BigInt(key))
  return [Number(bits >> 32n), Number(bits & 0xffffffffn), 1]
}
const pairKey = (a: number, b: number): Keys => [a >>> 0, b >>> 0, 2]
const targetOf = (session: Backend, [high, low, fields]: Keys): string =>
  `advisory ${session.databaseOid}:${high}:${low}:${fields}`

interface Variant {
  readonly scope: 'session' | 'transaction'
  readonly mode: Extract<TableLockMode, 'exclusive' | 'share'>
  readonly waits: boolean
}

/** '' when it has waited for it, true or false when it only tried. */
function lock(session: Backend, keys: Keys, { scope, mode, waits }: Variant): Value {
  const target = targetOf(session, keys)
  const policy = waits ? 'wait' : 'skip'
  const start = (): unknown => {
    if (scope === 'session')
      return session.kv.lockSession(session.pid, target, mode, policy, session.settings.number('lock_timeout'))
    return session.transaction.ensure().lockTarget(target, mode, policy)
  }
  if (!waits) return start() !== false
  session.suspend(start, 'Lock')
  return ''
}

function unlock(session: Backend, keys: Keys, mode: Variant['mode']): boolean {
  if (session.kv.unlockSession(session.pid, targetOf(session, keys), mode)) return true
  session.notice({
    severity: 'WARNING',
    code: '01000',
    message: `you don't own a lock of type ${modeTitle(mode)}`,
    fields: {},
  })
  return false
}

function variants(): Record<string, FunctionBody> {
  const table: Record<string, FunctionBody> = {}
  for (const scope of ['session', 'transaction'] as const) {
    for (const mode of ['exclusive', 'share'] as const) {
      for (const waits of [true, false]) {
        const name = `pg_${waits ? '' : 'try_'}advisory_${scope === 'session' ? '' : 'xact_'}lock${mode === 'share' ? '_shared' : ''}`
        const variant: Variant = { scope, mode, waits }
        table[`${name}_int8`] = ofSession((session, key: Int64) => lock(session, bigKey(key), variant))
        table[`${name}_int4`] = ofSession((session, a: number, b: number) => lock(session, pairKey(a, b), variant))
      }
    }
  }
  for (const mode of ['exclusive', 'share'] as const) {
    const name = `pg_advisory_unlock${mode === 'share' ? '_shared' : ''}`
    table[`${name}_int8`] = ofSession((session, key: Int64) => unlock(session, bigKey(key), mode))
    table[`${name}_int4`] = ofSession((session, a: number, b: number) => unlock(session, pairKey(a, b), mode))
  }
  return table
}

// ── Who holds what ───────────────────────────────────────────────────────────────────────────────────────────────

/** Row locks are shown as PostgreSQL's tuple locks are. */
const TUPLE_MODES: Readonly<Partial<Record<LockRow['mode'], TableLockMode>>> = {
  'key-share': 'access-share',
  'no-key-update': 'exclusive',
  update: 'access-exclusive',
}

function blockingPids(session: Backend, pid: number): number[] {
  const locks = session.kv.locks()
  const blocking = new Set<number>()
  for (const wanted of locks) {
    if (wanted.pid !== pid || wanted.granted) continue
    for (const held of locks) {
      if (held.pid === pid || !held.granted || held.target !== wanted.target) continue
      if (modesConflict(wanted.mode, held.mode)) blocking.add(held.pid)
    }
  }
  return [...blocking]
}

function* lockRows(session: Backend): Iterable<readonly Value[]> {
  for (const { pid, target, mode, granted } of session.kv.locks()) {
    const backend = session.server.backends.get(pid)
    const database = backend?.databaseOid ?? null
    const row: Value[] = [
      'object',
      database,
      null,
      null,
      null,
      null,
      null,
      null,
      null,
      null,
      `${pid}/${backend?.transaction.txn?.id ?? 0}`,
      pid,
      modeTitle(TUPLE_MODES[mode] ?? mode),
      granted,
      false,
      null,
    ]
    const [kind, rest = ''] = target.split(' ', 2) as [string, string?]
    if (kind === 'relation') {
      row[0] = 'relation'
      row[2] = Number(rest)
    } else if (kind === 'advisory') {
      const [of, classOid, objectOid, fields] = rest.split(':').map(Number) as [number, number, number, number]
      row[0] = 'advisory'
      row[1] = of
      row[7] = classOid
      row[8] = objectOid
      row[9] = fields
    } else if (!OBJECT_KINDS.has(kind)) row[0] = 'tuple'
    yield row
  }
}
const OBJECT_KINDS = new Set(['namespace', 'type', 'database', 'role', 'function', 'schema', 'object'])

export const LOCK_FUNCTIONS: FunctionTable = {
  ...variants(),
  pg_advisory_unlock_all: ofSession((session) => {
    session.kv.unlockSessionAll(session.pid)
    return ''
  }),
  pg_blocking_pids: ofSession((session, pid: number) => ArrayValue.of(blockingPids(session, pid))),
  pg_safe_snapshot_blocking_pids: ofSession(() => ArrayValue.of([])),
  pg_isolation_test_session_is_blocked: ofSession((session, pid: number, by: ArrayValue) =>
    blockingPids(session, pid).some((each) => by.elements.includes(each)),
  ),
  ...rowsOfSession('pg_lock_status', lockRows),
}
