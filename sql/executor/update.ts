/**
 * UPDATE. Rows come from the input with their old columns first and their keys last; each is locked, compared with what the
 * snapshot saw, and written. A row that the input gives twice (UPDATE … FROM) is updated once.
 */

import type { Key } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import type { Plan } from '../plan/plan.ts'
import type { Row } from '../types/value.ts'
import { compileRow } from './compile.ts'
import type { Compiled, CompileEnv } from './env.ts'
import { withAssignments } from './insert.ts'
import { ForeignQueue } from './modify-foreign.ts'
import { beginModification, maySeeAgain, type Target, targetRows } from './modify-target.ts'
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
import { Pace, repeatable } from './pace.ts'

type UpdatePlan = Extract<Plan, { kind: 'update' }>

interface Update {
  readonly env: CompileEnv
  readonly table: RelationRow
  readonly live: number
  readonly target: Target
  readonly values: Compiled<MutableRow>
  readonly returning: Compiled<MutableRow> | undefined
  readonly checks: ViewChecks | undefined
}

export function compileUpdate(plan: UpdatePlan, env: CompileEnv): Operator {
  const table = env.catalog.relation(plan.table)
  invariant(table !== undefined, `relation ${plan.table}`)
  const update: Update = {
    env,
    table,
    live: table.columns.filter((column) => !column.dropped).length,
    target: targetRows(plan.input, table, 'no-key-update', env),
    values: compileRow(withAssignments(table, plan.assignments), env),
    returning: plan.returning && compileRow(plan.returning, env),
    checks: compileViewChecks(plan.checks, table, env),
  }
  return {
    run(x) {
      return updated(update, x)
    },
  }
}

function* updated(update: Update, x: Execution): Steps {
  beginModification(x)
  const queue = new ForeignQueue(x, update.env)
  const run = queue.table(update.table)
  const values = update.values.bind(x)
  const returning = update.returning?.bind(x)
  run.checkViews = update.checks?.bind(x)
  const { live, target } = update
  const pace = new Pace(x)
  for (const step of target.run(x)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    const out: RowBatch = []
    const again = maySeeAgain(target, x)
    for (const row of step) {
      const key = row[row.length - 1] as Key
      if (again && x.txn.hasHidden(key)) continue
      let next: MutableRow | undefined
      while ((next = repeatable(x, values, row)) === undefined) yield SLICE_OVER
      const old: Row = row.length === live + 1 ? row : row.slice(0, live)
      run.prepare(next)
      for (let wait = run.update(key, old, next); wait !== undefined; wait = run.update(key, old, next))
        yield new Pause(wait)
      x.affected++
      if (pace.over()) yield SLICE_OVER
      if (returning === undefined) continue
      for (let i = live; i < row.length - 1; i++) next.push(row[i]!)
      out.push(returning(next))
    }
    if (out.length > 0) yield out
    if (x.sliceOver()) yield SLICE_OVER
  }
  yield* queue.finish()
}
