/**
 * TABLESAMPLE (PostgreSQL 15 manual, SELECT): a part of a table's rows, by chance. Whether a row is taken is a hash of the
 * seed and of its place in the scan, BERNOULLI's or, for SYSTEM, that of its block of rows; so REPEATABLE gives the same rows
 * of a table that has not changed, and a scan that is run again within a statement gives what it gave before.
 */
import type { Plan } from '../plan/plan.ts'
import { sqlError } from '../types/error.ts'
import { compileValue } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { type Execution, type Operator, Pause, type Steps } from './operator.ts'

type SamplePlan = Extract<Plan, { kind: 'sample' }>

/** Rows that SYSTEM takes or leaves together: about what lies in a page of PostgreSQL's. */
const BLOCK_ROWS = 128
const HASHES = 0x1_0000_0000

export function compileSample(plan: SamplePlan, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const once = { ...env, mode: 'once' as const }
  const percent = compileValue(plan.percent, once)
  const seed = plan.seed && compileValue(plan.seed, once)
  return {
    run(x) {
      const share = percent.bind(x)([]) as number | null
      if (share === null) throw sqlError('2202H', 'TABLESAMPLE parameter cannot be null')
      if (!(share >= 0 && share <= 100)) throw sqlError('2202H', 'sample percentage must be between 0 and 100')
      const given = seed?.bind(x)([]) as number | null | undefined
      if (given === null) throw sqlError('2202G', 'TABLESAMPLE REPEATABLE parameter cannot be null')
      const taken = Math.round((share / 100) * HASHES)
      return sampled(input, taken, given === undefined ? chance(plan, x) : bits(given), plan.method === 'system', x)
    },
  }
}

/** The same for all runs of one plan node in one statement. */
function chance(plan: SamplePlan, x: Execution): number {
  const known = x.kept.get(plan) as number | undefined
  if (known !== undefined) return known
  const drawn = Math.floor(Math.random() * HASHES)
  x.kept.set(plan, drawn)
  return drawn
}

function bits(seed: number): number {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, seed === 0 ? 0 : seed)
  return hash(view.getInt32(0), view.getInt32(4))
}

/** 32 bits in which every bit of both counts. */
function hash(value: number, seed: number): number {
  let h = Math.imul(value ^ seed ^ (seed >>> 15), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13) ^ seed, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 16), 0x27d4eb2f)
  return (h ^ (h >>> 15)) >>> 0
}

function* sampled(input: Operator, taken: number, seed: number, byBlock: boolean, x: Execution): Steps {
  let place = 0
  for (const step of input.run(x)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    const out = step.filter(() => {
      const at = place++
      return hash(byBlock ? Math.floor(at / BLOCK_ROWS) : at, seed) < taken
    })
    if (out.length > 0) yield out
  }
}
