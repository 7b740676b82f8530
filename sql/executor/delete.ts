/** DELETE. Rows come from the input with their columns first and their keys last; one that comes twice is deleted once. */
import type { Key } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import type { Plan } from '../plan/plan.ts'
import { compileRow } from './compile.ts'
import type { Compiled, CompileEnv } from './env.ts'
import { ForeignQueue } from './modify-foreign.ts'
import { beginModification, maySeeAgain, type Target, targetRows } from './modify-target.ts'
import {
  type Execution,
  type MutableRow,
  type Operator,
  Pause,
  type RowBatch,
  SLICE_OVER,
  type Steps,
} from './operator.ts'

type DeletePlan = Extract<Plan, { kind: 'delete' }>

interface Delete {
  readonly env: CompileEnv
  readonly table: RelationRow
  readonly target: Target
  readonly returning: Compiled<MutableRow> | undefined
}

export function compileDelete(plan: DeletePlan, env: CompileEnv): Operator {
  const table = env.catalog.relation(plan.table)
  invariant(table !== undefined, `relation ${plan.table}`)
  const compiled: Delete = {
    env,
    table,
    target: targetRows(plan.input, table, 'update', env),
    returning: plan.returning && compileRow(plan.returning, env),
  }
  return {
    run(x) {
      return deleted(compiled, x)
    },
  }
}

function* deleted({ env, table, target, returning }: Delete, x: Execution): Steps {
  beginModification(x)
  const queue = new ForeignQueue(x, env)
  const run = queue.table(table)
  const output = returning?.bind(x)
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
      for (let wait = run.delete(key, row); wait !== undefined; wait = run.delete(key, row)) yield new Pause(wait)
      x.affected++
      if (output !== undefined) out.push(output(row))
    }
    if (out.length > 0) yield out
    if (x.sliceOver()) yield SLICE_OVER
  }
  yield* queue.finish()
}
