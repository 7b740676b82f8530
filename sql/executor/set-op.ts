/**
 * INTERSECT and EXCEPT by hash: rows are counted on both sides, NULLs alike. When the left side outgrows work_mem both
 * sides are parted into files and the parts are done one after another.
 */
import type { Plan } from '../plan/plan.ts'
import type { Row } from '../types/value.ts'
import type { CompileEnv } from './env.ts'
import { partOf } from './hash-join.ts'
import { keyTable } from './hashing.ts'
import { batchBytes } from './memory.ts'
import {
  BATCH_ROWS,
  type Execution,
  type MutableRow,
  type Operator,
  Pause,
  type RowBatch,
  SLICE_OVER,
  type Step,
  type Steps,
} from './operator.ts'
import { SpillFile } from './spill.ts'

type SetOp = Extract<Plan, { kind: 'set-op' }>
const PARTS = 16
const DEPTH_MAX = 4

export function compileSetOp(plan: SetOp, env: CompileEnv): Operator {
  const left = env.compilePlan(plan.left, env)
  const right = env.compilePlan(plan.right, env)
  const types = plan.columns.map((column) => column.type)
  const copies = (inLeft: number, inRight: number): number => {
    if (plan.op === 'intersect') return plan.all ? Math.min(inLeft, inRight) : inRight > 0 ? 1 : 0
    return plan.all ? Math.max(0, inLeft - inRight) : inRight > 0 ? 0 : 1
  }
  return {
    run: (x) => both(x, left.run(x), right.run(x), 0),
  }

  function* both(x: Execution, leftSteps: Iterable<Step>, rightSteps: Iterable<Step>, depth: number): Steps {
    const table = keyTable(env.catalog, types)
    const rows: MutableRow[] = []
    const counts: number[] = []
    const part = partOf(env, types, depth + 3)
    const partRow = (row: Row) => part(types.length === 1 ? row[0]! : row)
    let bytes = 0
    let parts: SpillFile[] | undefined
    const spill = (row: Row) => parts![partRow(row)]!.write(row)
    try {
      for (const step of leftSteps) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        if (parts !== undefined) {
          for (const row of step) spill(row)
          continue
        }
        const before = rows.length
        for (const row of step) {
          const id = table.add(row)
          if (id === rows.length) {
            rows.push(row)
            counts.push(0)
          }
          counts[id]!++
        }
        bytes += (batchBytes(step) * (rows.length - before)) / Math.max(1, step.length) + (rows.length - before) * 40
        if (bytes > x.workMemBytes && depth < DEPTH_MAX) {
          parts = Array.from({ length: PARTS }, () => new SpillFile(x))
          for (let id = 0; id < rows.length; id++) for (let n = counts[id]!; n > 0; n--) spill(rows[id]!)
        }
        if (x.sliceOver()) yield SLICE_OVER
      }
      if (parts !== undefined) {
        yield* byParts(x, parts, partRow, rightSteps, depth)
        return
      }
      const found = new Float64Array(rows.length)
      if (rows.length > 0) {
        for (const step of rightSteps) {
          if (step instanceof Pause) {
            yield step
            continue
          }
          for (const row of step) {
            const id = table.find(row)
            if (id >= 0) found[id]!++
          }
          if (x.sliceOver()) yield SLICE_OVER
        }
      }
      let out: RowBatch = []
      for (let id = 0; id < rows.length; id++) {
        for (let n = copies(counts[id]!, found[id]!); n > 0; n--) out.push(n > 1 ? rows[id]!.slice() : rows[id]!)
        if (out.length < BATCH_ROWS) continue
        yield out
        out = []
      }
      if (out.length > 0) yield out
    } finally {
      for (const file of parts ?? []) file.close()
    }
  }

  function* byParts(
    x: Execution,
    leftParts: readonly SpillFile[],
    partRow: (row: Row) => number,
    rightSteps: Iterable<Step>,
    depth: number,
  ): Steps {
    const rightParts = Array.from({ length: PARTS }, () => new SpillFile(x))
    try {
      for (const step of rightSteps) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        for (const row of step) rightParts[partRow(row)]!.write(row)
        if (x.sliceOver()) yield SLICE_OVER
      }
      for (let i = 0; i < PARTS; i++) yield* both(x, leftParts[i]!.read(), rightParts[i]!.read(), depth + 1)
    } finally {
      for (const file of rightParts) file.close()
    }
  }
}
