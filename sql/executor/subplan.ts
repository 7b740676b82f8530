/**
 * A subquery inside an expression: EXISTS, scalar, ARRAY, op ANY and op ALL. It runs synchronously while the row that asks
 * is evaluated, to its end, or in stretches where the row can be evaluated again (pace.ts). One without parameters runs once an execution and its answer is kept; for `= ANY` its rows
 * are hashed.
 */
import type { Expression, SubqueryLink } from '../plan/expression.ts'
import type { Plan, SubplanExpression } from '../plan/plan.ts'
import { notSupported, sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { ArrayValue, type Row, type Value } from '../types/value.ts'
import type { ExpressionEnv } from './env.ts'
import { bindNullSafe, type Callable, type CallSite, callSite } from './functions.ts'
import { type KeyTable, keyTable, sameHash } from './hashing.ts'
import { type Execution, type Operator, Pause, SLICE_OVER } from './operator.ts'
import { MUST_NOT_WAIT } from './pace.ts'
import { freeSlots } from './plan-walk.ts'

type Quantified = Extract<SubqueryLink, { kind: 'any' | 'all' }>

/** Where a subplan stands: made once a plan. */
export interface SubplanSite {
  readonly expression: SubplanExpression
  readonly operator: () => Operator
  /** Outer slots that the plan reads besides its own parameters: a kept answer holds only while they stay the same. */
  readonly watched: readonly number[]
  readonly quantified: QuantifiedSite | undefined
}
interface QuantifiedSite {
  readonly all: boolean
  readonly opName: string
  readonly compare: readonly CallSite[]
  /** For ordering row comparisons: equality of each column. */
  readonly equals: readonly (CallSite | undefined)[]
  /** Makes a table for hashed look-ups; undefined: the comparison is not plain equality. */
  readonly table: (() => KeyTable) | undefined
}

export function subplanSite(e: SubplanExpression, env: ExpressionEnv): SubplanSite {
  let operator: Operator | undefined
  const plan = converted(e)
  return {
    expression: e,
    operator: () => (operator ??= env.compilePlan(plan, env)),
    watched: [...freeSlots(e.plan)],
    quantified: e.link.kind === 'any' || e.link.kind === 'all' ? quantifiedSite(e.link, env) : undefined,
  }
}

/** The plan with its columns brought to the operators' types. */
function converted({ link, plan }: SubplanExpression): Plan {
  if ((link.kind !== 'any' && link.kind !== 'all') || link.right.every((e, i) => e.kind === 'column' && e.index === i))
    return plan
  const columns = link.right.map((e) => ({ name: '', type: e.type, typmod: e.typmod }))
  return { kind: 'project', input: plan, targets: link.right, columns, estimate: plan.estimate }
}

function quantifiedSite(link: Quantified, env: ExpressionEnv): QuantifiedSite {
  const { catalog } = env
  const all = link.kind === 'all'
  const sites = link.functions.map((fn, i) => callSite(catalog, fn, [link.left[i]!, link.right[i]!], OID.bool))
  const equals = link.left.map((left, i) => {
    const operator = catalog.operator(link.operators[i]!)
    const equal =
      operator && catalog.operatorsByName('=').find((o) => o.left === operator.left && o.right === operator.right)
    return equal && callSite(catalog, equal.function, [left, link.right[i]!], OID.bool)
  })
  const hashable =
    (link.opName === '=' && !all) || (link.opName === '<>' && all)
      ? link.operators.every((op, i) => {
          const equality = all ? catalog.operator(op)?.negator : op
          return (
            equality !== undefined &&
            catalog.btreeStrategy(equality)?.strategy === 3 &&
            sameHash(catalog, link.left[i]!.type, link.right[i]!.type) !== undefined
          )
        })
      : false
  return {
    all,
    opName: link.opName,
    compare: sites,
    equals,
    table: hashable
      ? () =>
          keyTable(
            catalog,
            link.left.map((e: Expression) => e.type),
          )
      : undefined,
  }
}

/** An answer in the making: yields the pauses of the subquery's plan. */
type Asking<T> = Generator<Pause, T, undefined>

/** Answers in the making of an execution: left when it ends in the middle of one. */
const ASKING = Symbol('subqueries that stopped')
export function closeSubplans(x: Execution): void {
  for (const asking of (x.kept.get(ASKING) as Set<Asking<unknown>> | undefined) ?? []) asking.return(undefined)
}

/**
 * Gives an answer within one evaluation, or, where the evaluation can be repeated, throws SLICE_OVER at the end of the
 * slice and goes on in the next one.
 */
function asked<T>(x: Execution, start: () => Asking<T>): () => T {
  let asking: Asking<T> | undefined
  /** Something that the subquery waits for: until then, every slice is over at once. */
  let waiting: { isOver: boolean } | undefined
  return () => {
    const mayPause = x.mayPause
    if (waiting?.isOver === false) throw SLICE_OVER
    waiting = undefined
    const mustNotWait = x.kept.get(MUST_NOT_WAIT) === true || !mayPause
    const before = x.kept.get(MUST_NOT_WAIT)
    const goingOn = (asking ??= start())
    // What evaluates inside may itself stop only where it says so.
    x.mayPause = false
    x.kept.set(MUST_NOT_WAIT, mustNotWait)
    let stopped = false
    try {
      for (;;) {
        const { value, done } = goingOn.next()
        if (done) return value
        if (value.promise !== undefined) {
          if (mustNotWait) throw notSupported('a subquery that waits for a lock')
          const pending = { isOver: false }
          const over = (): void => {
            pending.isOver = true
          }
          value.promise.then(over, over)
          waiting = pending
        }
        if (!mayPause) continue
        stopped = true
        let all = x.kept.get(ASKING) as Set<Asking<unknown>> | undefined
        if (all === undefined) x.kept.set(ASKING, (all = new Set()))
        all.add(goingOn)
        throw SLICE_OVER
      }
    } finally {
      x.mayPause = mayPause
      x.kept.set(MUST_NOT_WAIT, before)
      if (!stopped) {
        asking = undefined
        if (mayPause) (x.kept.get(ASKING) as Set<Asking<unknown>> | undefined)?.delete(goingOn)
      }
    }
  }
}

/** The subquery as one execution asks it, with the values left of its operator. Parameters stand in their outer slots. */
export function bindSubplan(site: SubplanSite, x: Execution): (left: Row) => Value {
  const { link, params } = site.expression
  if (link.kind === 'any' || link.kind === 'all') return bindQuantified(site, site.quantified!, x)
  const answer = { exists, scalar, array }[link.kind]
  // An array of int2vectors holds them as elements; of other arrays as one more dimension.
  const nested = site.expression.type === site.expression.plan.columns[0]?.type
  const run = asked(x, () => answer(site.operator(), x, nested))
  return params.length > 0 ? run : keepWhile(site.watched, x, run)
}

/** Answers again what it answered as long as the watched slots hold the same values; never when a working table is among them. */
function keepWhile<T>(watched: readonly number[], x: Execution, make: () => T): () => T {
  const changing = watched.some((slot) => slot < 0)
  let kept: { readonly answer: T; readonly seen: readonly Value[] } | undefined
  return () => {
    if (kept === undefined || changing || watched.some((slot, i) => x.outer[slot] !== kept!.seen[i]))
      kept = { seen: watched.map((slot) => x.outer[slot]!), answer: make() }
    return kept.answer
  }
}

function* exists(operator: Operator, x: Execution): Asking<Value> {
  for (const step of operator.run(x)) {
    if (step instanceof Pause) yield step
    else if (step.length > 0) return true
  }
  return false
}

function* scalar(operator: Operator, x: Execution): Asking<Value> {
  let found: Value | undefined
  for (const step of operator.run(x)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    for (const row of step) {
      if (found !== undefined) throw sqlError('21000', 'more than one row returned by a subquery used as an expression')
      found = row[0]!
    }
  }
  return found ?? null
}

/** ARRAY(SELECT …): arrays become one more dimension. */
function* array(operator: Operator, x: Execution, nested: boolean): Asking<Value> {
  const elements: Value[] = []
  for (const step of operator.run(x)) {
    if (step instanceof Pause) yield step
    else for (const row of step) elements.push(row[0]!)
  }
  if (!nested || !elements.some((element) => element instanceof ArrayValue)) return ArrayValue.of(elements)
  const parts = elements.map((element) => {
    if (element === null) throw sqlError('22004', 'cannot accumulate null arrays')
    return element as ArrayValue
  })
  const [first] = parts
  if (first!.dimensions.length === 0) throw sqlError('2202E', 'cannot accumulate empty arrays')
  for (const part of parts) {
    if (
      part.dimensions.length !== first!.dimensions.length ||
      part.dimensions.some((length, i) => length !== first!.dimensions[i])
    )
      throw sqlError('2202E', 'cannot accumulate arrays of different dimensionality')
  }
  return new ArrayValue(
    parts.flatMap((part) => part.elements),
    [parts.length, ...first!.dimensions],
    [1, ...first!.lower],
  )
}

/** The rows of an uncorrelated subquery, those without NULL found by hash. */
interface Kept {
  readonly rows: readonly Row[]
  readonly table: KeyTable | undefined
  readonly withNull: readonly Row[]
}

function bindQuantified(site: SubplanSite, q: QuantifiedSite, x: Execution): (left: Row) => Value {
  let compare: ((left: Row, right: Row) => Value) | undefined
  const test = (left: Row, row: Row) => (compare ??= rowComparison(q, x))(left, row)
  /** Over some rows: what decides, or NULL when a comparison was NULL, or `all`. */
  const scan = (left: Row, rows: Iterable<Row>): Value => {
    let unknown = false
    for (const row of rows) {
      const result = test(left, row)
      if (result === null) unknown = true
      else if (result !== q.all) return !q.all
    }
    return unknown ? null : q.all
  }
  const width = q.compare.length
  if (site.expression.params.length > 0) {
    let left: Row = []
    const run = asked(x, function* (): Asking<Value> {
      let unknown = false
      const of = left
      for (const step of site.operator().run(x)) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        const result = scan(of, step)
        if (result === !q.all) return result
        if (result === null) unknown = true
      }
      return unknown ? null : q.all
    })
    return (given) => {
      left = given
      return run()
    }
  }
  const gathered = asked(x, function* (): Asking<Kept> {
    const rows: Row[] = []
    const withNull: Row[] = []
    const table = q.table?.()
    for (const step of site.operator().run(x)) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      for (const full of step) {
        const row = full.length > width ? full.slice(0, width) : full
        rows.push(row)
        if (row.includes(null)) withNull.push(row)
        else table?.add(row)
      }
    }
    return { rows, table, withNull }
  })
  const keep = keepWhile(site.watched, x, gathered)
  return (left) => {
    const kept = keep()
    if (kept.rows.length === 0) return q.all
    if (kept.table === undefined) return scan(left, kept.rows)
    if (left.includes(null)) return left.length === 1 ? null : scan(left, kept.rows)
    if (kept.table.find(left) >= 0) return !q.all
    return scan(left, kept.withNull)
  }
}

/** left op right for rows: `=` and `<>` column by column, the orders lexically; NULL when it hangs on a NULL. */
function rowComparison(q: QuantifiedSite, x: Execution): (left: Row, right: Row) => Value {
  const functions = q.compare.map((site) => bindNullSafe(site, x.context))
  const [first] = functions
  if (functions.length === 1) return (left, right) => first!(left[0]!, right[0]!)
  if (q.opName === '=' || q.opName === '<>') {
    const decided = q.opName === '<>'
    return (left, right) => {
      let unknown = false
      for (let i = 0; i < functions.length; i++) {
        const result = functions[i]!(left[i]!, right[i]!)
        if (result === decided) return decided
        if (result === null) unknown = true
      }
      return unknown ? null : !decided
    }
  }
  const equals: (Callable | undefined)[] = q.equals.map((site) => site && bindNullSafe(site, x.context))
  return (left, right) => {
    const last = functions.length - 1
    for (let i = 0; i <= last; i++) {
      if (left[i] === null || right[i] === null) return null
      if (i === last || equals[i]?.(left[i]!, right[i]!) !== true) return functions[i]!(left[i]!, right[i]!)
    }
    return null
  }
}
