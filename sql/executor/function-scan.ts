/** Functions that return sets: in FROM (several side by side, WITH ORDINALITY, composites spread over columns) and in the target list. */
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import { rewrite, some } from '../plan/walk.ts'
import type { CallContext } from '../types/function.ts'
import { OID } from '../types/oids.ts'
import { RecordValue, type Row, type Value } from '../types/value.ts'
import { compileRow, compileValue } from './compile.ts'
import type { CompileEnv, ExpressionEnv } from './env.ts'
import { type CallSite, callInfo, notImplemented, siteOfCall } from './functions.ts'
import {
  BATCH_ROWS,
  type Execution,
  type MutableRow,
  type Operator,
  Pause,
  type RowBatch,
  SLICE_OVER,
} from './operator.ts'

type Of<K extends Plan['kind']> = Extract<Plan, { kind: K }>
type Call = Extract<Expression, { kind: 'call' }>
type Columns = Of<'function-scan'>['calls'][number]['columns']

const isSet = (e: Expression): e is Call => e.kind === 'call' && e.setReturning

/** The sets a call gives, row by row of its input. A strict one with a NULL argument gives none. */
function compileSet(e: Call, env: ExpressionEnv, columns?: Columns): (x: Execution) => (row: Row) => Iterator<Value> {
  const site = siteOfCall(env.catalog, e)
  const args = compileRow(e.args, env)
  return (x) => {
    const values = args.bind(x)
    let body: ((...args: Value[]) => Iterable<Value>) | undefined
    return (row) => {
      const given = values(row)
      if (site.strict && given.includes(null)) return NONE[Symbol.iterator]()
      body ??= bindSet(site, x.context, columns)
      return body(...given)[Symbol.iterator]()
    }
  }
}
const NONE: readonly Value[] = []

/** A set that statements give (a user's function) hands up what they wait for among its values. */
const isPause = (value: unknown): value is Pause => value instanceof Pause

function bindSet(
  site: CallSite,
  context: CallContext,
  columns: Columns | undefined,
): (...args: Value[]) => Iterable<Value> {
  const { body } = site
  if (body?.kind !== 'set') throw notImplemented(site.signature)
  const info = callInfo(site, context)
  return body.bind(columns === undefined ? info : { ...info, columns }) as unknown as (
    ...args: Value[]
  ) => Iterable<Value>
}

export function compileFunctionScan(plan: Of<'function-scan'>, env: CompileEnv): Operator {
  // Arguments are evaluated once a run.
  const once = { ...env, mode: 'once' as const }
  const sources = plan.calls.map(({ call, columns, composite }) => ({
    width: columns.length,
    composite,
    open: isSet(call) ? compileSet(call, once, columns) : single(call, once, columns),
  }))
  return {
    *run(x) {
      const open = sources.map(({ open }) => open(x)([]))
      const ended = sources.map(() => false)
      let left = sources.length
      let ordinal = 0
      let out: RowBatch = []
      for (;;) {
        const row: MutableRow = []
        for (let i = 0; i < sources.length; i++) {
          const { width, composite } = sources[i]!
          let value: Value = null
          if (!ended[i]) {
            const next = open[i]!.next()
            if (isPause(next.value)) {
              yield next.value
              i--
              continue
            }
            if (next.done) {
              ended[i] = true
              left--
            } else value = next.value
          }
          if (composite)
            for (let c = 0; c < width; c++) row.push(value instanceof RecordValue ? (value.values[c] ?? null) : null)
          else row.push(value)
        }
        if (left === 0) break
        if (plan.ordinality) row.push(++ordinal)
        out.push(row)
        if (out.length < BATCH_ROWS) continue
        yield out
        out = []
        if (x.sliceOver()) yield SLICE_OVER
      }
      if (out.length > 0) yield out
    },
  }
}

/** A call that returns no set is a set of one; one that gives a record is told its column definition list. */
function single(e: Expression, env: ExpressionEnv, columns: Columns): (x: Execution) => (row: Row) => Iterator<Value> {
  if (e.kind === 'call' && e.type === OID.record) {
    const site = siteOfCall(env.catalog, e)
    const { body } = site
    if (body?.kind === 'bound') {
      const args = compileRow(e.args, env)
      return (x) => {
        const values = args.bind(x)
        const call = body.bind({ ...callInfo(site, x.context), columns }) as unknown as (...args: Value[]) => Value
        return (row) => {
          const given = values(row)
          return [site.strict && given.includes(null) ? null : call(...given)].values()
        }
      }
    }
  }
  const value = compileValue(e, env)
  return (x) => {
    const of = value.bind(x)
    return (row) => [of(row)].values()
  }
}

/**
 * One output row a position of the longest set, NULL where a shorter one has ended; none when all are empty. Sets inside
 * the arguments of sets are a level of their own, done before: each level appends its sets' values to the row, and the
 * targets are at last computed over the widened row.
 */
export function compileProjectSet(plan: Of<'project-set'>, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const levels: ((x: Execution) => (row: Row) => Iterator<Value>)[][] = []
  let { targets } = plan
  let width = plan.input.columns.length
  while (targets.some((target) => some(target, isSet))) {
    const level: ((x: Execution) => (row: Row) => Iterator<Value>)[] = []
    targets = targets.map((target) =>
      rewrite(target, (e) => {
        // Bottom up: a call whose arguments hold no set any more (those of this level are columns beyond the width).
        if (!isSet(e) || e.args.some((arg) => some(arg, (n) => isSet(n) || (n.kind === 'column' && n.index >= width))))
          return e
        level.push(compileSet(e, env))
        return { kind: 'column', index: width + level.length - 1, type: e.type, typmod: e.typmod }
      }),
    )
    levels.push(level)
    width += level.length
  }
  const project = compileRow(targets, env)
  return {
    *run(x) {
      const bound = levels.map((level) => level.map((open) => open(x)))
      const final = project.bind(x)
      let out: RowBatch = []
      function* expand(row: Row, depth: number): Generator<RowBatch | Pause, void, undefined> {
        const level = bound[depth]
        if (level === undefined) {
          out.push(final(row))
          if (out.length < BATCH_ROWS) return
          yield out
          out = []
          if (x.sliceOver()) yield SLICE_OVER
          return
        }
        const sets = level.map((open) => open(row))
        const ended = sets.map(() => false)
        for (;;) {
          const wide = row.slice()
          let any = false
          for (let i = 0; i < sets.length; i++) {
            let value: Value = null
            if (!ended[i]) {
              const next = sets[i]!.next()
              if (isPause(next.value)) {
                yield next.value
                i--
                continue
              }
              if (next.done) ended[i] = true
              else {
                any = true
                value = next.value
              }
            }
            wide.push(value)
          }
          if (!any) return
          yield* expand(wide, depth + 1)
        }
      }
      for (const step of input.run(x)) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        for (const row of step) yield* expand(row, 0)
      }
      if (out.length > 0) yield out
    },
  }
}
