/**
 * Merge join: both inputs ordered by their keys, ascending, NULLs last. Inner rows with equal keys are held together while
 * the outer rows with that key pass. NULL keys match nothing.
 */
import type { Plan } from '../plan/plan.ts'
import type { Row } from '../types/value.ts'
import { compileJoinPredicate, compileRow } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { rowJoiner } from './join-row.ts'
import { nulls } from './nested-loop.ts'
import { grownBatch, type MutableRow, type Operator, Pause, type RowBatch, SLICE_OVER, type Steps } from './operator.ts'
import { rowOrder } from './order.ts'

type MergeJoin = Extract<Plan, { kind: 'hash-join' | 'merge-join' }>

/** An input read row by row with its keys. */
class Cursor {
  row: MutableRow | undefined
  key: Row = []
  readonly #steps: Steps
  readonly #keyOf: (row: Row) => Row
  #batch: RowBatch = []
  #at = 0
  constructor(steps: Steps, keyOf: (row: Row) => Row) {
    this.#steps = steps
    this.#keyOf = keyOf
  }
  /** To the next row; false: a step is needed first. At the end `row` is undefined. */
  advance(): boolean {
    const row = this.#batch[this.#at++]
    if (row === undefined) return false
    this.row = row
    this.key = this.#keyOf(row)
    return true
  }
  *next(): Generator<Pause, void, undefined> {
    while (!this.advance()) {
      const { value, done } = this.#steps.next()
      if (done) {
        this.row = undefined
        return
      }
      if (value instanceof Pause) yield value
      else {
        this.#batch = value
        this.#at = 0
      }
    }
  }
  close(): void {
    this.#steps.return(undefined)
  }
}

export function compileMergeJoin(plan: MergeJoin, env: CompileEnv): Operator {
  const outerInput = env.compilePlan(plan.outer, env)
  const innerInput = env.compilePlan(plan.inner, env)
  const outerWidth = plan.outer.columns.length
  const outerKeys = compileRow(plan.outerKeys, env)
  const innerKeys = compileRow(plan.innerKeys, env)
  const on = plan.on && compileJoinPredicate(plan.on, outerWidth, env)
  const order = rowOrder(
    env.catalog,
    plan.outerKeys.map((key, i) => ({ column: i, type: key.type, descending: false, nullsFirst: false })),
  )
  const joined = rowJoiner(outerWidth, plan.inner.columns.length)
  const innerNulls = nulls(plan.inner.columns.length)
  const outerNulls = nulls(outerWidth)
  const { join } = plan
  const outerOnly = join === 'semi' || join === 'anti'
  const keepsOuter = join === 'left' || join === 'full' || join === 'anti'
  const keepsInner = join === 'right' || join === 'full'
  return {
    *run(x) {
      const matches = on?.bind(x)
      const outer = new Cursor(outerInput.run(x), outerKeys.bind(x))
      const inner = new Cursor(innerInput.run(x), innerKeys.bind(x))
      let out: RowBatch = []
      let full = 1
      /** Inner rows of one key, and which of them found a partner. */
      let group: MutableRow[] = []
      let groupKey: Row | undefined
      let found: boolean[] = []
      const leaveGroup = () => {
        if (keepsInner) for (let i = 0; i < group.length; i++) if (!found[i]) out.push(joined(outerNulls, group[i]!))
        group = []
        found = []
        groupKey = undefined
      }
      try {
        yield* outer.next()
        yield* inner.next()
        while (outer.row !== undefined) {
          const { row, key } = outer
          const isNull = key.includes(null)
          if (!isNull && (groupKey === undefined || order(groupKey, key) !== 0)) {
            leaveGroup()
            // Inner rows before this key have no partner.
            while (inner.row !== undefined && order(inner.key, key) < 0) {
              if (keepsInner) out.push(joined(outerNulls, inner.row))
              if (out.length >= full) {
                yield out
                full = grownBatch(full)
                out = []
              }
              if (!inner.advance()) yield* inner.next()
            }
            groupKey = key
            while (inner.row !== undefined && order(inner.key, key) === 0) {
              group.push(inner.row)
              found.push(false)
              if (!inner.advance()) yield* inner.next()
            }
          }
          let any = false
          if (!isNull) {
            for (let i = 0; i < group.length; i++) {
              if (matches !== undefined && !matches(row, group[i]!)) continue
              any = true
              if (outerOnly) break
              found[i] = true
              out.push(joined(row, group[i]!))
              if (out.length < full) continue
              yield out
              full = grownBatch(full)
              out = []
            }
          }
          if (join === 'semi' ? any : keepsOuter && !any) out.push(outerOnly ? row : joined(row, innerNulls))
          if (out.length >= full) {
            yield out
            full = grownBatch(full)
            out = []
            if (x.sliceOver()) yield SLICE_OVER
          }
          if (!outer.advance()) yield* outer.next()
        }
        leaveGroup()
        while (keepsInner && inner.row !== undefined) {
          out.push(joined(outerNulls, inner.row))
          if (out.length >= full) {
            yield out
            full = grownBatch(full)
            out = []
          }
          if (!inner.advance()) yield* inner.next()
        }
        if (out.length > 0) yield out
      } finally {
        outer.close()
        inner.close()
      }
    },
  }
}
