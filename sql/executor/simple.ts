/** Operators without state of their own: Result, Values, Filter, Project, Append. */
import type { Plan } from '../plan/plan.ts'
import { compilePredicate, compileRow } from './compile.ts'
import type { Compiled, CompileEnv } from './env.ts'
import {
  BATCH_ROWS,
  type Execution,
  type MutableRow,
  type Operator,
  Pause,
  type RowBatch,
  SLICE_OVER,
  type Steps,
} from './operator.ts'
import { Pace, paced, type Stretch } from './pace.ts'

type Of<K extends Plan['kind']> = Extract<Plan, { kind: K }>

// The generators are functions of the module: the first call of a generator function costs 2 us, a closure's every time
// a plan is compiled.

/** One row without input. */
export function compileResult(plan: Of<'result'>, env: CompileEnv): Operator {
  const targets = compileRow(plan.targets, env)
  const filter = plan.filter && compilePredicate(plan.filter, env)
  return {
    run(x) {
      return result(targets, filter, x)
    },
  }
}
function* result(targets: Compiled<MutableRow>, filter: Compiled<boolean> | undefined, x: Execution): Steps {
  const holds = filter?.bind(x)
  const project = targets.bind(x)
  const out: RowBatch = []
  const stretch: Stretch = { at: 0, failed: undefined }
  const pace = new Pace(x)
  const each = () => {
    if (holds === undefined || holds([])) out.push(project([]))
  }
  while (!paced(x, pace, 1, stretch, each)) yield SLICE_OVER
  if (stretch.failed !== undefined) throw stretch.failed.error
  if (out.length > 0) yield out
}

export function compileValues(plan: Of<'values'>, env: CompileEnv): Operator {
  // Each row is evaluated once a run: code of its own would not pay, and constants are copied.
  const once: CompileEnv = { ...env, mode: 'once' }
  const rows = plan.rows.map((row): Compiled<MutableRow> => {
    const constants = row.flatMap((cell) => (cell.kind === 'const' ? [cell.value] : []))
    return constants.length === row.length ? { bind: () => () => constants.slice() } : compileRow(row, once)
  })
  return {
    run(x) {
      return values(rows, x)
    },
  }
}
function* values(rows: readonly Compiled<MutableRow>[], x: Execution): Steps {
  for (let from = 0; from < rows.length; from += BATCH_ROWS) {
    yield rows.slice(from, from + BATCH_ROWS).map((row) => row.bind(x)([]))
  }
}

export function compileFilter(plan: Of<'filter'>, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const predicate = compilePredicate(plan.predicate, env)
  return {
    run(x) {
      return filtered(plan, input, predicate, x)
    },
  }
}
export function* filtered(plan: Plan, input: Operator, predicate: Compiled<boolean>, x: Execution): Steps {
  const holds = predicate.bind(x)
  const pace = new Pace(x)
  const instrument = x.instruments?.get(plan)
  let removed = 0
  for (const step of input.run(x)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    const kept: RowBatch = []
    const stretch: Stretch = { at: 0, failed: undefined }
    const test = (i: number) => {
      if (holds(step[i]!)) kept.push(step[i]!)
    }
    while (!paced(x, pace, step.length, stretch, test)) yield SLICE_OVER
    removed += step.length - kept.length
    if (instrument !== undefined) instrument.extra['Rows Removed by Filter'] = removed
    if (kept.length > 0) yield kept
    if (stretch.failed !== undefined) throw stretch.failed.error
  }
}

export function compileProject(plan: Of<'project'>, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const targets = compileRow(plan.targets, env)
  return {
    run(x) {
      return projected(input, targets, x)
    },
  }
}
function* projected(input: Operator, targets: Compiled<MutableRow>, x: Execution): Steps {
  const project = targets.bind(x)
  const pace = new Pace(x)
  for (const step of input.run(x)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    const stretch: Stretch = { at: 0, failed: undefined }
    const each = (i: number) => {
      step[i] = project(step[i]!)
    }
    while (!paced(x, pace, step.length, stretch, each)) yield SLICE_OVER
    if (stretch.failed !== undefined) step.length = stretch.at
    if (step.length > 0) yield step
    if (stretch.failed !== undefined) throw stretch.failed.error
  }
}

export function compileAppend(plan: Of<'append'>, env: CompileEnv): Operator {
  const inputs = plan.inputs.map((input) => env.compilePlan(input, env))
  return {
    run(x) {
      return appended(inputs, x)
    },
  }
}
function* appended(inputs: readonly Operator[], x: Execution): Steps {
  for (const input of inputs) yield* input.run(x)
}

/** Batches of rows that are already there, with a look at the time slice between them. */
export function* inBatches(rows: readonly MutableRow[], sliceOver: () => boolean) {
  for (let from = 0; from < rows.length; from += BATCH_ROWS) {
    if (from > 0 && sliceOver()) yield SLICE_OVER
    yield from === 0 && rows.length <= BATCH_ROWS ? (rows as RowBatch) : rows.slice(from, from + BATCH_ROWS)
  }
}
