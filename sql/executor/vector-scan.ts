/**
 * The nearest rows by a vector index. The index proposes row keys, nearest first; the rows come by batches of gets at the
 * transaction's snapshot, are filtered and measured with the operator's own function, and go up sorted by that:
 *
 *     search.next() → keys → rows → filter → distance → the `wanted` nearest, in order
 *           ↑                                    │
 *           └──────── too few have passed ───────┘      … and when that would read more than the table holds: exactly
 *
 * Exactly means: the table is scanned, filtered, measured, sorted. That is also what happens while the index cannot serve
 * the snapshot, and for what it cannot compare with (NULL, other dimensions: the operator itself then raises the error).
 * A row comes once, whatever the ways it was found on; min(LIMIT, matching rows) rows come always.
 */
import type { Key } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { PAGE_HEADER_BYTES, type Page } from '../../storage/kv/kv.ts'
import { keyColumn, leftOutPrefix, pointWriter } from '../access/keys.ts'
import { vectorIndexSpec } from '../access/vector-spec.ts'
import type { IndexKey } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import type { ColumnInfo } from '../plan/query.ts'
import { OID } from '../types/oids.ts'
import type { Value } from '../types/value.ts'
import { dimensionsOf, type VectorValue } from '../types/vector/packed.ts'
import { isIndexed } from '../vector/entry.ts'
import type { Hits, VectorIndex, VectorIndexSpec, VectorSearch } from '../vector/vector-index.ts'
import { compilePredicate, compileValue } from './compile.ts'
import type { Compiled, CompileEnv } from './env.ts'
import { compileLimits } from './limit.ts'
import {
  BATCH_ROWS,
  type Execution,
  type Instrument,
  type MutableRow,
  type Operator,
  Pause,
  type RowBatch,
  SLICE_OVER,
  type Step,
  type Steps,
} from './operator.ts'
import { MUST_NOT_WAIT } from './pace.ts'
import { boundValue, compileKeys, compilePages, compileScan } from './scan.ts'
import { inBatches } from './simple.ts'
import { compileSort } from './sort.ts'
import { chooseEffort } from './vector-effort.ts'
import { compareDistances, Nearest } from './vector-nearest.ts'

export type VectorScan = Extract<Plan, { kind: 'vector-scan' }>

/** Rows looked at before the share that passes the filter is judged by them. */
const TRUSTED_ROWS = 64
/** A search is begun anew, so often, by the share that was seen to pass: going on finds worse than going far at once. */
const SEARCHES = 3
/** Hits whose distances differ by less (relatively) may be in another order than the operator has them. */
const TIE = 1e-5
/** Up to so many elements (rows times dimensions) the distances of all rows that match are computed; above, a graph is asked. */
const GATHER_ELEMENTS = 15_000_000
/** Rows whose distances are computed in one stretch. */
const GATHER_ROWS = 2048
/** Rows that are got ready beyond those that were wanted, when somebody asks on. */
const MORE_ROWS = 100
/** Up to so many elements EXPLAIN ANALYZE compares an answer with the exact one. */
const SAMPLE_ELEMENTS = 50_000_000

/** What is compiled once a plan. */
interface Site {
  readonly plan: VectorScan
  readonly spec: VectorIndexSpec
  readonly query: (x: Execution) => Value
  readonly tenant: (x: Execution) => Key | undefined
  readonly limits: (x: Execution) => { readonly skip: number; readonly count: number }
  readonly value: Compiled<Value>
  readonly within: Compiled<boolean>
  /** Rows with their keys, filtered. */
  readonly pages: ReturnType<typeof compilePages>
  readonly keys: ReturnType<typeof compileKeys> | undefined
  readonly otherwise: ReturnType<typeof compileKeys> | undefined
  /** What the keys of rows begin with whose vectors the index leaves out. */
  readonly leftOut: Key
  readonly exact: Exact
}

/** What stays the same through one run. */
interface Run {
  readonly x: Execution
  readonly query: Value
  /** Rows the Limit above wants; Infinity: all. */
  readonly wanted: number
  /** Keys of the rows that went up. */
  readonly given: Set<Key>
  readonly instrument: Instrument | undefined
}

export function compileVectorScan(plan: VectorScan, env: CompileEnv): Operator {
  const table = env.catalog.relation(plan.table)
  const index = env.catalog.relation(plan.index)
  invariant(table !== undefined && index?.index !== undefined, `index ${plan.index}`)
  const spec = vectorIndexSpec(env.catalog, table, index)
  const value = compileValue(plan.value, env)
  const within = compilePredicate(plan.within, env)
  const keysOf = (from: VectorScan['gather']) => from && compileKeys(from as Parameters<typeof compileKeys>[0], env)
  const keys = keysOf(plan.gather)
  const site: Site = {
    plan,
    spec,
    query: boundValue(plan.query, env),
    tenant: tenantKey(plan, index.index.keys.slice(0, -1), env),
    limits: compileLimits(plan.limit, plan.offset, env),
    value,
    within,
    pages: compilePages(rowsPlan(plan, plan.filter), env),
    keys,
    otherwise: keysOf(plan.otherwise),
    leftOut: leftOutPrefix(env.catalog.databaseOid, index),
    exact: compileExact(plan, spec, value, within, keys, env),
  }
  return {
    run(x) {
      return nearest(site, x)
    },
  }
}

/** The table's rows as this scan wants them, each with its key. */
function rowsPlan(plan: VectorScan, filter: Expression | undefined): Extract<Plan, { kind: 'seq-scan' }> {
  const { table, alias, wanted, estimate } = plan
  const columns = [...plan.columns.slice(0, wanted.length), KEY_COLUMN]
  return { kind: 'seq-scan', table, alias, wanted, filter, withKey: true, columns, estimate }
}
const KEY_COLUMN: ColumnInfo = { name: '', type: OID.internal, typmod: -1 }

/** The values of the leading columns as entries' keys have them; undefined when one is NULL or fits no row. */
function tenantKey(plan: VectorScan, keys: readonly IndexKey[], env: CompileEnv): (x: Execution) => Key | undefined {
  if (keys.length === 0) return () => undefined
  const write = pointWriter({ prefix: '' as Key, columns: keys.map((key) => keyColumn(key, env.catalog)) })
  const values = plan.tenant.map((e) => boundValue(e, env))
  return (x) => write(values.map((value) => value(x)))
}

function* nearest(site: Site, x: Execution): Steps {
  const { plan, spec } = site
  const { skip, count } = site.limits(x)
  if (count === 0) return
  const query = site.query(x)
  const tenant = site.tenant(x)
  if (plan.tenant.length > 0 && tenant === undefined) return
  const run: Run = {
    x,
    query,
    wanted: skip + count + (plan.ties ? 1 : 0),
    given: new Set(),
    instrument: x.instruments?.get(plan),
  }
  const index = x.vectors.open(spec)
  const settings = x.vectorSettings
  const fits = query !== null && (spec.dimensions < 0 || dimensionsOf(query as VectorValue) === spec.dimensions)
  // Nothing is to be missed: what no link of a graph leads to would be found too late.
  const sure = (): boolean =>
    (settings.minRecall >= 1 && settings.efSearch === undefined && settings.probes === undefined) ||
    (site.keys === undefined &&
      chooseEffort(index, settings, run.wanted, plan.share, false).effort >= index.status.entries)
  // The rows that the index leaves out are few, or none.
  if (plan.others && (plan.nulls === 'first' || plan.nans === 'first')) {
    yield* site.exact(run, { rows: yield* leftOut(site, x, tenant), firstOnly: true })
  }
  if (fits && index.isReadyFor(x.txn) && !sure()) {
    const isComplete = yield* searched(site, run, index, tenant)
    if (isComplete) return
  }
  note(run, 'Search Method', 'exact scan')
  yield* site.exact(run)
}

/** Keys of the rows whose vectors the index leaves out. */
function* leftOut(site: Site, x: Execution, tenant: Key | undefined): Generator<Pause, Key[], undefined> {
  const { rowPrefix } = site.spec
  const prefix = `${site.leftOut}${tenant ?? ''}` as Key
  const rows: Key[] = []
  const scanner = x.txn.scan(prefixSpan(prefix))
  try {
    for (let page = scanner.next(BATCH_ROWS); page !== undefined; page = scanner.next(BATCH_ROWS)) {
      const { buffer, bytes } = page
      for (let o = 0; o < bytes; ) {
        const at = o + PAGE_HEADER_BYTES + buffer.readUInt32LE(o)
        rows.push((rowPrefix + buffer.latin1Slice(o + PAGE_HEADER_BYTES + prefix.length, at)) as Key)
        o = at + buffer.readUInt32LE(o + 4)
      }
      if (x.sliceOver()) yield SLICE_OVER
    }
  } finally {
    scanner.close()
  }
  return rows
}

function note(run: Run, name: string, value: number | string): void {
  if (run.instrument !== undefined) run.instrument.extra[name] = value
}

function* settled<T>(value: T | Promise<T>): Generator<Pause, T, undefined> {
  if (!(value instanceof Promise)) return value
  let result: { readonly value: T } | { readonly error: unknown } | undefined
  yield new Pause(
    value.then(
      (answer) => {
        result = { value: answer }
      },
      (error: unknown) => {
        result = { error }
      },
    ),
  )
  invariant(result !== undefined, 'a pause ends when its promise does')
  if ('error' in result) throw result.error
  return result.value
}

/** What an index proposes, and what of it may be trusted. */
interface Proposals {
  readonly search: VectorSearch
  /** All rows that can match, when they are known. */
  readonly rows: readonly Key[] | undefined
  /** Of a search that may be begun anew with more; undefined: somebody has set it, or nothing depends on it. */
  readonly effort: number | undefined
}

/** By the index. True: these were all rows there are; false: the others (all that were not given) are to be found exactly. */
function* searched(
  site: Site,
  run: Run,
  index: VectorIndex,
  tenant: Key | undefined,
): Generator<Step, boolean, undefined> {
  const { plan, spec } = site
  const { x, wanted } = run
  let { search, rows, effort } = yield* proposals(site, run, index, tenant, site.keys)
  const distanceAt = plan.wanted.length
  const found = new Nearest(distanceAt)
  const vectorOf = site.value.bind(x)
  const holds = site.within.bind(x)
  const isRough = spec.quantization !== 'none'
  const relaxed =
    (spec.method === 'hnsw' ? x.vectorSettings.iterativeScan : x.vectorSettings.ivfflatIterativeScan) ===
    'relaxed_order'
  const share = Math.min(1, Math.max(plan.share, 0.01))
  let goal = Math.max(1, wanted - run.given.size)
  let fetched = 0
  let passed = 0
  let ended = false
  /** Keys that were fetched for searches before this one, and how far those came. */
  let seen: Set<Key> | undefined
  let reached = Number.NEGATIVE_INFINITY
  let searches = 1
  let isMissed = false
  try {
    for (let answers = 0; !ended; answers++) {
      const next = search.next()
      if (next instanceof Promise && x.kept.get(MUST_NOT_WAIT) === true) return false
      const answer: Hits | undefined = yield* settled(next)
      if (answer === undefined) break
      const { keys, distances } = seen === undefined ? answer : without(answer, seen)
      for (let at = 0; at < keys.length; ) {
        // Within the first answer nothing that is still to come is nearer.
        const inOrder = answers === 0 && !isRough && distances[at]! >= reached
        if (inOrder && found.count >= goal && !isTie(distances, at)) {
          if (run.instrument !== undefined && run.given.size === 0) yield* sample(site, run, found, index)
          yield* give(site, run, found.take(goal))
          goal = MORE_ROWS
        }
        const need = inOrder && Number.isFinite(goal) ? Math.ceil(Math.max(1, goal - found.count) / share) : BATCH_ROWS
        const to = Math.min(keys.length, at + Math.min(need, BATCH_ROWS))
        const page = x.txn.getMany(at === 0 && to === keys.length ? keys : keys.slice(at, to))
        for (const step of site.pages(x, [page])) {
          if (step instanceof Pause) {
            yield step
            continue
          }
          passed += step.length
          for (const row of step) {
            const key = row.pop()!
            row.push(spec.distance(vectorOf(row), run.query), key)
            if (holds(row)) found.add(row)
            else ended = true
          }
        }
        fetched += to - at
        at = to
        if (ended && inOrder) break
        if (x.sliceOver()) yield SLICE_OVER
        if (
          rows === undefined &&
          plan.filter !== undefined &&
          isHopeless(site, index, goal - found.count, fetched, passed)
        ) {
          isMissed = true
          break
        }
      }
      if (isMissed) {
        noteSearch(run, search, fetched, passed)
        if (site.otherwise === undefined) return false
        search.close()
        // From the start, without what went up.
        found.clear()
        seen = new Set(run.given)
        reached = Number.NEGATIVE_INFINITY
        ;({ search, rows, effort } = yield* proposals(site, run, index, tenant, site.otherwise))
        isMissed = false
        answers = -1
        continue
      }
      if (ended) break
      if (found.count >= goal || (relaxed && !Number.isFinite(goal))) {
        if (run.instrument !== undefined && run.given.size === 0) yield* sample(site, run, found, index)
        yield* give(site, run, found.take(goal))
        goal = MORE_ROWS
        continue
      }
      if (answers > 0 || effort === undefined || relaxed || searches >= SEARCHES || !Number.isFinite(goal)) continue
      // Fewer pass than was estimated.
      const wider = chooseEffort(index, x.vectorSettings, wanted, Math.max(passed, 0.5) / fetched, false)
      effort = Math.max(wider.effort, effort * 2)
      searches++
      seen ??= new Set()
      for (const key of keys) seen.add(key)
      reached = Math.max(reached, distances.at(-1) ?? reached)
      search.close()
      note(run, 'Effort', effort)
      search = index.search(x.txn, run.query, { effort, tenant, allow: undefined })
      answers = -1
    }
    noteSearch(run, search, fetched, passed)
    yield* give(site, run, found.take(found.count))
    if (ended || !plan.others) return true
    yield* site.exact(run, { rows: rows ?? (yield* leftOut(site, x, tenant)), firstOnly: false })
    return true
  } finally {
    noteSearch(run, search, fetched, passed)
    search.close()
  }
}

function noteSearch(run: Run, search: VectorSearch, fetched: number, passed: number): void {
  if (run.instrument === undefined) return
  note(run, 'Candidates', search.visited)
  note(run, 'Rows Fetched', fetched)
  note(run, 'Rows Removed by Filter', fetched - passed)
}

const isTie = (distances: Float64Array, at: number): boolean => {
  const [before, next] = [distances[at - 1]!, distances[at]!]
  return next - before <= TIE * Math.abs(next)
}

/** So few rows pass the filter that a scan of the table will be quicker than going on. */
function isHopeless(
  { plan, spec }: Site,
  index: VectorIndex,
  missing: number,
  fetched: number,
  passed: number,
): boolean {
  if (fetched < TRUSTED_ROWS || missing <= 0) return false
  const entries = index.status.entries || plan.entries
  const needed = Math.min(entries - fetched, (missing * fetched) / Math.max(passed, 0.5))
  const gathered = plan.otherwise === undefined ? Number.POSITIVE_INFINITY : plan.otherwise.estimate.rows * GATHER_SHARE
  return needed > Math.min(entries * scanShare(spec.dimensions), gathered)
}
/** The part of a candidate's time that a row takes whose key another index gives. */
const GATHER_SHARE = 0.3

/** The part of a candidate's time (walk, get, distance) in which a scan reads a row: microseconds, measured. */
const scanShare = (dimensions: number): number => (0.2 + dimensions * 0.0022) / (5 + dimensions * 0.005)

/** An answer without rows that an earlier search has proposed. */
function without({ keys, distances }: Hits, seen: ReadonlySet<Key>): Hits {
  const at = [...keys.keys()].filter((i) => !seen.has(keys[i]!))
  return { keys: at.map((i) => keys[i]!), distances: Float64Array.from(at, (i) => distances[i]!) }
}

/** Rows as they go up: without their keys, unless those are wanted. */
function* give(site: Site, run: Run, rows: readonly MutableRow[]): Steps {
  const { withKey } = site.plan
  for (const row of rows) {
    run.given.add(row.at(-1) as Key)
    if (!withKey) row.pop()
  }
  yield* inBatches(rows, () => run.x.sliceOver())
}

// ---- where proposals come from

function* proposals(
  site: Site,
  run: Run,
  index: VectorIndex,
  tenant: Key | undefined,
  keys: Site['keys'],
): Generator<Step, Proposals, undefined> {
  const { x, query, wanted } = run
  const { plan, spec } = site
  const settings = x.vectorSettings
  if (keys === undefined) {
    const { effort, isSet } = chooseEffort(index, settings, wanted, plan.share, false)
    note(run, 'Effort', effort)
    const search = index.search(x.txn, query, { effort, tenant, allow: undefined })
    return { search, rows: undefined, effort: isSet || plan.filter === undefined ? undefined : effort }
  }
  const rows: Key[] = []
  for (const step of keys(x)) {
    if (step instanceof Pause) yield step
    else for (const key of step) rows.push(key)
  }
  const elements = rows.length * Math.max(1, spec.dimensions)
  if (elements <= GATHER_ELEMENTS || !Number.isFinite(wanted)) {
    note(run, 'Search Method', `exact over ${rows.length} gathered rows`)
    const first = Math.max(64, wanted * 4)
    const search = new Gathered(index, x, query, rows, first, yield* nearestRows(x, index, query, rows, first))
    return { search, rows, effort: undefined }
  }
  const entries = Math.max(index.status.entries, rows.length)
  const { effort } = chooseEffort(index, settings, wanted, rows.length / entries, true)
  note(run, 'Search Method', `graph over ${rows.length} gathered rows`)
  note(run, 'Effort', effort)
  return { search: index.search(x.txn, query, { effort, tenant, allow: rows }), rows, effort: undefined }
}

/** The nearest `limit` of the rows, a stretch at a time. */
function* nearestRows(
  x: Execution,
  index: VectorIndex,
  query: Value,
  rows: readonly Key[],
  limit: number,
): Generator<Pause, Hits, undefined> {
  if (rows.length <= GATHER_ROWS) return index.nearestOf(x.txn, query, rows, limit)
  const best: { readonly key: Key; readonly distance: number }[] = []
  for (let from = 0; from < rows.length; from += GATHER_ROWS) {
    const { keys, distances } = index.nearestOf(x.txn, query, rows.slice(from, from + GATHER_ROWS), limit)
    for (const [i, key] of keys.entries()) best.push({ key, distance: distances[i]! })
    if (x.sliceOver()) yield SLICE_OVER
  }
  best.sort((a, b) => compareDistances(a.distance, b.distance))
  if (best.length > limit) best.length = limit
  return { keys: best.map(({ key }) => key), distances: Float64Array.from(best, ({ distance }) => distance) }
}

/** Rows that are known, by their exact distances: a few first, then all others. */
class Gathered implements VectorSearch {
  readonly visited: number
  readonly #all: () => Hits
  readonly #first: number
  #hits: Hits | undefined
  #taken = 0

  /** `hits`: the nearest `first` of them. */
  constructor(index: VectorIndex, x: Execution, query: Value, rows: readonly Key[], first: number, hits: Hits) {
    this.visited = rows.length
    this.#first = Math.min(rows.length, first)
    this.#hits = hits
    this.#all = () => index.nearestOf(x.txn, query, rows, rows.length)
  }

  next(): Hits | undefined {
    const from = this.#taken
    if (from >= this.visited) return undefined
    const { keys, distances } = this.#hits ?? this.#all()
    // Fewer than were asked for: the index holds no more of them.
    this.#taken = this.#hits === undefined || keys.length < this.#first ? this.visited : this.#first
    this.#hits = undefined
    return { keys: keys.slice(from), distances: distances.slice(from) }
  }

  close(): void {
    this.#taken = this.visited
  }
}

// ---- the exact way

interface Only {
  readonly rows: readonly Key[]
  /** Only those that stand before all others, for want of a distance. */
  readonly firstOnly: boolean
}
/** All rows that were not given, in order; with `only`, of these alone. */
type Exact = (run: Run, only?: Only) => Steps

function compileExact(
  plan: VectorScan,
  spec: VectorIndexSpec,
  value: Compiled<Value>,
  within: Compiled<boolean>,
  keys: Site['keys'],
  env: CompileEnv,
): Exact {
  const conditions = conjunction(plan.filter, plan.predicate)
  const from = rowsPlan(plan, conditions)
  const distanceAt = plan.wanted.length
  const columns = [...from.columns.slice(0, distanceAt), DISTANCE_COLUMN, KEY_COLUMN]
  const measured: Plan = { ...from, columns }
  /** Of the run that is being started; read at once. */
  let starting: { readonly run: Run; readonly only: Only | undefined } | undefined
  let scan: Operator | undefined
  let pages: ReturnType<typeof compilePages> | undefined
  const input: Operator = {
    run(x) {
      const { run, only } = starting!
      if (only === undefined && keys === undefined) return measure(run, (scan ??= compileScan(from, env)).run(x), false)
      pages ??= compilePages(from, env)
      return measure(run, pages(x, rowPages(x, only === undefined ? keys!(x) : [only.rows])), only?.firstOnly === true)
    },
  }
  const key = {
    expression: columnAt(distanceAt, DISTANCE_COLUMN),
    descending: false,
    nullsFirst: plan.nulls === 'first',
  }
  const sorting = (limit: Expression | undefined, offset: Expression | undefined): Operator =>
    compileSort(
      { kind: 'sort', input: measured, keys: [key], limit, offset, presorted: 0, columns, estimate: plan.estimate },
      { ...env, compilePlan: () => input },
    )
  let limited: Operator | undefined
  let whole: Operator | undefined

  const isFirst = (distance: number | null): boolean =>
    distance === null ? plan.nulls === 'first' : Number.isNaN(distance) && plan.nans === 'first'

  function* measure(run: Run, steps: Steps, firstOnly: boolean): Steps {
    const { x, query, given } = run
    const vectorOf = value.bind(x)
    const holds = within.bind(x)
    for (const step of steps) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      const out: RowBatch = []
      for (const row of step) {
        const key = row.pop()!
        if (given.has(key as Key)) continue
        const own = vectorOf(row)
        if (!plan.others && (own === null || !isIndexed(spec, own))) continue
        const distance = own === null || query === null ? null : spec.distance(own, query)
        if (firstOnly && !isFirst(distance)) continue
        row.push(distance, key)
        if (holds(row)) out.push(row)
      }
      if (out.length > 0) yield out
    }
  }

  return function* exact(run, only) {
    const isLimited = Number.isFinite(run.wanted) && !plan.ties
    for (;;) {
      const before = run.given.size
      const sort = isLimited
        ? (limited ??= sorting(plan.limit, plan.offset))
        : (whole ??= sorting(undefined, undefined))
      starting = { run, only }
      for (const step of sort.run(run.x)) {
        if (step instanceof Pause) {
          yield step
          continue
        }
        for (const row of step) {
          run.given.add(row.at(-1) as Key)
          if (!plan.withKey) row.pop()
        }
        yield step
      }
      // Whoever wants more than the limit (rows that were locked are skipped) has the next ones.
      if (!isLimited || run.given.size < before + run.wanted) return
    }
  }
}

function* rowPages(x: Execution, steps: Iterable<readonly Key[] | Pause>): Generator<Page | Pause, void, undefined> {
  for (const step of steps) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    for (let from = 0; from < step.length; from += BATCH_ROWS) {
      yield x.txn.getMany(step.length <= BATCH_ROWS ? step : step.slice(from, from + BATCH_ROWS))
      if (x.sliceOver()) yield SLICE_OVER
    }
  }
}

const DISTANCE_COLUMN: ColumnInfo = { name: '', type: OID.float8, typmod: -1 }
const columnAt = (index: number, { type, typmod }: ColumnInfo): Expression => ({ kind: 'column', index, type, typmod })

const conjunction = (...conditions: readonly (Expression | undefined)[]): Expression | undefined => {
  const args = conditions.filter((e) => e !== undefined)
  return args.length > 1 ? { kind: 'and', args, type: OID.bool, typmod: -1 } : args[0]
}

/** For EXPLAIN ANALYZE: how many of the rows about to go up are among the truly nearest, while finding those is cheap. */
function* sample(site: Site, run: Run, found: Nearest, index: VectorIndex): Generator<Pause, void, undefined> {
  const { plan, spec } = site
  const entries = index.status.entries || plan.entries
  if (
    site.keys !== undefined ||
    !Number.isFinite(run.wanted) ||
    plan.ties ||
    entries * Math.max(1, spec.dimensions) > SAMPLE_ELEMENTS
  )
    return
  const rows = found.take(found.count)
  for (const row of rows) found.add(row)
  const truth: Run = { ...run, given: new Set(), instrument: undefined }
  const at = plan.wanted.length
  let furthest: number | undefined
  let count = 0
  for (const step of site.exact(truth)) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    for (const row of step) {
      if (count >= run.wanted) break
      count++
      furthest = row[at] as number
    }
    if (count >= run.wanted) break
  }
  if (furthest === undefined) return
  const limit = furthest
  const hits = rows.slice(0, run.wanted).filter((row) => (row[at] as number) <= limit).length
  note(run, 'Sampled Recall', (hits / Math.min(count, run.wanted)).toFixed(3))
}
