/**
 * Window frames: for each row of a partition the rows [start, end) around it, less the excluded ones.
 * PostgreSQL 15 manual, 4.2.8; the walk over RANGE offsets with NULLs follows its description there: a NULL row's frame is
 * the NULL rows, and no other row's frame has them.
 */

import type { Plan } from '../plan/plan.ts'
import type { FrameBound } from '../plan/query.ts'
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import type { Int64, Row, Value } from '../types/value.ts'
import { compileValue } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { bindNullSafe, type Callable, callSite } from './functions.ts'
import type { Execution, MutableRow } from './operator.ts'

export type WindowPlan = Extract<Plan, { kind: 'window' }>

/** A partition's rows and their peer groups. */
export interface Partition {
  readonly rows: readonly MutableRow[]
  /** Group number of each row. */
  readonly groupOf: Int32Array
  /** First row of each group, and the number of rows at the end. */
  readonly groupStart: readonly number[]
}

export interface Frames {
  readonly start: Int32Array
  readonly end: Int32Array
}

/** Both bounds of each row's frame. `order` values of the rows are needed for RANGE with offsets. */
export function compileFrames(plan: WindowPlan, env: CompileEnv): (x: Execution) => (p: Partition) => Frames {
  const start = compileBound(plan.start, 'starting', plan, env)
  const end = compileBound(plan.end, 'ending', plan, env)
  return (x) => {
    const bindStart = start(x)
    const bindEnd = end(x)
    return (p) => {
      const startOf = bindStart(p)
      const endOf = bindEnd(p)
      const count = p.rows.length
      const frames = { start: new Int32Array(count), end: new Int32Array(count) }
      for (let i = 0; i < count; i++) {
        const from = Math.min(Math.max(startOf(i), 0), count)
        frames.start[i] = from
        frames.end[i] = Math.max(from, Math.min(Math.max(endOf(i), 0), count))
      }
      return frames
    }
  }
}

/** The position of a bound for row i: of the first row in the frame, or behind the last one. Asked for i = 0, 1, 2 …. */
type BoundOf = (i: number) => number

function compileBound(
  bound: FrameBound,
  which: 'starting' | 'ending',
  plan: WindowPlan,
  env: CompileEnv,
): (x: Execution) => (p: Partition) => BoundOf {
  const ending = which === 'ending'
  if (!('offset' in bound)) {
    if (bound.kind === 'unbounded-preceding') return () => () => () => 0
    if (bound.kind === 'unbounded-following') return () => (p) => () => p.rows.length
    if (plan.mode === 'rows') return () => () => (ending ? (i) => i + 1 : (i) => i)
    return () => (p) => (ending ? (i) => p.groupStart[p.groupOf[i]! + 1]! : (i) => p.groupStart[p.groupOf[i]!]!)
  }
  const offset = compileValue(bound.offset, { ...env, mode: 'once' })
  const preceding = bound.kind === 'preceding'
  const offsetOf = (x: Execution): Value => {
    const value = offset.bind(x)([])
    if (value === null) throw sqlError('22004', `frame ${which} offset must not be null`)
    if (plan.mode !== 'range' && (value as Int64) < 0)
      throw sqlError('22013', `frame ${which} offset must not be negative`)
    return value
  }
  if (plan.mode === 'rows')
    return (x) => {
      let distance: number | undefined
      return () => (i) => {
        distance ??= Number(offsetOf(x)) * (preceding ? -1 : 1)
        return i + distance + (ending ? 1 : 0)
      }
    }
  if (plan.mode === 'groups')
    return (x) => {
      let distance: number | undefined
      return (p) => (i) => {
        distance ??= Number(offsetOf(x)) * (preceding ? -1 : 1)
        const group = p.groupOf[i]! + distance + (ending ? 1 : 0)
        return group < 0 ? 0 : (p.groupStart[group] ?? p.rows.length)
      }
    }
  return compileRangeBound(bound, ending, offsetOf, plan, env)
}

function compileRangeBound(
  bound: Extract<FrameBound, { offset: unknown }>,
  ending: boolean,
  offsetOf: (x: Execution) => Value,
  plan: WindowPlan,
  env: CompileEnv,
): (x: Execution) => (p: Partition) => BoundOf {
  const [key] = plan.order
  const fn = ending ? plan.inRange.end : plan.inRange.start
  if (key === undefined || fn === undefined)
    throw sqlError('42P20', 'RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column')
  const boolean = { type: OID.bool, typmod: -1 }
  const site = callSite(env.catalog, fn, [key.expression, key.expression, bound.offset, boolean, boolean], OID.bool)
  const order = compileValue(key.expression, env)
  const preceding = bound.kind === 'preceding'
  const sub = key.descending ? !preceding : preceding
  const less = key.descending ? !ending : ending
  const { nullsFirst } = key
  return (x) => {
    const valueAt = order.bind(x)
    let offset: Value | undefined
    let inRange: Callable | undefined
    return ({ rows }) => {
      let at = 0
      let current: Value | undefined
      let of = -1
      return (i) => {
        offset ??= offsetOf(x)
        inRange ??= bindNullSafe(site, x.context)
        if (of !== i) {
          current = valueAt(rows[i]!)
          of = i
        }
        for (; at < rows.length; at++) {
          const value = valueAt(rows[at] as Row)
          if (value === null || current === null) {
            if (
              ending
                ? nullsFirst
                  ? value !== null
                  : current !== null
                : nullsFirst
                  ? value !== null || current === null
                  : value === null || current !== null
            )
              break
            continue
          }
          const inside = inRange(value, current!, offset, sub, less) === true
          if (ending ? !inside : inside) break
        }
        return at
      }
    }
  }
}

/** Rows left out of row i's frame: [from, to), of which row `keep` (the row itself, for TIES) stays. */
function excluded(
  plan: WindowPlan,
  p: Partition,
  i: number,
): { readonly from: number; readonly to: number; readonly keep: number } {
  switch (plan.exclude) {
    case 'none':
      return { from: 0, to: 0, keep: -1 }
    case 'current-row':
      return { from: i, to: i + 1, keep: -1 }
    case 'group':
    case 'ties': {
      const group = p.groupOf[i]!
      return { from: p.groupStart[group]!, to: p.groupStart[group + 1]!, keep: plan.exclude === 'ties' ? i : -1 }
    }
  }
}

/** Positions in row i's frame, in order. */
export function* framePositions(
  plan: WindowPlan,
  p: Partition,
  frames: Frames,
  i: number,
): Generator<number, void, undefined> {
  const out = excluded(plan, p, i)
  for (let at = frames.start[i]!; at < frames.end[i]!; at++)
    if (at < out.from || at >= out.to || at === out.keep) yield at
}
