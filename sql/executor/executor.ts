/**
 * The door: from a plan to an operator that can run any number of times.
 *
 *     const operator = compilePlan(plan, compileEnv(catalog, chooseMode(plan, false)))
 *     for (const step of runPlan(operator, execution)) if (step instanceof Pause) await step.promise; else send(step)
 *
 * Compiling is cheap: code for expressions is made when an operator first runs. Under EXPLAIN ANALYZE every operator is
 * watched: rows, loops and times are counted between its caller's steps.
 */
import type { Catalog } from '../catalog/catalog.ts'
import type { Plan } from '../plan/plan.ts'
import { compileAggregate } from './aggregate.ts'
import type { CompileEnv } from './env.ts'
import { compileFunctionScan, compileProjectSet } from './function-scan.ts'
import { compileHashJoin } from './hash-join.ts'
import { compileLimit, compileUnique } from './limit.ts'
import { compileMergeJoin } from './merge-join.ts'
import { compileNestedLoop } from './nested-loop.ts'
import { type Execution, type Instrument, type Operator, Pause, type Steps } from './operator.ts'
import { inputsOf } from './plan-walk.ts'
import { otherCompilers } from './registry.ts'
import { compileSample } from './sample.ts'
import { compileSetOp } from './set-op.ts'
import { compileAppend, compileFilter, compileProject, compileResult, compileValues } from './simple.ts'
import { compileSort } from './sort.ts'
import { closeSpills } from './spill.ts'
import { closeSubplans } from './subplan.ts'
import { compileVirtualScan } from './virtual-scan.ts'
import { compileWindow } from './window.ts'
import { compileCteScan, compileMaterialize, compileRecursiveUnion, compileWith } from './with.ts'

export const compileEnv = (catalog: Catalog, mode: CompileEnv['mode']): CompileEnv => ({ catalog, mode, compilePlan })

/** Rows from which generated code pays for itself. */
const OFTEN_ROWS = 200

/** 'often' for plans that will run again or see many rows somewhere. */
export function chooseMode(plan: Plan, repeated: boolean): CompileEnv['mode'] {
  const many = (node: Plan): boolean => node.estimate.rows >= OFTEN_ROWS || inputsOf(node).some(many)
  return repeated || many(plan) ? 'often' : 'once'
}

export function compilePlan(plan: Plan, env: CompileEnv): Operator {
  return watched(plan, compileNode(plan, env))
}

/** Runs the plan. What it yields: batches of rows, and pauses to wait for. Temporary files are closed when it ends or is left (`return`). */
export function* runPlan(operator: Operator, execution: Execution): Steps {
  try {
    yield* operator.run(execution)
  } finally {
    closeSubplans(execution)
    closeSpills(execution)
  }
}

function compileNode(plan: Plan, env: CompileEnv): Operator {
  switch (plan.kind) {
    case 'result':
      return compileResult(plan, env)
    case 'values':
      return compileValues(plan, env)
    case 'sample':
      return compileSample(plan, env)
    case 'filter':
      return compileFilter(plan, env)
    case 'project':
      return compileProject(plan, env)
    case 'nested-loop':
      return compileNestedLoop(plan, env)
    case 'hash-join':
      return compileHashJoin(plan, env)
    case 'sort':
      return compileSort(plan, env)
    case 'limit':
      return compileLimit(plan, env)
    case 'unique':
      return compileUnique(plan, env)
    case 'aggregate':
      return compileAggregate(plan, env)
    case 'append':
      return compileAppend(plan, env)
    case 'merge-join':
      return compileMergeJoin(plan, env)
    case 'project-set':
      return compileProjectSet(plan, env)
    case 'function-scan':
      return compileFunctionScan(plan, env)
    case 'virtual-scan':
      return compileVirtualScan(plan, env)
    case 'window':
      return compileWindow(plan, env)
    case 'set-op':
      return compileSetOp(plan, env)
    case 'recursive-union':
      return compileRecursiveUnion(plan, env)
    case 'cte-scan':
      return compileCteScan(plan)
    case 'with':
      return compileWith(plan, env)
    case 'materialize':
      return compileMaterialize(plan, env)
    default:
      return otherCompilers(plan, env)
  }
}

/** The operator, counted when the execution asks for it. */
function watched(plan: Plan, operator: Operator): Operator {
  return {
    run(x) {
      return x.instruments === undefined ? operator.run(x) : count(plan, operator, x, x.instruments)
    },
  }
}

function* count(plan: Plan, operator: Operator, x: Execution, instruments: Map<object, Instrument>): Steps {
  let instrument = instruments.get(plan)
  if (instrument === undefined) {
    instrument = { rows: 0, loops: 0, startupMs: 0, totalMs: 0, extra: {} }
    instruments.set(plan, instrument)
  }
  instrument.loops++
  const steps = operator.run(x)
  let first = true
  let spent = 0
  try {
    for (;;) {
      const from = performance.now()
      const { value, done } = steps.next()
      const took = performance.now() - from
      instrument.totalMs += took
      spent += took
      if (done) break
      if (!(value instanceof Pause)) {
        if (first) instrument.startupMs += spent
        first = false
        instrument.rows += value.length
      }
      yield value
    }
    if (first) instrument.startupMs += spent
  } finally {
    steps.return(undefined)
  }
}
