/**
 * Aggregation: plain (one group), hash (a table of groups), sorted (groups follow one another). States stand in one array
 * an aggregate, indexed by group number, and one generated loop feeds a whole batch:
 *
 *     batch -> group numbers [0 0 1 0 2 …] -> states[sum][g] = sum.step(states[sum][g], value)
 *
 * Each grouping set has its own table. When the groups outgrow work_mem, rows of groups that are not in the table yet go
 * to files and are aggregated after it, as PostgreSQL does.
 */
import type { Row, Value } from '../types/value.ts'
import { type Accumulator, type AggregatePlan, type AggregateSite, aggregateSite } from './accumulate.ts'
import { compileScanAggregate } from './aggregate-scan.ts'
import { compilePredicate, compileRow } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { CodeWriter } from './generate.ts'
import { partOf } from './hash-join.ts'
import { type KeyTable, keyTable } from './hashing.ts'
import { rowBytes } from './memory.ts'
import { nulls } from './nested-loop.ts'
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
import { Bites } from './pace.ts'
import { sameKey } from './same.ts'
import { SpillFile } from './spill.ts'

/** Feeds a batch. `ids[i]`: the group of row i; -1 leaves the row out. Without ids all rows are of group 0. */
type Advance = (
  rows: readonly Row[],
  ids: Int32Array | undefined,
  states: unknown[][],
  bodies: readonly Accumulator[],
) => void

const PARTS = 16
const DEPTH_MAX = 4
/** Bytes of a group besides its key: table, states. */
const GROUP_BYTES = 64

export function compileAggregate(plan: AggregatePlan, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const sites = plan.aggregates.map((call) => aggregateSite(call, env))
  const advanceOf = compileAdvance(sites, env, plan.keys.length === 0 && plan.sets === undefined)
  const keys = compileRow(plan.keys, env)
  const sets = plan.sets ?? [plan.keys.map((_, i) => i)]
  const make = (x: Execution) => sites.map((site) => site.make(x.context))
  const groupings = sets.map((set) => plan.groupings.map((positions) => groupingBits(positions, set)))
  const sorted = plan.strategy === 'sorted' && sets.length === 1 && plan.keys.length > 0

  /** The output row of one group. */
  const output = (
    set: number,
    key: Row,
    group: number,
    states: unknown[][],
    bodies: readonly Accumulator[],
  ): MutableRow => {
    const row: MutableRow = key.slice()
    for (let k = 0; k < bodies.length; k++) row.push(bodies[k]!.final(states[k]![group]))
    for (const bits of groupings[set]!) row.push(bits)
    return row
  }

  const ordinary: Operator =
    plan.keys.length === 0 && plan.sets === undefined ? { run: plain } : { run: sorted ? inOrder : hashed }
  return compileScanAggregate(plan, env, ordinary) ?? ordinary

  function* plain(x: Execution): Steps {
    const bodies = make(x)
    const states = bodies.map((body) => [body.init()])
    const advance = advanceOf(x)
    const bites = new Bites()
    for (const step of bites.cut(input.run(x))) {
      if (step instanceof Pause) yield step
      else {
        advance(step, undefined, states, bodies)
        bites.done()
        if (x.sliceOver()) yield SLICE_OVER
      }
    }
    yield [output(0, [], 0, states, bodies)]
  }

  function* inOrder(x: Execution): Steps {
    const bodies = make(x)
    const advance = advanceOf(x)
    const keyOf = keys.bind(x)
    const same = sameKey(
      env,
      plan.keys.map((key) => key.type),
    )
    let current: Row | undefined
    let states: unknown[][] = bodies.map(() => [])
    let ids = new Int32Array(BATCH_ROWS)
    const bites = new Bites()
    for (const step of bites.cut(input.run(x))) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      if (step.length > ids.length) ids = new Int32Array(step.length)
      const groups: Row[] = current === undefined ? [] : [current]
      for (let i = 0; i < step.length; i++) {
        const key = keyOf(step[i]!)
        if (current === undefined || !same(current, key)) {
          current = key
          groups.push(key)
          for (let k = 0; k < bodies.length; k++) states[k]!.push(bodies[k]!.init())
        }
        ids[i] = groups.length - 1
      }
      advance(step, ids, states, bodies)
      bites.done()
      const last = groups.length - 1
      if (last > 0) {
        const out: RowBatch = []
        for (let g = 0; g < last; g++) out.push(output(0, groups[g]!, g, states, bodies))
        states = states.map((column) => [column[last]])
        yield out
      }
      if (x.sliceOver()) yield SLICE_OVER
    }
    if (current !== undefined) yield [output(0, current, 0, states, bodies)]
  }

  function* hashed(x: Execution): Steps {
    yield* hashLevel(
      x,
      input.run(x),
      sets.map((_, i) => i),
      0,
    )
  }

  /** Aggregates these rows for these sets; what does not fit comes back as files, and is aggregated after. */
  function* hashLevel(x: Execution, steps: Iterable<Step>, wanted: readonly number[], depth: number): Steps {
    const bodies = make(x)
    const advance = advanceOf(x)
    const keyOf = keys.bind(x)
    const groups = wanted.map((set) => new Grouping(set, sets[set]!, plan, env, bodies, depth))
    let ids = new Int32Array(BATCH_ROWS)
    const bites = new Bites()
    try {
      for (const step of bites.cut(steps)) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        if (step.length > ids.length) ids = new Int32Array(step.length)
        for (const group of groups) {
          group.number(step, keyOf, ids, x)
          advance(step, ids, group.states, bodies)
        }
        bites.done()
        if (x.sliceOver()) yield SLICE_OVER
      }
      let out: RowBatch = []
      for (const group of groups) {
        if (group.positions.length === 0 && group.keys.length === 0 && depth === 0) group.addEmpty()
        for (let g = 0; g < group.keys.length; g++) {
          out.push(output(group.set, group.spread(group.keys[g]!), g, group.states, bodies))
          if (out.length < BATCH_ROWS) continue
          yield out
          out = []
          if (x.sliceOver()) yield SLICE_OVER
        }
        group.clear()
      }
      if (out.length > 0) yield out
      for (const group of groups) {
        for (const part of group.parts ?? []) {
          if (part.rows > 0) yield* hashLevel(x, part.read(), [group.set], depth + 1)
          part.close()
        }
      }
    } finally {
      for (const group of groups) for (const part of group.parts ?? []) part.close()
    }
  }
}

/** Bit i (from the right) is 1 when the i-th last key is not in the set. */
const groupingBits = (positions: readonly number[], set: readonly number[]): number =>
  positions.reduce((bits, position) => bits * 2 + (set.includes(position) ? 0 : 1), 0)

/** The groups of one grouping set. */
class Grouping {
  readonly set: number
  /** Positions of its keys among all keys. */
  readonly positions: readonly number[]
  /** Key values by group number: the bare value when there is one. */
  keys: (Value | Row)[] = []
  states: unknown[][]
  parts: SpillFile[] | undefined
  readonly #width: number
  readonly #all: boolean
  readonly #table: KeyTable
  readonly #bodies: readonly Accumulator[]
  readonly #partOf: (key: Value | Row) => number
  readonly #depth: number
  #bytes = 0

  constructor(
    set: number,
    positions: readonly number[],
    plan: AggregatePlan,
    env: CompileEnv,
    bodies: readonly Accumulator[],
    depth: number,
  ) {
    const keys = positions.map((position) => plan.keys[position]!)
    this.set = set
    this.positions = positions
    this.#width = plan.keys.length
    this.#all = positions.length === plan.keys.length && positions.every((position, i) => position === i)
    this.#table = keyTable(
      env.catalog,
      keys.map((key) => key.type),
    )
    this.#bodies = bodies
    this.#partOf = partOf(
      env,
      keys.map((key) => key.type),
      depth + 7,
    )
    this.#depth = depth
    this.states = bodies.map(() => [])
  }

  /** Group numbers of a batch's rows; rows that went to a file have -1. */
  number(rows: RowBatch, keyOf: (row: Row) => Row, ids: Int32Array, x: Execution): void {
    const table = this.#table
    const single = this.positions.length === 1
    const position = this.positions[0]!
    const spilling = this.parts !== undefined
    for (let i = 0; i < rows.length; i++) {
      const full = keyOf(rows[i]!)
      const key = single ? full[position]! : this.#all ? full : this.positions.map((p) => full[p]!)
      let id: number
      if (spilling) {
        id = single ? table.findOne(key as Value) : table.find(key as Row)
        if (id < 0) this.parts![this.#partOf(key)]!.write(rows[i]!)
      } else {
        id = single ? table.addOne(key as Value) : table.add(key as Row)
        if (id === this.keys.length) {
          this.keys.push(key)
          this.#bytes +=
            GROUP_BYTES +
            this.#bodies.length * 32 +
            (single ? (typeof key === 'string' ? 24 + key.length : 8) : rowBytes(key as Row))
        }
      }
      ids[i] = id
    }
    this.#grow()
    if (!spilling && this.#bytes > x.workMemBytes && this.#depth < DEPTH_MAX && this.positions.length > 0)
      this.parts = Array.from({ length: PARTS }, () => new SpillFile(x))
  }
  addEmpty(): void {
    this.keys.push([])
    this.#grow()
  }
  #grow(): void {
    for (let k = 0; k < this.#bodies.length; k++) {
      const column = this.states[k]!
      while (column.length < this.keys.length) column.push(this.#bodies[k]!.init())
    }
  }
  /** The key over all keys, NULL where a key is not in the set. */
  spread(key: Value | Row): Row {
    const values = this.positions.length === 1 ? [key as Value] : (key as Row)
    if (this.#all) return values
    const full = nulls(this.#width)
    this.positions.forEach((position, i) => {
      full[position] = values[i]!
    })
    return full
  }
  clear(): void {
    this.keys = []
    this.states = []
  }
}

/** The loop that feeds a batch to all aggregates: generated, or over closures when it will not run often. */
function compileAdvance(sites: readonly AggregateSite[], env: CompileEnv, plain: boolean): (x: Execution) => Advance {
  if (env.mode === 'once') return closures(sites, env)
  let made: ((x: Execution) => Advance) | undefined
  return (x) => {
    made ??= generateAdvance(sites, env, plain)
    return made(x)
  }
}

function closures(sites: readonly AggregateSite[], env: CompileEnv): (x: Execution) => Advance {
  const parts = sites.map((site) => ({
    site,
    values: compileRow(site.inputs, env),
    filter: compilePredicate(site.filter, env),
  }))
  return (x) => {
    const bound = parts.map(({ site, values, filter }) => ({ site, values: values.bind(x), holds: filter.bind(x) }))
    return (rows, ids, states, bodies) => {
      for (let i = 0; i < rows.length; i++) {
        const group = ids === undefined ? 0 : ids[i]!
        if (group < 0) continue
        for (let k = 0; k < bound.length; k++) {
          const { site, values, holds } = bound[k]!
          if (!holds(rows[i]!)) continue
          const args = values(rows[i]!)
          if (args.slice(0, site.strictInputs).includes(null)) continue
          states[k]![group] = bodies[k]!.step(states[k]![group], ...args)
        }
      }
    }
  }
}

function generateAdvance(sites: readonly AggregateSite[], env: CompileEnv, plain: boolean): (x: Execution) => Advance {
  const w = new CodeWriter(env)
  const head: string[] = []
  const tail: string[] = []
  sites.forEach((site, k) => {
    head.push(`const body${k} = bodies[${k}], states${k} = states[${k}]`)
    if (plain) {
      head.push(`let state${k} = states${k}[0]`)
      tail.push(`states${k}[0] = state${k}`)
    }
    const state = plain ? `state${k}` : `states${k}[group]`
    const label = w.fresh('A')
    const body = () => {
      if (site.filter !== undefined) w.condition(site.filter, `break ${label}`)
      const args = site.inputs.map((input) => w.value(input))
      const tests = args.slice(0, site.strictInputs).filter((arg) => !w.isNotNull(arg))
      const step = site.counts ? `${state}++` : `${state} = body${k}.step(${[state, ...args].join(', ')})`
      w.lines.push(tests.length === 0 ? step : `if (${tests.map((arg) => `${arg} !== null`).join(' && ')}) ${step}`)
    }
    // Without a filter columns are read in the row's own block, where the next aggregate finds them too.
    if (site.filter === undefined) body()
    else w.block(`${label}:`, body)
  })
  const group = plain ? '' : 'const group = ids[i]; if (group < 0) continue;'
  return w.build(`(rows, ids, states, bodies) => {
    ${head.join('\n')}
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]; ${group}
      ${w.lines.join('\n')}
    }
    ${tail.join('\n')}
  }`)
}
