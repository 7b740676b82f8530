/**
 * SELECT … FOR UPDATE and its kin. Rows are handed on one at a time, so that a LIMIT above locks no more than it takes.
 *
 *     lock (wait, fail, or pass the row by) → is it still what the snapshot saw? → the row without its keys
 */
import type { Key } from '../../storage/keys/brand.ts'
import { KvError } from '../../storage/range/errors.ts'
import type { Plan } from '../plan/plan.ts'
import { sqlError } from '../types/error.ts'
import type { CompileEnv } from './env.ts'
import { compileLockedPoint, lockAndRead } from './modify-target.ts'
import { type Execution, type MutableRow, type Operator, Pause, type Steps } from './operator.ts'

type LockRowsPlan = Extract<Plan, { kind: 'lock-rows' }>

export function compileLockRows(plan: LockRowsPlan, env: CompileEnv): Operator {
  const names = plan.locks.map((lock) => env.catalog.relation(lock.table)?.name ?? String(lock.table))
  const only = plan.locks.length === 1 && plan.locks[0]!.policy === 'wait' ? plan.locks[0]! : undefined
  const table = only && env.catalog.relation(only.table)
  const point =
    plan.keep !== true && only && table ? compileLockedPoint(plan.input, table, only.strength, env) : undefined
  let input: Operator | undefined
  return {
    run(x) {
      // EXPLAIN ANALYZE counts at the plan's nodes, which a read by the key alone passes by.
      if (point !== undefined && x.instruments === undefined) return lockedPoint(point, only!.key, x)
      return lockedRows(plan, names, (input ??= env.compilePlan(plan.input, env)), x)
    },
  }
}

function* lockedPoint(point: NonNullable<ReturnType<typeof compileLockedPoint>>, key: number, x: Execution): Steps {
  const row = yield* lockAndRead(point.key, point.read, point.filtered, point.strength, x)
  if (row === undefined) return
  const at = row[key] as Key
  checkUnchanged(at, x)
  row.splice(key, 1)
  yield [row]
}

function* lockedRows(plan: LockRowsPlan, names: readonly string[], input: Operator, x: Execution): Steps {
  const keys = new Set(plan.locks.map((lock) => lock.key))
  for (const step of input.run(x)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    for (const row of step) {
      if (yield* locked(plan, names, row, x)) yield [plan.keep === true ? row : row.filter((_, i) => !keys.has(i))]
    }
  }
}

function checkUnchanged(key: Key, x: Execution): void {
  try {
    x.txn.checkUnchanged(key)
  } catch (error) {
    // PostgreSQL calls a row that is gone an update too when it was only to be locked.
    if (error instanceof KvError && error.reason.kind === 'write-conflict')
      throw new KvError({ ...error.reason, deleted: false })
    throw error
  }
}

/** false: the row is passed by (SKIP LOCKED). */
function* locked(
  plan: LockRowsPlan,
  names: readonly string[],
  row: MutableRow,
  x: Execution,
): Generator<Pause, boolean, undefined> {
  for (let i = 0; i < plan.locks.length; i++) {
    const { key: at, strength, policy } = plan.locks[i]!
    const key = row[at] as Key | null
    // The null side of an outer join.
    if (key === null) continue
    const answer = lockOne(x, key, strength, policy, names[i]!)
    if (answer === false) return false
    if (answer instanceof Promise) yield new Pause(answer)
    checkUnchanged(key, x)
  }
  return true
}

function lockOne(
  x: Execution,
  key: Key,
  strength: LockRowsPlan['locks'][number]['strength'],
  policy: 'wait' | 'nowait' | 'skip',
  name: string,
) {
  try {
    return x.txn.lock(key, strength, policy)
  } catch (error) {
    if (error instanceof KvError && error.reason.kind === 'lock-not-available')
      throw sqlError('55P03', `could not obtain lock on row in relation "${name}"`)
    throw error
  }
}
