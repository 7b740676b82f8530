/**
 * Joins without keys. For each outer row the inner plan runs again with that row's values in its outer slots; an inner
 * plan without such parameters is read once and kept. RIGHT and FULL need the kept form: they remember which inner rows
 * found a partner.
 */

import { invariant } from '../../storage/keys/invariant.ts'
import type { Plan } from '../plan/plan.ts'
import type { Row, Value } from '../types/value.ts'
import { compileJoinPredicate, compileRow } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { rowJoiner } from './join-row.ts'
import {
  BATCH_ROWS,
  type Execution,
  grownBatch,
  type MutableRow,
  type Operator,
  Pause,
  type RowBatch,
  SLICE_OVER,
  type Steps,
} from './operator.ts'
import { eachRow } from './spill.ts'
import { RowStore } from './store.ts'

type NestedLoop = Extract<Plan, { kind: 'nested-loop' }>

export const nulls = (count: number): Value[] => new Array<Value>(count).fill(null)

export function compileNestedLoop(plan: NestedLoop, env: CompileEnv): Operator {
  const outer = env.compilePlan(plan.outer, env)
  // Runs once an outer row: worth its code.
  const inner = env.compilePlan(plan.inner, env)
  const outerWidth = plan.outer.columns.length
  const joined = rowJoiner(outerWidth, plan.inner.columns.length)
  const on = compileJoinPredicate(plan.on, outerWidth, env)
  const values = compileRow(
    plan.params.map((param) => param.expression),
    env,
  )
  const { join, params } = plan
  invariant(
    params.length === 0 || (join !== 'right' && join !== 'full'),
    'a right or full join cannot take its inner rows from its outer row',
  )
  const outerOnly = join === 'semi' || join === 'anti'
  const keepsOuter = join === 'left' || join === 'full' || join === 'anti'
  const innerNulls = nulls(plan.inner.columns.length)
  const outerNulls = nulls(outerWidth)

  function* withParams(x: Execution): Steps {
    const matches = on.bind(x)
    const valuesOf = values.bind(x)
    let out: RowBatch = []
    let full = 1
    for (const step of outer.run(x)) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      for (const row of step) {
        const set = valuesOf(row)
        for (let i = 0; i < params.length; i++) x.outer[params[i]!.slot] = set[i]!
        let found = false
        for (const innerStep of inner.run(x)) {
          if (innerStep instanceof Pause) {
            yield innerStep
            continue
          }
          for (const innerRow of innerStep) {
            if (!matches(row, innerRow)) continue
            found = true
            if (outerOnly) break
            out.push(joined(row, innerRow))
          }
          if (outerOnly && found) break
          if (out.length >= full) {
            yield out
            full = grownBatch(full)
            out = []
            // Another operator above may have used the slots meanwhile.
            for (let i = 0; i < params.length; i++) x.outer[params[i]!.slot] = set[i]!
          }
        }
        if (join === 'semi' ? found : keepsOuter && !found) out.push(outerOnly ? row : joined(row, innerNulls))
        if (out.length >= full) {
          yield out
          full = grownBatch(full)
          out = []
        }
        if (x.sliceOver()) yield SLICE_OVER
      }
    }
    if (out.length > 0) yield out
  }

  function* kept(x: Execution): Steps {
    const matches = on.bind(x)
    let store: RowStore | undefined
    let matched: Uint8Array | undefined
    const marks = join === 'right' || join === 'full'
    function* readInner(): Generator<Pause, RowStore, undefined> {
      const rows = new RowStore(x)
      for (const step of inner.run(x)) {
        if (step instanceof Pause) yield step
        else rows.add(step)
        if (x.sliceOver()) yield SLICE_OVER
      }
      matched = marks ? new Uint8Array(rows.count) : undefined
      return rows
    }
    let out: RowBatch = []
    let full = 1
    for (const step of outer.run(x)) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      store ??= yield* readInner()
      for (const row of step) {
        let found = false
        let at = 0
        scan: for (const batch of store.batches()) {
          for (const innerRow of batch) {
            at++
            if (!matches(row, innerRow)) continue
            found = true
            if (outerOnly) break scan
            if (matched !== undefined) matched[at - 1] = 1
            out.push(joined(row, innerRow))
            if (out.length < full) continue
            yield out
            full = grownBatch(full)
            out = []
          }
          if (x.sliceOver()) yield SLICE_OVER
        }
        if (join === 'semi' ? found : keepsOuter && !found) out.push(outerOnly ? row : joined(row, innerNulls))
        if (out.length >= full) {
          yield out
          full = grownBatch(full)
          out = []
        }
        if (x.sliceOver()) yield SLICE_OVER
      }
    }
    if (marks) {
      store ??= yield* readInner()
      yield* unmatched(eachRow(store.batches()), matched!, joined, outerNulls, out)
    } else if (out.length > 0) yield out
    store?.close()
  }
  return { run: params.length > 0 ? withParams : kept }
}

/** Inner rows without a partner, for RIGHT and FULL, after what is already in `out`. */
export function* unmatched(
  innerRows: Iterable<Row>,
  matched: Uint8Array,
  joined: (outer: Row, inner: Row) => MutableRow,
  outerNulls: readonly Value[],
  out: RowBatch,
): Generator<RowBatch, void, undefined> {
  let at = 0
  for (const row of innerRows) {
    if (matched[at++] === 1) continue
    out.push(joined(outerNulls, row))
    if (out.length >= BATCH_ROWS) {
      yield out
      out = []
    }
  }
  if (out.length > 0) yield out
}
