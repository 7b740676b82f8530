/**
 * Window functions over input sorted by partition and order keys: one partition at a time, all its rows in memory, each
 * call giving one column of results.
 *
 * An aggregate over a frame that only grows is stepped forward; over one that slides, rows are taken out again when the
 * aggregate can (`inverse`), else it is computed anew for each frame that differs from the one before.
 */
import { notSupported, sqlError } from '../types/error.ts'
import type { Int64, Row, Value } from '../types/value.ts'
import { plainAggregate } from './accumulate.ts'
import { compilePredicate, compileRow, compileValue } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { compileFrames, type Frames, framePositions, type Partition, type WindowPlan } from './frame.ts'
import { rowWidener } from './join-row.ts'
import { Memory } from './memory.ts'
import { type Execution, type MutableRow, type Operator, Pause, SLICE_OVER, type Steps } from './operator.ts'
import { sameRows } from './same.ts'
import { inBatches } from './simple.ts'

type Call = WindowPlan['calls'][number]
/** One call over one partition: its value for each row. */
type Column = (p: Partition, frames: () => Frames) => Generator<Pause, Value[], undefined>

/** Steps between two looks at the time slice, less one: a mask. */
const STEPS = 4095

/** A partition may hold so much even when work_mem is less: it cannot go to a file. */
const PARTITION_BYTES_MIN = 256 << 20

export function compileWindow(plan: WindowPlan, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const partition = sameRows(env, plan.partition)
  const order =
    plan.order.length > 0
      ? sameRows(
          env,
          plan.order.map((key) => key.expression),
        )
      : undefined
  const frames = compileFrames(plan, env)
  const widened = rowWidener(plan.input.columns.length, plan.calls.length)
  const calls = plan.calls.map((call) =>
    call.aggregate ? compileFrameAggregate(plan, call, env) : compileWindowFunction(plan, call, env),
  )
  return {
    *run(x) {
      const samePartition = partition(x)
      const samePeers = order?.(x)
      const framesOf = frames(x)
      const columns = calls.map((call) => call(x))
      const newMemory = () => new Memory(Math.max(x.workMemBytes, PARTITION_BYTES_MIN), 'window partition')
      let memory = newMemory()
      let rows: MutableRow[] = []
      function* flush(): Steps {
        const p = { rows, ...peers(rows, samePeers) }
        let made: Frames | undefined
        const results: Value[][] = []
        for (const column of columns) {
          results.push(yield* column(p, () => (made ??= framesOf(p))))
          if (x.sliceOver()) yield SLICE_OVER
        }
        for (let i = 0; i < rows.length; i++) rows[i] = widened(rows[i]!, results, i)
        const done = rows
        rows = []
        memory = newMemory()
        yield* inBatches(done, () => x.sliceOver())
      }
      for (const step of input.run(x)) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        memory.addRows(step)
        for (const row of step) {
          if (rows.length > 0 && plan.partition.length > 0 && !samePartition(rows[rows.length - 1]!, row))
            yield* flush()
          rows.push(row)
        }
        if (x.sliceOver()) yield SLICE_OVER
      }
      if (rows.length > 0) yield* flush()
    },
  }
}

/** Rows equal in the order keys; without an order all rows are peers. */
function peers(rows: readonly Row[], same: ((a: Row, b: Row) => boolean) | undefined): Omit<Partition, 'rows'> {
  const groupOf = new Int32Array(rows.length)
  const groupStart = [0]
  if (same !== undefined) {
    for (let i = 1; i < rows.length; i++) {
      if (!same(rows[i - 1]!, rows[i]!)) groupStart.push(i)
      groupOf[i] = groupStart.length - 1
    }
  }
  groupStart.push(rows.length)
  return { groupOf, groupStart }
}

function compileFrameAggregate(plan: WindowPlan, call: Call, env: CompileEnv): (x: Execution) => Column {
  const aggregate = plainAggregate(call, env)
  const args = compileRow(call.args, env)
  const single = call.args.length === 1
  const first = compileValue(call.args[0] ?? { kind: 'const', value: null, type: call.type, typmod: -1 }, env)
  const filter = compilePredicate(call.filter, env)
  const { strict } = aggregate
  const growing = plan.start.kind === 'unbounded-preceding' && plan.exclude === 'none'
  return (x) => {
    const body = aggregate.make(x.context)
    const argsOf = args.bind(x)
    const only = first.bind(x)
    const holds = filter.bind(x)
    const part = (value: Value) => (strict && value === null ? undefined : value)
    return function* (p, framesOf) {
      let steps = 0
      const { rows } = p
      const frames = framesOf()
      // Each row's arguments once (a single one bare); undefined: the row takes no part.
      const inputs: unknown[] = single
        ? rows.map((row) => (holds(row) ? part(only(row)) : undefined))
        : rows.map((row) => {
            if (!holds(row)) return undefined
            const values = argsOf(row)
            return strict && values.includes(null) ? undefined : values
          })
      const stepOne = (at: number) => {
        const value = inputs[at]
        if (value !== undefined) state = body.step(state, value as Value)
      }
      const stepMany = (at: number) => {
        const values = inputs[at]
        if (values !== undefined) state = body.step(state, ...(values as Value[]))
      }
      const step = single ? stepOne : stepMany
      const results: Value[] = new Array<Value>(rows.length).fill(null)
      let state = body.init()
      if (plan.exclude !== 'none') {
        for (let i = 0; i < rows.length; i++) {
          state = body.init()
          for (const at of framePositions(plan, p, frames, i)) {
            step(at)
            if ((++steps & STEPS) === 0 && x.sliceOver()) yield SLICE_OVER
          }
          if ((i & 63) === 0 && x.sliceOver()) yield SLICE_OVER
          results[i] = body.final(state)
        }
        return results
      }
      const inverse = body.inverse?.bind(body)
      let start = 0
      let end = 0
      for (let i = 0; i < rows.length; i++) {
        const from = frames.start[i]!
        const to = frames.end[i]!
        if (i > 0 && from === start && to === end) {
          results[i] = results[i - 1]!
          continue
        }
        const anew =
          i === 0 || from >= end || (from > start && inverse === undefined) || (!growing && (from < start || to < end))
        if (anew) {
          state = body.init()
          for (let at = from; at < to; at++) {
            step(at)
            if ((++steps & STEPS) === 0 && x.sliceOver()) yield SLICE_OVER
          }
        } else {
          for (let at = start; at < from; at++) {
            const values = inputs[at]
            if (values !== undefined)
              state = single ? inverse!(state, values as Value) : inverse!(state, ...(values as Value[]))
          }
          for (let at = end; at < to; at++) {
            step(at)
            if ((++steps & STEPS) === 0 && x.sliceOver()) yield SLICE_OVER
          }
        }
        start = from
        end = to
        results[i] = body.final(state)
      }
      return results
    }
  }
}

/** What a window function sees: its arguments on any row of the partition. */
interface Scope {
  readonly plan: WindowPlan
  readonly p: Partition
  readonly frames: () => Frames
  /** Argument `index` evaluated on row `at`. */
  arg(index: number, at: number): Value
}
type WindowFunction = (scope: Scope) => (i: number) => Value

function compileWindowFunction(plan: WindowPlan, call: Call, env: CompileEnv): (x: Execution) => Column {
  const row = env.catalog.function(call.function)
  const body = WINDOW_FUNCTIONS[row?.source ?? '']
  const args = call.args.map((arg) => compileValue(arg, env))
  return (x) => {
    if (body === undefined) throw notSupported(`window function ${row?.name ?? call.function}`)
    const bound = args.map((arg) => arg.bind(x))
    return function* (p, frames) {
      const resultOf = body({ plan, p, frames, arg: (index, at) => bound[index]!(p.rows[at]!) })
      const results: Value[] = []
      for (let i = 0; i < p.rows.length; i++) {
        results.push(resultOf(i))
        if ((i & 63) === 63 && x.sliceOver()) yield SLICE_OVER
      }
      return results
    }
  }
}

/** By pg_proc.prosrc. PostgreSQL 15 manual, table 9.63. */
const WINDOW_FUNCTIONS: Readonly<Record<string, WindowFunction>> = {
  window_row_number: () => (i) => i + 1,
  window_rank:
    ({ p }) =>
    (i) =>
      rankOf(p, i),
  window_dense_rank:
    ({ p }) =>
    (i) =>
      p.groupOf[i]! + 1,
  window_percent_rank:
    ({ p }) =>
    (i) =>
      p.rows.length <= 1 ? 0 : (rankOf(p, i) - 1) / (p.rows.length - 1),
  window_cume_dist:
    ({ p }) =>
    (i) =>
      p.groupStart[p.groupOf[i]! + 1]! / p.rows.length,
  window_ntile: ntile,
  window_lag: (scope) =>
    offsetValue(
      scope,
      -1,
      () => 1,
      () => null,
    ),
  window_lag_with_offset: (scope) =>
    offsetValue(
      scope,
      -1,
      (i) => scope.arg(1, i),
      () => null,
    ),
  window_lag_with_offset_and_default: (scope) =>
    offsetValue(
      scope,
      -1,
      (i) => scope.arg(1, i),
      (i) => scope.arg(2, i),
    ),
  window_lead: (scope) =>
    offsetValue(
      scope,
      1,
      () => 1,
      () => null,
    ),
  window_lead_with_offset: (scope) =>
    offsetValue(
      scope,
      1,
      (i) => scope.arg(1, i),
      () => null,
    ),
  window_lead_with_offset_and_default: (scope) =>
    offsetValue(
      scope,
      1,
      (i) => scope.arg(1, i),
      (i) => scope.arg(2, i),
    ),
  window_first_value: (scope) => (i) => valueAt(scope, firstOf(framePositions(scope.plan, scope.p, scope.frames(), i))),
  window_last_value: (scope) => (i) => valueAt(scope, lastPosition(scope, i)),
  window_nth_value: (scope) => (i) => {
    const nth = scope.arg(1, i)
    if (nth === null) return null
    if ((nth as number) <= 0) throw sqlError('22016', 'argument of nth_value must be greater than zero')
    return valueAt(scope, nthPosition(scope, i, nth as number))
  },
}

const rankOf = (p: Partition, i: number): number => p.groupStart[p.groupOf[i]!]! + 1
const valueAt = (scope: Scope, at: number | undefined): Value => (at === undefined ? null : scope.arg(0, at))
const firstOf = (positions: Iterator<number>): number | undefined => {
  const next = positions.next()
  return next.done ? undefined : next.value
}

function lastPosition({ plan, p, frames }: Scope, i: number): number | undefined {
  const { start, end } = frames()
  if (plan.exclude === 'none') return end[i]! > start[i]! ? end[i]! - 1 : undefined
  let last: number | undefined
  for (const at of framePositions(plan, p, frames(), i)) last = at
  return last
}

function nthPosition({ plan, p, frames }: Scope, i: number, nth: number): number | undefined {
  const { start, end } = frames()
  if (plan.exclude === 'none') return start[i]! + nth - 1 < end[i]! ? start[i]! + nth - 1 : undefined
  let left = nth
  for (const at of framePositions(plan, p, frames(), i)) if (--left === 0) return at
  return undefined
}

function offsetValue(
  scope: Scope,
  direction: 1 | -1,
  offsetOf: (i: number) => Value,
  otherwise: (i: number) => Value,
): (i: number) => Value {
  return (i) => {
    const offset = offsetOf(i)
    if (offset === null) return null
    const at = i + direction * Number(offset as Int64)
    return at >= 0 && at < scope.p.rows.length ? scope.arg(0, at) : otherwise(i)
  }
}

/** Buckets as equal as they can be, the larger ones first. The argument is that of the partition's first row. */
function ntile(scope: Scope): (i: number) => Value {
  const buckets = scope.arg(0, 0) as number | null
  if (buckets === null) return () => null
  if (buckets <= 0) throw sqlError('22014', 'argument of ntile must be greater than zero')
  const size = Math.floor(scope.p.rows.length / buckets)
  const larger = scope.p.rows.length % buckets
  return (i) =>
    (i < larger * (size + 1) ? Math.floor(i / (size + 1)) : larger + Math.floor((i - larger * (size + 1)) / size)) + 1
}
