/**
 * The exact way to the nearest rows: the table is scanned (or the rows that another index names are fetched), filtered,
 * measured with the operator's own function, and sorted. What went up before stays out.
 */
import type { Key } from '../../storage/keys/brand.ts'
import type { Page } from '../../storage/kv/kv.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import type { ColumnInfo } from '../plan/query.ts'
import { OID } from '../types/oids.ts'
import type { Value } from '../types/value.ts'
import { isIndexed } from '../vector/entry.ts'
import { RowList } from '../vector/row-list.ts'
import type { VectorIndexSpec } from '../vector/vector-index.ts'
import type { Compiled, CompileEnv } from './env.ts'
import { BATCH_ROWS, type Execution, type Operator, Pause, type RowBatch, SLICE_OVER, type Steps } from './operator.ts'
import { compilePages, compileScan } from './scan.ts'
import { compileSort } from './sort.ts'
import { type Exact, KEY_COLUMN, type Keys, type Only, type Run, rowsPlan, type VectorScan } from './vector-site.ts'

export function compileExact(
  plan: VectorScan,
  spec: VectorIndexSpec,
  value: Compiled<Value>,
  within: Compiled<boolean>,
  keys: Keys | undefined,
  env: CompileEnv,
): Exact {
  const conditions = conjunction(plan.filter, plan.predicate)
  const from = rowsPlan(plan, conditions, true)
  const distanceAt = plan.wanted.length
  const columns = [...from.columns.slice(0, distanceAt), DISTANCE_COLUMN, KEY_COLUMN]
  // What stands in the place of the sort's input: `measure` makes its rows.
  const measured: Plan = {
    kind: 'project',
    input: from,
    targets: columns.map((column, i) => columnAt(i, column)),
    columns,
    estimate: plan.estimate,
  }
  /** Of the run that is being started; read at once. */
  let starting: { readonly run: Run; readonly only: Only | undefined } | undefined
  let scan: Operator | undefined
  let pages: ReturnType<typeof compilePages> | undefined
  const input: Operator = {
    run(x) {
      const { run, only } = starting!
      if (only === undefined && keys === undefined) return measure(run, (scan ??= compileScan(from, env)).run(x), false)
      pages ??= compilePages(from, env)
      return measure(run, pages(x, rowPages(x, only?.rows ?? keys!)), only?.firstOnly === true)
    },
  }
  const key = {
    expression: columnAt(distanceAt, DISTANCE_COLUMN),
    descending: false,
    nullsFirst: plan.nulls === 'first',
  }
  const sorting = (limit: Expression | undefined, offset: Expression | undefined): Operator =>
    compileSort(
      { kind: 'sort', input: measured, keys: [key], limit, offset, presorted: 0, columns, estimate: plan.estimate },
      { ...env, compilePlan: () => input },
    )
  let limited: Operator | undefined
  let whole: Operator | undefined

  const isFirst = (distance: number | null): boolean =>
    distance === null ? plan.nulls === 'first' : Number.isNaN(distance) && plan.nans === 'first'

  function* measure(run: Run, steps: Steps, firstOnly: boolean): Steps {
    const { x, query, given } = run
    const vectorOf = value.bind(x)
    const holds = within.bind(x)
    for (const step of steps) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      const out: RowBatch = []
      for (const row of step) {
        const key = row.pop()!
        if (given.has(key as Key)) continue
        const own = vectorOf(row)
        if (!plan.others && (own === null || !isIndexed(spec, own))) continue
        const distance = own === null || query === null ? null : spec.distance(own, query)
        if (firstOnly && !isFirst(distance)) continue
        row.length = distanceAt
        row.push(distance, key)
        if (holds(row)) out.push(row)
      }
      if (out.length > 0) yield out
    }
  }

  return function* exact(run, only) {
    const isLimited = Number.isFinite(run.wanted) && !plan.ties
    for (;;) {
      const before = run.given.size
      const sort = isLimited
        ? (limited ??= sorting(plan.limit, plan.offset))
        : (whole ??= sorting(undefined, undefined))
      starting = { run, only }
      for (const step of sort.run(run.x)) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        for (const row of step) {
          run.given.add(row.at(-1) as Key)
          if (!plan.withKey) row.pop()
        }
        yield step
      }
      // Whoever wants more than the limit (rows that were locked are skipped) has the next ones.
      if (!isLimited || run.given.size < before + run.wanted) return
    }
  }
}

function* rowPages(x: Execution, from: RowList | NonNullable<Keys>): Generator<Page | Pause, void, undefined> {
  if (!(from instanceof RowList)) {
    const rows = new RowList()
    try {
      yield* from(x, rows)
      yield* rowPages(x, rows)
    } finally {
      rows.release()
    }
    return
  }
  const rows = from
  for (let i = 0; i < rows.count; i += BATCH_ROWS) {
    yield x.txn.getMany(rows.keys(i, Math.min(rows.count, i + BATCH_ROWS)))
    if (x.sliceOver()) yield SLICE_OVER
  }
}

const DISTANCE_COLUMN: ColumnInfo = { name: '', type: OID.float8, typmod: -1 }
const columnAt = (index: number, { type, typmod }: ColumnInfo): Expression => ({ kind: 'column', index, type, typmod })

const conjunction = (...conditions: readonly (Expression | undefined)[]): Expression | undefined => {
  const args = conditions.filter((e) => e !== undefined)
  return args.length > 1 ? { kind: 'and', args, type: OID.bool, typmod: -1 } : args[0]
}
