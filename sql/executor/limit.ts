/** LIMIT and OFFSET, WITH TIES (input sorted by its keys), and Unique over sorted input. */
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import { sqlError } from '../types/error.ts'
import type { Int64, Row } from '../types/value.ts'
import { compileRow, compileValue } from './compile.ts'
import type { CompileEnv, ExpressionEnv } from './env.ts'
import { type Execution, type Operator, Pause, type RowBatch, type Steps } from './operator.ts'
import { rowOrder, sortColumns } from './order.ts'

type Of<K extends Plan['kind']> = Extract<Plan, { kind: K }>

/** Rows to skip and rows to give (undefined: all). Throws 2201W, 2201X for negative ones. NULL is no limit. */
export function compileLimits(limit: Expression | undefined, offset: Expression | undefined, env: ExpressionEnv) {
  const once = { ...env, mode: 'once' as const }
  const limitValue = limit && compileValue(limit, once)
  const offsetValue = offset && compileValue(offset, once)
  return (x: Execution): { readonly skip: number; readonly count: number } => {
    const skip = (offsetValue?.bind(x)([]) ?? null) as Int64 | null
    if (skip !== null && skip < 0) throw sqlError('2201X', 'OFFSET must not be negative')
    const count = (limitValue?.bind(x)([]) ?? null) as Int64 | null
    if (count !== null && count < 0) throw sqlError('2201W', 'LIMIT must not be negative')
    return { skip: skip === null ? 0 : Number(skip), count: count === null ? Number.POSITIVE_INFINITY : Number(count) }
  }
}

export function compileLimit(plan: Of<'limit'>, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const limits = compileLimits(plan.limit, plan.offset, env)
  const ties = plan.ties && tieKeys(plan.ties, env)
  return {
    run(x) {
      const { skip, count } = limits(x)
      return limited(input, skip, count, ties?.(x), x)
    },
  }
}

function* limited(
  input: Operator,
  offset: number,
  limit: number,
  tie: ((a: Row, b: Row) => boolean) | undefined,
  x: Execution,
): Steps {
  let skip = offset
  let count = limit
  let last: Row = []
  if (count === 0) return
  for (const step of input.run(x)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    if (skip >= step.length) {
      skip -= step.length
      continue
    }
    const rows = skip > 0 ? step.slice(skip) : step
    skip = 0
    if (tie === undefined) {
      yield rows.length <= count ? rows : rows.slice(0, count)
      count -= rows.length
      if (count <= 0) return
      continue
    }
    // With ties, the rows equal to the limit's last one may go on in later batches. A copy: the receiver owns the row.
    if (count > 0) last = rows[Math.min(count, rows.length) - 1]!.slice()
    let end = Math.min(count, rows.length)
    count -= end
    if (count === 0) while (end < rows.length && tie(last, rows[end]!)) end++
    if (end > 0) yield rows.slice(0, end)
    if (end < rows.length) return
  }
}

function tieKeys(keys: NonNullable<Of<'limit'>['ties']>, env: CompileEnv) {
  const values = compileRow(
    keys.map((key) => key.expression),
    env,
  )
  const { columns } = sortColumns(
    keys.map((key, index) => ({
      ...key,
      expression: { kind: 'column', index, type: key.expression.type, typmod: -1 },
    })),
    keys.length,
    env,
  )
  const order = rowOrder(env.catalog, columns)
  return (x: Execution) => {
    const of = values.bind(x)
    return (a: Row, b: Row) => order(of(a), of(b)) === 0
  }
}

export function compileUnique(plan: Of<'unique'>, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const order = rowOrder(
    env.catalog,
    plan.by.map((column) => ({ column, type: plan.input.columns[column]!.type, descending: false, nullsFirst: false })),
  )
  return {
    *run(x) {
      let before: Row | undefined
      for (const step of input.run(x)) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        const kept: RowBatch = []
        for (const row of step) {
          if (before === undefined || order(before, row) !== 0) {
            // A copy: the receiver may do with the row what it wants.
            before = row.slice()
            kept.push(row)
          }
        }
        if (kept.length > 0) yield kept
      }
    },
  }
}
