/** Operators without state of their own: Result, Values, Filter, Project, Append. */
import type { Plan } from '../plan/plan.ts'
import { compilePredicate, compileRow } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { BATCH_ROWS, type MutableRow, type Operator, Pause, type RowBatch, SLICE_OVER } from './operator.ts'

type Of<K extends Plan['kind']> = Extract<Plan, { kind: K }>

/** One row without input. */
export function compileResult(plan: Of<'result'>, env: CompileEnv): Operator {
  const targets = compileRow(plan.targets, env)
  const filter = plan.filter && compilePredicate(plan.filter, env)
  return {
    *run(x) {
      if (filter === undefined || filter.bind(x)([])) yield [targets.bind(x)([])]
    },
  }
}

export function compileValues(plan: Of<'values'>, env: CompileEnv): Operator {
  // Each row is evaluated once a run: code of its own would not pay.
  const rows = plan.rows.map((row) => compileRow(row, { ...env, mode: 'once' }))
  return {
    *run(x) {
      for (let from = 0; from < rows.length; from += BATCH_ROWS) {
        yield rows.slice(from, from + BATCH_ROWS).map((row) => row.bind(x)([]))
      }
    },
  }
}

export function compileFilter(plan: Of<'filter'>, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const predicate = compilePredicate(plan.predicate, env)
  return {
    *run(x) {
      const holds = predicate.bind(x)
      const instrument = x.instruments?.get(plan)
      let removed = 0
      for (const step of input.run(x)) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        const kept: RowBatch = []
        for (const row of step) if (holds(row)) kept.push(row)
        removed += step.length - kept.length
        if (instrument !== undefined) instrument.extra['Rows Removed by Filter'] = removed
        if (kept.length > 0) yield kept
      }
    },
  }
}

export function compileProject(plan: Of<'project'>, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const targets = compileRow(plan.targets, env)
  return {
    *run(x) {
      const project = targets.bind(x)
      for (const step of input.run(x)) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        for (let i = 0; i < step.length; i++) step[i] = project(step[i]!)
        yield step
      }
    },
  }
}

export function compileAppend(plan: Of<'append'>, env: CompileEnv): Operator {
  const inputs = plan.inputs.map((input) => env.compilePlan(input, env))
  return {
    *run(x) {
      for (const input of inputs) yield* input.run(x)
    },
  }
}

/** Batches of rows that are already there, with a look at the time slice between them. */
export function* inBatches(rows: readonly MutableRow[], sliceOver: () => boolean) {
  for (let from = 0; from < rows.length; from += BATCH_ROWS) {
    if (from > 0 && sliceOver()) yield SLICE_OVER
    yield from === 0 && rows.length <= BATCH_ROWS ? (rows as RowBatch) : rows.slice(from, from + BATCH_ROWS)
  }
}
