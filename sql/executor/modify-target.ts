/**
 * The rows an UPDATE or DELETE is about.
 *
 * A change of one row by its whole primary key locks the key before it reads, and under READ COMMITTED reads it with a new
 * snapshot: however many transactions change that row at once, each finds the newest version and none has to begin again.
 */
import type { Key } from '../../storage/keys/brand.ts'
import type { LockStrength } from '../../storage/kv/kv.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import { some } from '../plan/walk.ts'
import type { CompileEnv } from './env.ts'
import { type Execution, type MutableRow, type Operator, Pause, type Steps } from './operator.ts'
import { expressionsOf } from './plan-walk.ts'
import { compilePoint, type IndexScan, indexOf, pointKey } from './scan.ts'

const MODIFICATIONS = Symbol('data-modifying operators begun')

/** A statement that changes rows begins: it reads as of now. */
export function beginModification(x: Execution): void {
  x.txn.hideWrites()
  x.kept.set(MODIFICATIONS, ((x.kept.get(MODIFICATIONS) as number | undefined) ?? 0) + 1)
}

/** Whether a row may come that this statement has changed already: then `hasHidden` has to be asked. */
export const maySeeAgain = (target: Target, x: Execution): boolean =>
  target.mayRepeat || (x.kept.get(MODIFICATIONS) as number) > 1

export interface Target extends Operator {
  /** The same row may come more than once. */
  readonly mayRepeat: boolean
}

export function targetRows(input: Plan, table: RelationRow, strength: LockStrength, env: CompileEnv): Target {
  const point = compileLockedPoint(input, table, strength, env)
  if (point !== undefined) {
    let counted: Operator | undefined
    return {
      mayRepeat: false,
      // EXPLAIN ANALYZE counts at the plan's nodes, which a read by the key alone passes by.
      run: (x) =>
        x.instruments === undefined ? lockedPoint(point, x) : (counted ??= env.compilePlan(input, env)).run(x),
    }
  }
  const operator = env.compilePlan(input, env)
  return { mayRepeat: mayRepeat(input), run: (x) => operator.run(x) }
}

/** Only one scan of the table itself gives each row once. */
function mayRepeat(plan: Plan): boolean {
  if (plan.kind === 'project' || plan.kind === 'filter') return mayRepeat(plan.input)
  return plan.kind !== 'seq-scan' && plan.kind !== 'index-scan'
}

interface LockedPoint {
  readonly key: (x: Execution) => Key | undefined
  readonly read: (x: Execution) => MutableRow | undefined
  readonly filtered: boolean
  readonly strength: LockStrength
}

/** undefined: the plan is more than one row by the whole key that its table is ordered by. */
export function compileLockedPoint(
  plan: Plan,
  table: RelationRow,
  strength: LockStrength,
  env: CompileEnv,
): LockedPoint | undefined {
  const scan = plan.kind === 'project' ? plan.input : plan
  if (scan.kind !== 'index-scan' || scan.table !== table.oid || readsMore(plan) || readsMore(scan)) return undefined
  const index = indexOf(scan, env)
  if (!index.clustered) return undefined
  const key = pointKey(scan as IndexScan, index, env)
  const read = key && compilePoint(plan, env)
  return key && read && { key, read, filtered: scan.filter !== undefined, strength }
}

const readsMore = (plan: Plan): boolean =>
  expressionsOf(plan).some((e: Expression) => some(e, (node) => node.kind === 'subplan'))

function* lockedPoint({ key: keyOf, read, filtered, strength }: LockedPoint, x: Execution): Steps {
  const row = yield* lockAndRead(keyOf, read, filtered, strength, x)
  if (row !== undefined) yield [row]
}

export function* lockAndRead(
  keyOf: LockedPoint['key'],
  read: LockedPoint['read'],
  filtered: boolean,
  strength: LockStrength,
  x: Execution,
): Generator<Pause, MutableRow | undefined, undefined> {
  const { txn } = x
  const key = keyOf(x)
  if (key === undefined) return undefined
  // A row that the filter leaves out is not locked.
  if (filtered && read(x) === undefined) return undefined
  const mark = txn.savepoint()
  const granted = txn.lock(key, strength, 'skip')
  if (granted === false) {
    // Someone else is at it; one that is only being inserted is not waited for.
    if (txn.getNewest(key) === undefined) return undefined
    const promise = txn.lock(key, strength, 'wait')
    if (promise instanceof Promise) yield new Pause(promise)
  } else if (granted instanceof Promise) yield new Pause(granted)
  txn.refresh()
  const row = read(x)
  // Nobody has to wait for a row that is not there.
  if (row === undefined) txn.rollbackTo(mark)
  return row
}
