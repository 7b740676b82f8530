/**
 * INSERT: rows in, rows and index entries out, a batch at a time. Keys that ascend within a batch (most loads) are known to
 * be free after one look at their span; others are looked at one by one.
 *
 * ON CONFLICT asks its indexes first: a row that is there is left alone or updated, and one that this statement has put
 * or changed itself may not be updated again (21000).
 */
import type { Key } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import { successor } from '../../storage/keys/map.ts'
import { OWN_WRITE } from '../../storage/kv/kv.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import { some } from '../plan/walk.ts'
import { sqlError } from '../types/error.ts'
import type { Row, Value } from '../types/value.ts'
import { compilePredicate, compileRow } from './compile.ts'
import type { Compiled, CompileEnv } from './env.ts'
import { EVENTS_MAX, ForeignQueue } from './modify-foreign.ts'
import type { IndexRun, TableRun } from './modify-rows.ts'
import { positionsOf } from './modify-table.ts'
import { beginModification } from './modify-target.ts'
import { compileViewChecks, type ViewChecks } from './modify-view.ts'
import {
  type Execution,
  type MutableRow,
  type Operator,
  Pause,
  type RowBatch,
  SLICE_OVER,
  type Steps,
} from './operator.ts'
import { expressionsOf, inputsOf } from './plan-walk.ts'

type InsertPlan = Extract<Plan, { kind: 'insert' }>

interface Insert {
  readonly plan: InsertPlan
  readonly env: CompileEnv
  readonly table: RelationRow
  readonly input: Operator
  readonly returning: Compiled<MutableRow> | undefined
  readonly upsert: Upsert | undefined
  /** The input reads no table: a newer snapshot changes nothing of it. */
  readonly selfContained: boolean
  readonly checks: ViewChecks | undefined
}
/** DO UPDATE: over the existing row and the one proposed. */
interface Upsert {
  readonly where: Compiled<boolean> | undefined
  readonly values: Compiled<MutableRow>
}

export function compileInsert(plan: InsertPlan, env: CompileEnv): Operator {
  const table = env.catalog.relation(plan.table)
  invariant(table !== undefined, `relation ${plan.table}`)
  const { conflict } = plan
  const insert: Insert = {
    plan,
    env,
    table,
    input: env.compilePlan(plan.input, env),
    returning: plan.returning && compileRow(plan.returning, env),
    upsert:
      conflict.kind === 'update'
        ? {
            where: conflict.where && compilePredicate(conflict.where, env),
            values: compileRow(withAssignments(table, conflict.assignments), env),
          }
        : undefined,
    selfContained: conflict.kind === 'update' && isSelfContained(plan.input),
    checks: compileViewChecks(plan.checks, table, env),
  }
  return {
    run(x) {
      return inserted(insert, x)
    },
  }
}

/** The new row of live columns as expressions over a row that begins with the old one. */
export function withAssignments(
  table: RelationRow,
  assignments: readonly { readonly column: number; readonly value: Expression }[],
): Expression[] {
  const position = positionsOf(table)
  const row = table.columns
    .filter((column) => !column.dropped)
    .map((column, index): Expression => ({ kind: 'column', index, type: column.type, typmod: column.typmod }))
  for (const { column, value } of assignments) row[position[column]!] = value
  return row
}

/** Whether a plan reads no stored row. */
function isSelfContained(plan: Plan): boolean {
  if (
    plan.kind !== 'result' &&
    plan.kind !== 'values' &&
    plan.kind !== 'project' &&
    plan.kind !== 'append' &&
    plan.kind !== 'function-scan'
  )
    return false
  return (
    !expressionsOf(plan).some((e) => some(e, (node) => node.kind === 'subplan')) &&
    inputsOf(plan).every(isSelfContained)
  )
}

function* inserted(insert: Insert, x: Execution): Steps {
  const { plan, table } = insert
  beginModification(x)
  const queue = new ForeignQueue(x, insert.env)
  const run = queue.table(table)
  run.checkViews = insert.checks?.bind(x)
  const returning = insert.returning?.bind(x)
  const upserting = plan.conflict.kind === 'none' ? undefined : new Conflicts(insert, run, x)
  for (const step of insert.input.run(x)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    const kept = upserting === undefined ? yield* insertRows(run, step, x) : yield* upserting.insertRows(step)
    x.affected += kept.length
    if (queue.pending >= EVENTS_MAX) yield* queue.early(table)
    if (returning !== undefined && kept.length > 0) yield kept.map(returning)
    if (x.sliceOver()) yield SLICE_OVER
  }
  yield* queue.finish()
}

/** Which row of a batch is at work: for error messages that name its line. */
export interface Progress {
  at: number
}

/** Inserts whole rows of live columns; gives them back as they were stored. */
export function* insertRows(
  run: TableRun,
  rows: RowBatch,
  x: Execution,
  progress?: Progress,
): Generator<Pause, RowBatch, undefined> {
  const keys: Key[] = []
  let isNew = false
  const byKey = run.writer.primary !== undefined && run.writer.generated.length === 0
  if (byKey && rows.length > 1) {
    let ascending = true
    for (let i = 0; i < rows.length; i++) {
      const key = run.newKey(rows[i]!)
      if (i > 0 && key <= keys[i - 1]!) ascending = false
      keys.push(key)
    }
    isNew = ascending && !x.txn.anyIn({ from: keys[0]!, to: successor(keys[keys.length - 1]!) })
  }
  for (let i = 0; i < rows.length; i++) {
    if (progress !== undefined) progress.at = i
    const row = rows[i]!
    run.prepare(row)
    const key = keys[i] ?? run.newKey(row)
    for (let promise = run.insert(row, key, isNew); promise !== undefined; promise = run.insert(row, key, false)) {
      // Others have run since the look at the span.
      isNew = false
      yield new Pause(promise)
    }
  }
  return rows
}

/** ON CONFLICT within one execution. */
class Conflicts {
  readonly #insert: Insert
  readonly #run: TableRun
  readonly #x: Execution
  readonly #byKey: boolean
  readonly #indexes: readonly IndexRun[]
  /** Rows this statement has inserted or updated: for DO UPDATE. */
  readonly #touched = new Set<Key>()
  readonly #where: ((row: Row) => boolean) | undefined
  readonly #values: ((row: Row) => MutableRow) | undefined

  constructor(insert: Insert, run: TableRun, x: Execution) {
    const { conflict } = insert.plan
    invariant(conflict.kind !== 'none', 'an ON CONFLICT')
    const asked = (oid: number) => conflict.indexes.length === 0 || conflict.indexes.some((index) => index === oid)
    this.#insert = insert
    this.#run = run
    this.#x = x
    this.#byKey = run.writer.primary !== undefined && asked(run.writer.primary.relation.oid)
    this.#indexes = run.indexes.filter(({ writer }) => writer.meets && asked(writer.relation.oid))
    this.#where = insert.upsert?.where?.bind(x)
    this.#values = insert.upsert?.values.bind(x)
  }

  *insertRows(rows: RowBatch): Generator<Pause, RowBatch, undefined> {
    const kept: RowBatch = []
    for (const row of rows) {
      this.#run.prepare(row)
      const key = this.#run.newKey(row)
      for (;;) {
        const other = yield* this.#conflicting(row, key)
        if (other === undefined) {
          for (
            let promise = this.#run.insert(row, key, false);
            promise !== undefined;
            promise = this.#run.insert(row, key, false)
          )
            yield new Pause(promise)
          if (this.#values !== undefined) this.#touched.add(key)
          kept.push(row)
          break
        }
        if (this.#values === undefined) {
          this.#mustBeVisible(other)
          break
        }
        const changed = yield* this.#update(other, row)
        if (changed === 'gone') continue
        if (changed !== undefined) kept.push(changed)
        break
      }
    }
    return kept
  }

  /** The key of a row that has one of the proposed row's keys. Without one, those keys are locked. */
  *#conflicting(row: Row, key: Key): Generator<Pause, Key | undefined, undefined> {
    const { txn } = this.#x
    if (this.#byKey) {
      if (txn.getNewest(key) !== undefined) return key
      const waited = yield* this.#lock(key)
      if (waited && txn.getNewest(key) !== undefined) return key
    }
    for (const index of this.#indexes) {
      const entry = index.entry(row, key)
      if (entry === undefined || !index.meets) continue
      const found = this.#valueOf(entry)
      if (found !== undefined) return found
      const waited = yield* this.#lock(entry)
      if (!waited) continue
      const now = this.#valueOf(entry)
      if (now !== undefined) return now
    }
    return undefined
  }

  *#lock(key: Key): Generator<Pause, boolean, undefined> {
    const promise = this.#x.txn.lock(key, 'update', 'wait')
    if (!(promise instanceof Promise)) return false
    yield new Pause(promise)
    return true
  }

  #valueOf(entry: Key): Key | undefined {
    const found = this.#x.txn.getNewest(entry)
    return found === undefined ? undefined : (found.buffer.latin1Slice(found.start, found.end) as Key)
  }

  /** DO NOTHING because of a row that the transaction may not see is a conflict above READ COMMITTED. */
  #mustBeVisible(key: Key): void {
    const { txn } = this.#x
    if (txn.isolation === 'read-committed') return
    const found = txn.getNewest(key)
    if (found !== undefined && found.timestamp !== OWN_WRITE && found.timestamp > txn.snapshot)
      throw sqlError('40001', 'could not serialize access due to concurrent update')
  }

  /** undefined: WHERE left it alone. */
  *#update(key: Key, proposed: Row): Generator<Pause, MutableRow | 'gone' | undefined, undefined> {
    const { txn } = this.#x
    if (this.#touched.has(key)) {
      throw sqlError('21000', 'ON CONFLICT DO UPDATE command cannot affect row a second time', {
        hint: 'Ensure that no rows proposed for insertion within the same command have duplicate constrained values.',
      })
    }
    const promise = txn.lock(key, 'no-key-update', 'wait')
    if (promise instanceof Promise) yield new Pause(promise)
    // Nothing was read at the old snapshot that could change: the row may be newer without a restart.
    if (this.#insert.selfContained) txn.refresh()
    txn.checkUnchanged(key)
    const found = txn.getNewest(key)
    if (found === undefined) return 'gone'
    const old = this.#run.writer.read(found.buffer, found.start)
    const both: Value[] = old.concat(proposed)
    if (this.#where !== undefined && !this.#where(both)) return undefined
    const next = this.#values!(both)
    this.#run.prepare(next)
    for (let wait = this.#run.update(key, old, next); wait !== undefined; wait = this.#run.update(key, old, next))
      yield new Pause(wait)
    this.#touched.add(this.#run.key)
    return next
  }
}
