/**
 * Aggregation fused with the table scan below it: one generated loop decodes, filters and accumulates, and no row is made.
 *
 *     count(*)                          state += records of the page
 *     sum(a) where b > 5                decode b → test → decode a → state = sum.step(state, a)
 *     … group by c                      decode c → group number → states[group]
 *
 * For one grouping set of at most one key. When the groups outgrow their memory it gives up and the ordinary operator,
 * which can spill, starts over: both read the same snapshot.
 */
import type { Value } from '../types/value.ts'
import { type Accumulator, type AggregatePlan, type AggregateSite, aggregateSite } from './accumulate.ts'
import type { CompileEnv } from './env.ts'
import type { CodeWriter } from './generate.ts'
import { type KeyTable, keyTable } from './hashing.ts'
import {
  BATCH_ROWS,
  type Execution,
  type MutableRow,
  type Operator,
  type RowBatch,
  SLICE_OVER,
  type Steps,
} from './operator.ts'
import { compileScanLoop, type ScanLoop } from './scan.ts'

/** Bytes of a group besides a text key: its place in the table and one state. */
const GROUP_BYTES = 48
const STATE_BYTES = 16
/** PostgreSQL's hash_mem_multiplier. */
const HASH_MEMORY = 2

class Groups {
  readonly bodies: readonly Accumulator[]
  readonly table: KeyTable | undefined
  readonly keys: Value[] = []
  readonly states: unknown[][]
  bytes = 0

  constructor(bodies: readonly Accumulator[], table: KeyTable | undefined) {
    this.bodies = bodies
    this.table = table
    this.states = bodies.map(() => [])
    if (table === undefined) this.add(null)
  }
  add(key: Value): void {
    this.keys.push(key)
    for (let k = 0; k < this.bodies.length; k++) this.states[k]!.push(this.bodies[k]!.init())
    this.bytes += GROUP_BYTES + this.bodies.length * STATE_BYTES + (typeof key === 'string' ? key.length : 0)
  }
}

/** undefined: the plan is of another shape. `ordinary` is what runs when memory does not suffice. */
export function compileScanAggregate(plan: AggregatePlan, env: CompileEnv, ordinary: Operator): Operator | undefined {
  const { input } = plan
  if (input.kind !== 'seq-scan' && (input.kind !== 'index-scan' || input.unique)) return undefined
  if (plan.sets !== undefined || plan.keys.length > 1 || plan.groupings.length > 0 || plan.strategy === 'sorted')
    return undefined
  if (env.mode === 'once') return undefined
  const sites = plan.aggregates.map((call) => aggregateSite(call, env))
  const key = plan.keys[0]
  const filtered = input.filter !== undefined
  const loop = compileScanLoop<Groups>(input, env, (w) => writeLoop(w, plan, sites, filtered))
  if (loop === undefined) return undefined
  return {
    run: (x) => run(x, loop, sites, key === undefined ? undefined : keyTable(env.catalog, [key.type]), ordinary),
  }
}

function* run(
  x: Execution,
  loop: ScanLoop<Groups>,
  sites: readonly AggregateSite[],
  table: KeyTable | undefined,
  ordinary: Operator,
): Steps {
  // Under EXPLAIN ANALYZE the scan is to be counted as a node of its own.
  if (x.instruments !== undefined) {
    yield* ordinary.run(x)
    return
  }
  const groups = new Groups(
    sites.map((site) => site.make(x.context)),
    table,
  )
  for (const pause of loop.run(x, groups)) {
    if (groups.bytes > x.workMemBytes * HASH_MEMORY) {
      yield* ordinary.run(x)
      return
    }
    yield pause
  }
  let out: RowBatch = []
  for (let g = 0; g < groups.keys.length; g++) {
    const row: MutableRow = table === undefined ? [] : [groups.keys[g]!]
    for (let k = 0; k < groups.bodies.length; k++) row.push(groups.bodies[k]!.final(groups.states[k]![g]))
    out.push(row)
    if (out.length < BATCH_ROWS) continue
    yield out
    out = []
    if (x.sliceOver()) yield SLICE_OVER
  }
  if (out.length > 0) yield out
}

function writeLoop(
  w: CodeWriter,
  plan: AggregatePlan,
  sites: readonly AggregateSite[],
  filtered: boolean,
): { readonly before: string; readonly after: string } {
  const before: string[] = []
  const after: string[] = []
  const key = plan.keys[0]
  if (key !== undefined) {
    before.push('const { table, keys } = state')
    w.lines.push(`const group = table.addOne(${w.value(key)})`)
    w.lines.push(`if (group === keys.length) state.add(${w.value(key)})`)
  }
  sites.forEach((site, k) => {
    before.push(`const body${k} = state.bodies[${k}], states${k} = state.states[${k}]`)
    const one = key === undefined
    if (one) {
      before.push(`let state${k} = states${k}[0]`)
      after.push(`states${k}[0] = state${k}`)
    }
    const target = one ? `state${k}` : `states${k}[group]`
    // Counting all records of a page needs no look at them.
    if (one && site.counts && site.inputs.length === 0 && site.filter === undefined && !filtered) {
      after.unshift(`state${k} += records`)
      return
    }
    const label = w.fresh('A')
    const body = (): void => {
      if (site.filter !== undefined) w.condition(site.filter, `break ${label}`)
      const args = site.inputs.map((input) => w.value(input))
      const tests = args.slice(0, site.strictInputs).filter((arg) => !w.isNotNull(arg))
      const step = site.counts ? `${target}++` : `${target} = body${k}.step(${[target, ...args].join(', ')})`
      w.lines.push(tests.length === 0 ? step : `if (${tests.map((arg) => `${arg} !== null`).join(' && ')}) ${step}`)
    }
    if (site.filter === undefined) body()
    else w.block(`${label}:`, body)
  })
  return { before: before.join('\n'), after: after.join('\n') }
}
