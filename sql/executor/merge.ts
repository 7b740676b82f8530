/**
 * MERGE. Rows come as pairs of target and source, the target's columns first and its key last; a source row without a
 * partner has no key. The first clause whose condition holds says what becomes of it; a target row is changed once.
 */
import type { Key } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import type { Plan } from '../plan/plan.ts'
import { sqlError } from '../types/error.ts'
import type { Row } from '../types/value.ts'
import { compilePredicate, compileRow } from './compile.ts'
import type { Compiled, CompileEnv } from './env.ts'
import { withAssignments } from './insert.ts'
import { EVENTS_MAX, ForeignQueue } from './modify-foreign.ts'
import type { TableRun } from './modify-rows.ts'
import { beginModification } from './modify-target.ts'
import { type Execution, type MutableRow, type Operator, Pause, SLICE_OVER, type Steps } from './operator.ts'
import { Pace, repeatable } from './pace.ts'

type MergePlan = Extract<Plan, { kind: 'merge' }>

interface Clause {
  readonly matched: boolean
  readonly kind: 'update' | 'insert' | 'delete' | 'nothing'
  readonly condition: Compiled<boolean> | undefined
  /** The new row, of an UPDATE or INSERT. */
  readonly values: Compiled<MutableRow> | undefined
}

export function compileMerge(plan: MergePlan, env: CompileEnv): Operator {
  const table = env.catalog.relation(plan.table)
  invariant(table !== undefined, `relation ${plan.table}`)
  const input = env.compilePlan(plan.input, env)
  const clauses = plan.actions.map((action): Clause => {
    const values =
      action.kind === 'update'
        ? withAssignments(table, action.assignments)
        : action.kind === 'insert'
          ? action.values
          : undefined
    return {
      matched: action.matched,
      kind: action.kind,
      condition: action.condition && compilePredicate(action.condition, env),
      values: values && compileRow(values, env),
    }
  })
  return {
    run(x) {
      return merged(table, input, clauses, env, x)
    },
  }
}

function* merged(
  table: RelationRow,
  input: Operator,
  clauses: readonly Clause[],
  env: CompileEnv,
  x: Execution,
): Steps {
  beginModification(x)
  const queue = new ForeignQueue(x, env)
  const run = queue.table(table)
  const live = table.columns.filter((column) => !column.dropped).length
  const bound = clauses.map(({ matched, kind, condition, values }) => ({
    matched,
    kind,
    holds: condition?.bind(x),
    values: values?.bind(x),
  }))
  const touched = new Set<Key>()
  const pace = new Pace(x)
  for (const step of input.run(x)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    for (const row of step) {
      const key = row[row.length - 1] as Key | null
      for (const { matched, kind, holds, values } of bound) {
        if (matched === (key === null)) continue
        if (holds !== undefined) {
          let taken: boolean | undefined
          while ((taken = repeatable(x, holds, row)) === undefined) yield SLICE_OVER
          if (!taken) continue
        }
        if (kind === 'nothing') break
        let next: MutableRow | undefined
        if (values !== undefined) while ((next = repeatable(x, values, row)) === undefined) yield SLICE_OVER
        if (key === null) yield* put(run, next!)
        else {
          if (touched.has(key)) throw twice()
          touched.add(key)
          yield* change(run, key, row.length === live + 1 ? row : row.slice(0, live), next)
        }
        x.affected++
        break
      }
      if (pace.over()) yield SLICE_OVER
    }
    if (queue.pending >= EVENTS_MAX) yield* queue.early(table)
    if (x.sliceOver()) yield SLICE_OVER
  }
  yield* queue.finish()
}

function* put(run: TableRun, row: MutableRow): Generator<Pause, void, undefined> {
  run.prepare(row)
  const key = run.newKey(row)
  for (let wait = run.insert(row, key, false); wait !== undefined; wait = run.insert(row, key, false))
    yield new Pause(wait)
}

/** `next` undefined: the row is deleted. */
function* change(run: TableRun, key: Key, old: Row, next: MutableRow | undefined): Generator<Pause, void, undefined> {
  if (next !== undefined) run.prepare(next)
  const work = () => (next === undefined ? run.delete(key, old) : run.update(key, old, next))
  for (let wait = work(); wait !== undefined; wait = work()) yield new Pause(wait)
}

const twice = () =>
  sqlError('21000', 'MERGE command cannot affect row a second time', {
    hint: 'Ensure that not more than one source row matches any one target row.',
  })
