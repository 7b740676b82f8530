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
import { PAGE_HEADER_BYTES } from '../../storage/kv/kv.ts'
import { clusteredIndex, keyColumn, keyReader, leftOutPrefix, pointWriter, rowPrefix } from '../access/keys.ts'
import { vectorIndexSpec } from '../access/vector-spec.ts'
import type { IndexKey, RelationRow } from '../catalog/catalog.ts'
import type { Value } from '../types/value.ts'
import { dimensionsOf, type VectorValue } from '../types/vector/packed.ts'
import { GATHER_ELEMENTS } from '../vector/calibration.ts'
import { RowList } from '../vector/row-list.ts'
import type { VectorSettings } from '../vector/settings.ts'
import type { Hits, VectorIndex, VectorSearch } from '../vector/vector-index.ts'
import { compilePredicate, compileValue } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { compileLimits } from './limit.ts'
import {
  BATCH_ROWS,
  type Execution,
  type MutableRow,
  type Operator,
  Pause,
  SLICE_OVER,
  type Step,
  type Steps,
} from './operator.ts'
import { MUST_NOT_WAIT } from './pace.ts'
import { boundValue, compileKeys, compilePages } from './scan.ts'
import { inBatches } from './simple.ts'
import { chooseEffort, type Effort, isGatherBetter } from './vector-effort.ts'
import { compileExact } from './vector-exact.ts'
import { Gathered, nearestRows, without } from './vector-gather.ts'
import { Nearest } from './vector-nearest.ts'
import { sample } from './vector-sample.ts'
import { type Keys, note, type Run, rowsPlan, type Site, type VectorScan } from './vector-site.ts'

/** Rows looked at before the share that passes the filter is judged by them. */
const TRUSTED_ROWS = 64
/** A search is begun anew, so often, by the share that was seen to pass: going on finds worse than going far at once. */
const SEARCHES = 3
/** Hits whose distances differ by less (relatively) may be in another order than the operator has them. */
const TIE = 1e-5
/** Of rows that another index names, so many more than are wanted are put in order: some may not pass what else is asked, or are as near as the last. */
const MORE_GATHERED = 16
const MORE_EQUAL = 4
/** Rows that are got ready beyond those that were wanted, when somebody asks on. */
const MORE_ROWS = 100

export function compileVectorScan(plan: VectorScan, env: CompileEnv): Operator {
  const table = env.catalog.relation(plan.table)
  const index = env.catalog.relation(plan.index)
  invariant(table !== undefined && index?.index !== undefined, `index ${plan.index}`)
  const spec = vectorIndexSpec(env.catalog, table, index)
  const value = compileValue(plan.value, env)
  const within = compilePredicate(plan.within, env)
  const keysOf = (from: VectorScan['gather']) => from && compileKeys(from as Parameters<typeof compileKeys>[0], env)
  const keys = keysOf(plan.gather)
  const pages = (measured: boolean) => compilePages(rowsPlan(plan, plan.rest, measured), env)
  let measuring: ReturnType<typeof pages> | undefined
  let plain: typeof measuring
  const site: Site = {
    plan,
    spec,
    query: boundValue(plan.query, env),
    tenant: tenantKey(plan, index.index.keys.slice(0, -1), env),
    limits: compileLimits(plan.limit, plan.offset, env),
    value,
    within,
    pages: (measured) =>
      measured && plan.measured.length > 0 ? (measuring ??= pages(true)) : (plain ??= pages(false)),
    rowOfKey: rowReader(plan, table, env),
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

/** Rows whose wanted columns are all in their keys; undefined: the rows have to be read. */
function rowReader(plan: VectorScan, table: RelationRow, env: CompileEnv): Site['rowOfKey'] {
  if (plan.rest !== undefined || plan.withKey) return undefined
  const { catalog } = env
  return keyReader(rowPrefix(catalog.databaseOid, table), clusteredIndex(catalog, table), plan.wanted, catalog)
}

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
    read: 0,
    instrument: x.instruments?.get(plan),
  }
  const index = x.vectors.open(spec)
  const fits = query !== null && (spec.dimensions < 0 || dimensionsOf(query as VectorValue) === spec.dimensions)
  // Nothing is to be missed, and the index cannot measure all: what no link of a graph leads to would be found too late.
  const sure = (): boolean => {
    if (site.keys !== undefined) return false
    const { effort, all } = chooseEffort(index, x.vectorSettings, run.wanted, plan.share, false)
    return !all && effort >= index.status.entries
  }
  // The rows that the index leaves out are few, or none.
  if (plan.others && (plan.nulls === 'first' || plan.nans === 'first')) {
    yield* site.exact(run, { rows: yield* leftOut(site, x, tenant), firstOnly: true })
  }
  if (x.kept.get(MUST_NOT_WAIT) !== true) {
    if (fits && index.coming !== undefined) yield* settled(index.coming)
    if (x.crowded()) yield SLICE_OVER
  }
  if (fits && index.isReadyFor(x.txn) && !sure()) {
    const isComplete = yield* searched(site, run, index, tenant)
    if (isComplete) return
  }
  note(run, 'Search Method', 'exact scan')
  yield* site.exact(run)
}

/** Keys of the rows whose vectors the index leaves out. */
function* leftOut(site: Site, x: Execution, tenant: Key | undefined): Generator<Pause, RowList, undefined> {
  const { rowPrefix } = site.spec
  const prefix = `${site.leftOut}${tenant ?? ''}` as Key
  const rows = new RowList()
  const scanner = x.txn.scan(prefixSpan(prefix))
  try {
    for (let page = scanner.next(BATCH_ROWS); page !== undefined; page = scanner.next(BATCH_ROWS)) {
      const { buffer, bytes } = page
      for (let o = 0; o < bytes; ) {
        const at = o + PAGE_HEADER_BYTES + buffer.readUInt32LE(o)
        rows.addKey((rowPrefix + buffer.latin1Slice(o + PAGE_HEADER_BYTES + prefix.length, at)) as Key)
        o = at + buffer.readUInt32LE(o + 4)
      }
      if (x.sliceOver()) yield SLICE_OVER
    }
  } finally {
    scanner.close()
  }
  return rows
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
  readonly rows: RowList | undefined
  /** Of a search that may be begun anew with more; undefined: somebody has set it, or nothing depends on it. */
  readonly effort: number | undefined
  /** What comes later is further away: each row is measured. */
  readonly isSure: boolean
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
  const { otherwise } = site
  const isGathered = (): boolean =>
    isGatherBetter(plan, spec.dimensions, wanted, chooseEffort(index, x.vectorSettings, wanted, plan.share, false))
  const keys = site.keys ?? (otherwise !== undefined && isGathered() ? otherwise : undefined)
  let { search, rows, effort, isSure } = yield* proposals(site, run, index, tenant, keys)
  const distanceAt = plan.wanted.length
  const found = new Nearest(distanceAt)
  const vectorOf = site.value.bind(x)
  const holds = site.within.bind(x)
  const isRough = spec.quantization !== 'none'
  const relaxed =
    (spec.method === 'hnsw' ? x.vectorSettings.iterativeScan : x.vectorSettings.ivfflatIterativeScan) ===
    'relaxed_order'
  /** Of the rows that are fetched: those that another index names match, mostly. */
  const passing = (): number =>
    Math.min(1, Math.max(0.01, rows === undefined ? plan.share : (plan.share * plan.entries) / Math.max(1, rows.count)))
  let share = passing()
  let goal = Math.max(1, wanted - run.given.size)
  let fetched = 0
  let passed = 0
  let ended = false
  /** Keys that were fetched for searches before this one, and how far those came. */
  let seen: Set<Key> | undefined
  let reached = Number.NEGATIVE_INFINITY
  let searches = 1
  let isMissed = false
  /** The distance of the last row that went up. */
  let past = Number.NEGATIVE_INFINITY
  try {
    for (let answers = 0; !ended; answers++) {
      const next = search.next()
      if (next instanceof Promise && x.kept.get(MUST_NOT_WAIT) === true) return false
      const answer: Hits | undefined = next instanceof Promise ? yield* settled(next) : next
      if (answer === undefined) break
      const hits = seen === undefined ? answer : without(answer, seen)
      const { keys, distances } = hits
      for (let at = 0; at < keys.length; ) {
        // Within the first answer nothing that is still to come is nearer.
        const inOrder = answers === 0 && !isRough && distances[at]! >= reached
        if (inOrder && found.count >= goal && !isTie(distances, at)) {
          if (run.instrument !== undefined && run.given.size === 0) yield* sample(site, run, found, index)
          past = yield* give(site, run, found.take(goal), past)
          goal = MORE_ROWS
        }
        const need = inOrder && Number.isFinite(goal) ? Math.ceil(Math.max(1, goal - found.count) / share) : BATCH_ROWS
        const to = Math.min(keys.length, at + Math.min(need, BATCH_ROWS))
        const batch = rowsOfKeys(site, hits, at, to) ?? (yield* rowsRead(site, run, vectorOf, hits, at, to))
        passed += batch.length
        for (const row of batch) {
          // Its place in the order is past: whoever asks on has what is further away.
          if ((row[distanceAt] as number) < past && !relaxed) continue
          if (holds(row)) found.add(row)
          else ended = true
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
        if (otherwise === undefined) return false
        search.close()
        // From the start, without what went up.
        found.clear()
        seen = new Set(run.given)
        reached = Number.NEGATIVE_INFINITY
        ;({ search, rows, effort, isSure } = yield* proposals(site, run, index, tenant, otherwise))
        share = passing()
        isMissed = false
        answers = -1
        continue
      }
      if (ended) {
        if (isSure || relaxed || found.count >= goal) break
        // Of the rows within the distance some may be missing, where links lead elsewhere: each entry is measured.
        if (!Number.isFinite(goal) || isRough) return false
        noteSearch(run, search, fetched, passed)
        search.close()
        found.clear()
        seen = new Set(run.given)
        reached = Number.NEGATIVE_INFINITY
        search = index.search(x.txn, run.query, { effort: Math.ceil(goal / share), all: true, tenant, allow: rows })
        isSure = true
        ended = false
        answers = -1
        continue
      }
      if (found.count >= goal || (relaxed && !Number.isFinite(goal))) {
        if (run.instrument !== undefined && run.given.size === 0) yield* sample(site, run, found, index)
        past = yield* give(site, run, found.take(goal), past)
        goal = MORE_ROWS
        continue
      }
      if (answers > 0 || effort === undefined || relaxed || searches >= SEARCHES || !Number.isFinite(goal)) continue
      // Fewer pass than was estimated.
      const wider = chooseEffort(index, x.vectorSettings, wanted, Math.max(passed, 0.5) / fetched, false)
      effort = Math.max(wider.effort, effort * 2)
      note(run, 'Effort', effort)
      searches++
      seen ??= new Set()
      for (const key of keys) seen.add(key)
      reached = Math.max(reached, distances.at(-1) ?? reached)
      search.close()
      search = index.search(x.txn, run.query, { effort, all: wider.all, tenant, allow: undefined })
      isSure = wider.all
      answers = -1
    }
    noteSearch(run, search, fetched, passed)
    yield* give(site, run, found.take(found.count), past)
    if (ended || !plan.others) return true
    yield* site.exact(run, { rows: rows ?? (yield* leftOut(site, x, tenant)), firstOnly: false })
    return true
  } finally {
    noteSearch(run, search, fetched, passed)
    search.close()
    rows?.release()
  }
}

/** The rows of hits, each with its distance and its key at the end, where the index knows the one and the other holds all that is wanted. */
function rowsOfKeys(
  { rowOfKey }: Site,
  { keys, distanceOf }: Hits,
  from: number,
  to: number,
): MutableRow[] | undefined {
  if (distanceOf === undefined || rowOfKey === undefined) return undefined
  const rows: MutableRow[] = []
  for (let i = from; i < to; i++) {
    const row = rowOfKey(keys[i]!)
    row.push(distanceOf(i), keys[i]!)
    rows.push(row)
  }
  return rows
}

/** The same of rows that are read: those that pass the filter. Where the index knows the distance nothing is measured again. */
function* rowsRead(
  site: Site,
  run: Run,
  vectorOf: (row: MutableRow) => Value,
  { keys, distanceOf }: Hits,
  from: number,
  to: number,
): Generator<Pause, MutableRow[], undefined> {
  const { plan, spec } = site
  const { x, query } = run
  const rows: MutableRow[] = []
  run.read += to - from
  const page = x.txn.getMany(from === 0 && to === keys.length ? keys : keys.slice(from, to))
  let hit = from
  for (const step of site.pages(distanceOf === undefined)(x, [page])) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    for (const row of step) {
      const key = row.pop()!
      while (keys[hit] !== key) hit++
      const distance = distanceOf === undefined ? spec.distance(vectorOf(row), query) : distanceOf(hit)
      row.length = plan.wanted.length
      row.push(distance, key)
      rows.push(row)
    }
  }
  return rows
}

function noteSearch(run: Run, search: VectorSearch, fetched: number, passed: number): void {
  if (run.instrument === undefined) return
  note(run, 'Candidates', search.visited)
  note(run, 'Rows Fetched', run.read)
  note(run, 'Rows Removed by Filter', fetched - passed)
}

const isTie = (distances: Hits['distances'], at: number): boolean => {
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

/** Rows as they go up: without their keys, unless those are wanted. Returns the distance of the last; `past`: of those before. */
function* give(site: Site, run: Run, rows: readonly MutableRow[], past: number): Generator<Step, number, undefined> {
  const { withKey, wanted } = site.plan
  const last = rows.at(-1)?.[wanted.length] as number | undefined
  for (const row of rows) {
    run.given.add(row.at(-1) as Key)
    if (!withKey) row.pop()
  }
  yield* inBatches(rows, () => run.x.sliceOver())
  return last ?? past
}

// ---- where proposals come from

function* proposals(
  site: Site,
  run: Run,
  index: VectorIndex,
  tenant: Key | undefined,
  keys: Keys | undefined,
): Generator<Step, Proposals, undefined> {
  const { x, query, wanted } = run
  const { plan, spec } = site
  const settings = x.vectorSettings
  if (keys === undefined) {
    const { effort, isSet, all } = chooseEffort(index, settings, wanted, plan.share, false)
    if (all) note(run, 'Search Method', 'every entry measured')
    note(run, 'Effort', effort)
    const search = index.search(x.txn, query, { effort, all, tenant, allow: undefined })
    const open = isSet || plan.filter === undefined ? undefined : effort
    return { search, rows: undefined, effort: open, isSure: all }
  }
  const rows = new RowList()
  yield* keys(x, rows)
  const isFew = rows.count * Math.max(1, spec.dimensions) <= GATHER_ELEMENTS || !Number.isFinite(wanted)
  const graph = isFew ? undefined : graphEffort(index, settings, wanted, rows.count)
  if (graph === undefined) {
    note(run, 'Search Method', `exact over ${rows.count} gathered rows`)
    const first = wanted + (plan.rest === undefined ? MORE_EQUAL : MORE_GATHERED)
    const nearest = yield* nearestRows(x, index, query, rows, first, tenant)
    const search = new Gathered(index, x, query, rows, first, tenant, nearest)
    return { search, rows, effort: undefined, isSure: true }
  }
  const { effort, all } = graph
  note(run, 'Search Method', `graph over ${rows.count} gathered rows`)
  note(run, 'Effort', effort)
  const search = index.search(x.txn, query, { effort, all, tenant, allow: rows })
  return { search, rows, effort: undefined, isSure: all }
}

/** How far a search of the graph goes for so many rows of those that another index names; undefined: as far as measuring all of them. */
function graphEffort(index: VectorIndex, settings: VectorSettings, wanted: number, rows: number): Effort | undefined {
  const entries = Math.max(index.status.entries, rows)
  const chosen = chooseEffort(index, settings, wanted, rows / entries, true)
  return !chosen.all && chosen.effort >= entries ? undefined : chosen
}
