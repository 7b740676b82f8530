/**
 * Reading tables. Rows come packed in pages and are decoded in place; one generated function a plan does it all for a page:
 *
 *     for each record: decode the filter's columns → test → decode the others → push [a, b, c]
 *
 * A look-up of one row by a unique key is a get without a scanner. An index that does not hold the rows gives their keys,
 * and the rows come by batches of gets. Plans that are not repeated begin with a kept reader and a walked filter, and get
 * code of their own once they have seen some hundred rows.
 */

import type { Key } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import { type Found, PAGE_HEADER_BYTES, type Page, type Scanner, type Span } from '../../storage/kv/kv.ts'
import {
  type BoundValues,
  clusteredIndex,
  entryPrefix,
  equalPrefixes,
  type KeySpace,
  keyColumn,
  pointWriter,
  rangeSpan,
  rowPrefix,
  rowSpan,
} from '../access/keys.ts'
import {
  columnSource,
  isNeverNull,
  layoutOf,
  type RowLayout,
  rowPrelude,
  rowReader,
  storedSource,
  TABLE_OID,
  viewOf,
} from '../access/row.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import { some } from '../plan/walk.ts'
import { sqlError } from '../types/error.ts'
import type { Value } from '../types/value.ts'
import type { RowList } from '../vector/row-list.ts'
import { compilePredicate } from './compile.ts'
import { domainRules } from './domain.ts'
import type { CompileEnv } from './env.ts'
import { evaluate } from './evaluate.ts'
import { CodeWriter } from './generate.ts'
import {
  BATCH_ROWS,
  type Execution,
  type MutableRow,
  type Operator,
  Pause,
  type RowBatch,
  SLICE_OVER,
  type Steps,
} from './operator.ts'
import { nextRows } from './pace.ts'
import { filtered } from './simple.ts'

export type ScanPlan = Extract<Plan, { kind: 'seq-scan' | 'index-scan' }>
export type IndexScan = Extract<Plan, { kind: 'index-scan' }>

/** Rows of the first page: a LIMIT above may want no more. */
const FIRST_ROWS = 128
/** Keys of the first batch of gets. */
const FIRST_KEYS = 32
/** Rows a walked scan reads before it has code made. */
const WALKED_ROWS = 256

export function compileScan(plan: ScanPlan, env: CompileEnv): Operator {
  if (plan.filter !== undefined && asksSubplans(plan.filter)) {
    // Such a row may have to be evaluated again, which a page's loop cannot do.
    const { filter, ...whole } = plan
    const input = compileScan({ ...whole, filter: undefined }, env)
    const predicate = compilePredicate(filter, env)
    return {
      run(x) {
        return filtered(plan, input, predicate, x)
      },
    }
  }
  const source = new ScanSource(plan, env)
  if (plan.kind === 'seq-scan') {
    const { currentOf } = plan
    if (currentOf !== undefined) {
      return {
        *run(x) {
          if (x.currentOf === undefined) throw sqlError('34000', `cursor "${currentOf}" does not exist`)
          const key = x.currentOf(currentOf, plan.table)
          if (key !== undefined) yield* source.paged(x, rowsOfKeys(x, [key], false))
        },
      }
    }
    const span = rowSpan(env.catalog.databaseOid, source.table)
    return {
      *run(x) {
        yield* source.scanned(x, x.txn.scan(span), source.reading(x))
      },
    }
  }
  const point = pointKey(plan, source.index!, env)
  if (point !== undefined) {
    const read = source.single(env)
    return {
      *run(x) {
        const row = read(x, point)
        if (row !== undefined) yield [row]
        else countRemoved(x, plan, 0)
      },
    }
  }
  return compileRange(plan, source, env)
}

const asksSubplans = (e: Expression): boolean => some(e, (node) => node.kind === 'subplan')

/** Reads one key: as a transaction sees it, or (without one) its newest committed version. */
export type GetKey = (key: Key) => Found | undefined

/**
 * The synchronous way for a statement that reads at most one row: an index scan by a whole unique key, with or without a
 * projection. undefined: the plan is of another shape. The row belongs to the caller. Without `get` the execution's
 * transaction is read.
 */
export function compilePoint(
  plan: Plan,
  env: CompileEnv,
): ((execution: Execution, get?: GetKey) => MutableRow | undefined) | undefined {
  const scan = plan.kind === 'project' ? plan.input : plan
  if (scan.kind !== 'index-scan') return undefined
  const source = new ScanSource(scan, env)
  const point = pointKey(scan, source.index!, env)
  if (point === undefined) return undefined
  const read = source.single({ ...env, mode: 'often' }, plan.kind === 'project' ? plan.targets : undefined)
  return (x, get) => read(x, point, get)
}

/**
 * A loop over a scan's rows without making rows: for aggregates.
 *
 *     const loop = compileScanLoop(plan, env, (w) => {
 *       const value = w.value(argument)                      an expression over the scan's output row
 *       w.lines.push(`if (${value} !== null) { sum += ${value}; count++ }`)
 *       return { before: 'let { sum, count } = state', after: 'state.sum = sum; state.count = count' }
 *     })
 *     yield* loop.run(x, state)                              pauses only; the results are in `state`
 *
 * `before` and `after` run once a page (about a thousand records), with `state`, the execution `x` and the page's `records`
 * in sight. Where neither the filter nor the body reads anything of a row and the body writes no line, there is no loop:
 * count(*) is `after: 'state.count += records'` without a filter, and `w.lines.push('count++')` with one. In the body
 * `continue` leaves the row out. undefined: the plan is no scan.
 */
export interface ScanLoop<S> {
  run(x: Execution, state: S): Generator<Pause, void, undefined>
}
export type LoopBody = (w: CodeWriter) => { readonly before: string; readonly after: string }

export function compileScanLoop<S>(plan: Plan, env: CompileEnv, body: LoopBody): ScanLoop<S> | undefined {
  if (plan.kind !== 'seq-scan' && plan.kind !== 'index-scan') return undefined
  if (plan.filter !== undefined && asksSubplans(plan.filter)) return undefined
  const source = new ScanSource(plan, env)
  let made: PageLoop<S> | undefined
  return {
    *run(x, state) {
      const { bind, countOnly } = (made ??= source.loop<S>(body))
      const feed = bind(x)
      if (plan.kind === 'seq-scan') {
        const scanner = x.txn.scan(rowSpan(x.catalog.databaseOid, source.table), { countOnly })
        try {
          for (let want = FIRST_ROWS, page = scanner.next(want); page !== undefined; page = scanner.next(want)) {
            const began = performance.now()
            feed(page, state)
            want = nextRows(want, performance.now() - began)
            if (x.sliceOver()) yield SLICE_OVER
          }
        } finally {
          scanner.close()
        }
        return
      }
      for (const page of indexPages(plan, source, env, x, BATCH_ROWS)) {
        if (page instanceof Pause) yield page
        else feed(page, state)
      }
    },
  }
}

/** Rows of pages that come from elsewhere (rows that another index proposed), decoded and filtered as the plan says. */
export function compilePages(plan: ScanPlan, env: CompileEnv): (x: Execution, pages: Iterable<Page | Pause>) => Steps {
  if (plan.filter !== undefined && asksSubplans(plan.filter)) {
    const { filter, ...whole } = plan
    const source = new ScanSource({ ...whole, filter: undefined }, env)
    const predicate = compilePredicate(filter, env)
    return (x, pages) => filtered(plan, { run: () => source.paged(x, pages) }, predicate, x)
  }
  const source = new ScanSource(plan, env)
  return (x, pages) => source.paged(x, pages)
}

/** The keys of the rows that an index scan's bounds name; the rows themselves are not read, where the index is not theirs. */
export function compileKeys(
  plan: IndexScan,
  env: CompileEnv,
): (x: Execution, rows: RowList) => Generator<Pause, void, undefined> {
  const index = indexOf(plan, env)
  const bounds = boundsOf(plan, env)
  return function* keys(x, rows) {
    const values = bounds(x)
    for (const prefix of equalPrefixes(index, plan.bounds, values)) {
      const span = rangeSpan(index, prefix, plan.bounds, values)
      if (span === undefined) continue
      const scanner = x.txn.scan(span)
      try {
        for (let page = scanner.next(BATCH_ROWS); page !== undefined; page = scanner.next(BATCH_ROWS)) {
          if (index.clustered) addKeysOf(page, rows)
          else addKeysIn(page, rows)
          if (x.sliceOver()) yield SLICE_OVER
        }
      } finally {
        scanner.close()
      }
    }
  }
}

/** Decoding and filtering for one scan. */
class ScanSource {
  readonly plan: ScanPlan
  readonly table: RelationRow
  readonly layout: RowLayout
  readonly index: IndexSource | undefined
  readonly #env: CompileEnv
  readonly #often: CompileEnv
  #code: ((x: Execution) => PageReader) | undefined

  constructor(plan: ScanPlan, env: CompileEnv) {
    const table = env.catalog.relation(plan.table)
    invariant(table !== undefined, `relation ${plan.table}`)
    this.plan = plan
    this.table = table
    this.layout = layoutOf(table, env.catalog)
    this.index = plan.kind === 'index-scan' ? indexSource(plan, table, env) : undefined
    this.#env = env
    this.#often = env.mode === 'often' ? env : { ...env, mode: 'often' }
  }

  /** How this execution reads pages; asked before each, since a walked scan changes to code. */
  reading(x: Execution): Reading {
    return this.#env.mode === 'often'
      ? { left: 0, read: this.#generated()(x) }
      : { left: WALKED_ROWS, read: this.#walked(x) }
  }

  /** Reads a page, and has code made when the walk has lasted long enough. */
  #page(x: Execution, reading: Reading, page: Page): RowBatch {
    const out: RowBatch = []
    try {
      reading.read(page, out)
    } catch (error) {
      reading.failed = { error }
    }
    if (reading.left > 0) {
      reading.left -= page.count
      if (reading.left <= 0) reading.read = this.#generated()(x)
    }
    if (x.instruments !== undefined) countRemoved(x, this.plan, page.count - out.length)
    return out
  }

  /** All pages of a scanner, which is closed at the end. */
  *scanned(x: Execution, scanner: Scanner, reading: Reading): Steps {
    try {
      for (let want = FIRST_ROWS, page = scanner.next(want); page !== undefined; page = scanner.next(want)) {
        const began = performance.now()
        const out = this.#page(x, reading, page)
        want = nextRows(want, performance.now() - began)
        if (out.length > 0) yield out
        if (reading.failed !== undefined) throw reading.failed.error
        if (x.sliceOver()) yield SLICE_OVER
      }
    } finally {
      scanner.close()
    }
  }

  *paged(x: Execution, pages: Iterable<Page | Pause>): Steps {
    const reading = this.reading(x)
    for (const page of pages) {
      if (page instanceof Pause) {
        yield page
        continue
      }
      const out = this.#page(x, reading, page)
      if (out.length > 0) yield out
      if (reading.failed !== undefined) throw reading.failed.error
    }
  }

  #walked(x: Execution): PageReader {
    const { plan } = this
    const read = rowReader(this.layout, plan.wanted, plan.table)
    const holds = compilePredicate(plan.filter, this.#env).bind(x)
    return (page, out) => {
      const { buffer, bytes } = page
      for (let o = 0, next = 0; o < bytes; o = next) {
        const at = o + PAGE_HEADER_BYTES + buffer.readUInt32LE(o)
        next = at + buffer.readUInt32LE(o + 4)
        const row = read(buffer, at)
        if (plan.withKey) row.push(buffer.latin1Slice(o + PAGE_HEADER_BYTES, at))
        if (holds(row)) out.push(row)
      }
    }
  }

  /** `paged`: for the loop over a page. */
  #writer(keySource: string, paged: boolean): CodeWriter {
    const { plan, layout, table } = this
    const names = new Map<unknown, string>()
    const bind = (value: unknown): string => {
      let name = names.get(value)
      if (name === undefined) names.set(value, (name = w.bind(value)))
      return name
    }
    const w = new CodeWriter(this.#often, {
      column: (i) => {
        const attribute = plan.wanted[i]
        if (attribute === undefined) return keySource
        return attribute === TABLE_OID ? String(table.oid) : columnSource(layout, attribute, bind)
      },
      notNull: (i) =>
        plan.wanted[i] === undefined || plan.wanted[i] === TABLE_OID || isNeverNull(layout, plan.wanted[i]!),
      ...(paged ? { stored: (i: number) => storedSource(layout, plan.wanted[i] ?? TABLE_OID) } : {}),
    })
    if (plan.wanted.some((attribute) => attribute > 0)) w.lines.push(rowPrelude(layout, bind))
    return w
  }

  #row(w: CodeWriter, targets: readonly Expression[] | undefined): string {
    const columns =
      targets ??
      this.plan.columns.map(({ type, typmod }, index): Expression => ({ kind: 'column', index, type, typmod }))
    return `[${columns.map((target) => w.value(target)).join(', ')}]`
  }

  #generated(): (x: Execution) => PageReader {
    if (this.#code !== undefined) return this.#code
    const w = this.#writer('b.latin1Slice(o + 16, at)', true)
    if (this.plan.filter !== undefined) w.condition(this.plan.filter, 'continue')
    const row = this.#row(w, undefined)
    w.lines.push(`out.push(${row})`)
    this.#code = built<PageReader>(w, `(page, out) => { ${pageLoop(w)} }`)
    return this.#code
  }

  loop<S>(body: LoopBody): PageLoop<S> {
    const w = this.#writer('b.latin1Slice(o + 16, at)', true)
    const without = w.lines.length
    if (this.plan.filter !== undefined) w.condition(this.plan.filter, 'continue')
    const { before, after } = body(w)
    const countOnly = w.lines.length === without
    const loop = countOnly ? '' : pageLoop(w)
    return {
      bind: built(w, `(page, state) => { const records = page.count; ${before}\n${loop}\n${after} }`),
      countOnly,
    }
  }

  /** Reads the row a key leads to; undefined when there is none, or the filter does not hold. */
  single(
    env: CompileEnv,
    targets?: readonly Expression[],
  ): (x: Execution, point: (x: Execution) => Key | undefined, get?: GetKey) => MutableRow | undefined {
    let made: ((x: Execution) => RecordReader) | undefined
    const clustered = this.index!.clustered
    const make = () => (env.mode === 'often' ? this.#generatedSingle(targets) : this.#walkedSingle())
    return (x, point, get) => {
      let key = point(x)
      if (key === undefined) return undefined
      if (!clustered) {
        const entry = get === undefined ? x.txn.get(key) : get(key)
        if (entry === undefined) return undefined
        key = entry.buffer.latin1Slice(entry.start, entry.end) as Key
      }
      const found = get === undefined ? x.txn.get(key) : get(key)
      if (found === undefined) return undefined
      const row = (made ??= make())(x)(found.buffer, found.start, key)
      if (x.instruments !== undefined && row === undefined) countRemoved(x, this.plan, 1)
      return row
    }
  }

  #walkedSingle(): (x: Execution) => RecordReader {
    const { plan } = this
    const read = rowReader(this.layout, plan.wanted, plan.table)
    const predicate = compilePredicate(plan.filter, this.#env)
    return (x) => {
      const holds = predicate.bind(x)
      return (buffer, at, key) => {
        const row: MutableRow = read(buffer, at)
        if (plan.withKey) row.push(key)
        return holds(row) ? row : undefined
      }
    }
  }

  #generatedSingle(targets: readonly Expression[] | undefined): (x: Execution) => RecordReader {
    const w = this.#writer('key', false)
    if (this.plan.filter !== undefined) w.condition(this.plan.filter, 'return undefined')
    const row = this.#row(w, targets)
    return built(w, `(b, at, key) => { const v = ${w.bind(viewOf)}(b); ${w.lines.join('\n')}\nreturn ${row} }`)
  }
}

interface PageLoop<S> {
  bind(x: Execution): (page: Page, state: S) => void
  /** It looks at no row. */
  readonly countOnly: boolean
}
type PageReader = (page: Page, out: RowBatch) => void
type RecordReader = (buffer: Buffer, at: number, key: Key) => MutableRow | undefined
interface Reading {
  read: PageReader
  /** Rows until code is made. */
  left: number
  /** Thrown once the rows before it are handed on: whoever wants no more than those never hears of it. */
  failed?: { readonly error: unknown }
}

/** The writer's lines for each record of `page`: `o` where it begins, `at` its value, in buffer `b`, DataView `v`. */
function pageLoop(w: CodeWriter): string {
  return `const b = page.buffer, v = ${w.bind(viewOf)}(b), bytes = page.bytes
    ${w.page.join('\n')}
    for (let o = 0, next = 0; o < bytes; o = next) {
      const at = o + ${PAGE_HEADER_BYTES} + v.getUint32(o, true)
      next = at + v.getUint32(o + 4, true)
      ${w.lines.join('\n')}
    }`
}

/** Code that needs nothing of an execution is one function for all of them. */
function built<F>(w: CodeWriter, source: string): (x: Execution) => F {
  const make = w.build<F>(source)
  if (w.setup !== '' || /\bx\b/.test(source)) return make
  const shared = make(undefined as unknown as Execution)
  return () => shared
}

function countRemoved(x: Execution, plan: Plan, removed: number): void {
  const instrument = x.instruments?.get(plan)
  if (instrument === undefined) return
  if (plan.kind === 'index-scan' || plan.kind === 'seq-scan') {
    if (plan.filter === undefined) return
    instrument.extra['Rows Removed by Filter'] =
      ((instrument.extra['Rows Removed by Filter'] as number | undefined) ?? 0) + removed
  }
}

// ---- indexes

export interface IndexSource extends KeySpace {
  /** The rows lie in it. */
  readonly clustered: boolean
  /** A whole key is one entry at most. */
  readonly unique: boolean
}

/** The index a scan reads. */
export function indexOf(plan: IndexScan, env: CompileEnv): IndexSource {
  const table = env.catalog.relation(plan.table)
  invariant(table !== undefined, `relation ${plan.table}`)
  return indexSource(plan, table, env)
}

function indexSource(plan: IndexScan, table: RelationRow, env: CompileEnv): IndexSource {
  const { catalog } = env
  const row = catalog.relation(plan.index)
  invariant(row?.index !== undefined, `index ${plan.index}`)
  const { index } = row
  const clustered = index.clustered && clusteredIndex(catalog, table)?.oid === row.oid
  return {
    clustered,
    unique: clustered || (index.unique && index.immediate),
    prefix: clustered ? rowPrefix(catalog.databaseOid, table) : entryPrefix(catalog.databaseOid, row),
    columns: index.keys.map((key) => keyColumn(key, catalog)),
  }
}

/** A value that no row gives: a parameter, an outer slot, a constant, or something computed of them. */
export function boundValue(e: Expression, env: CompileEnv): (x: Execution) => Value {
  switch (e.kind) {
    case 'param': {
      const at = e.index - 1
      return (x) => x.parameters[at] ?? null
    }
    case 'outer': {
      const { slot } = e
      return (x) => x.outer[slot] ?? null
    }
    case 'const': {
      const { value } = e
      return () => value
    }
    case 'relabel':
      if (domainRules(env.catalog, e.type) !== undefined) return (x) => evaluate(e, NO_ROW, x, env)
      return boundValue(e.arg, env)
    default:
      return (x) => evaluate(e, NO_ROW, x, env)
  }
}
const NO_ROW: readonly Value[] = []

/** The key of the one row (or entry) that the plan's bounds name; undefined when they name a range. */
export function pointKey(
  plan: IndexScan,
  index: IndexSource,
  env: CompileEnv,
): ((x: Execution) => Key | undefined) | undefined {
  const { bounds } = plan
  if (
    !index.unique ||
    bounds.equal.length !== index.columns.length ||
    bounds.lower !== undefined ||
    bounds.upper !== undefined
  )
    return undefined
  const values = bounds.equal.map((each) => (each.kind === 'value' ? boundValue(each.expression, env) : undefined))
  if (!values.every((value) => value !== undefined)) return undefined
  return pointOf(index, values)
}

function pointOf(index: IndexSource, values: readonly ((x: Execution) => Value)[]): (x: Execution) => Key | undefined {
  const write = pointWriter(index)
  if (values.length === 1) {
    const value = values[0]!
    const row: Value[] = [null]
    return (x) => {
      row[0] = value(x)
      return write(row)
    }
  }
  const row: Value[] = values.map(() => null)
  return (x) => {
    for (let i = 0; i < values.length; i++) row[i] = values[i]!(x)
    return write(row)
  }
}

/** The plan's values for one execution. */
function boundsOf(plan: IndexScan, env: CompileEnv): (x: Execution) => BoundValues {
  const { equal, lower, upper } = plan.bounds
  const none = () => null
  const equals = equal.map((each) =>
    each.kind === 'value' ? boundValue(each.expression, env) : each.kind === 'any' ? boundValue(each.array, env) : none,
  )
  const low = lower === undefined ? none : boundValue(lower.expression, env)
  const high = upper === undefined ? none : boundValue(upper.expression, env)
  return (x) => ({ equal: equals.map((value) => value(x)), lower: low(x), upper: high(x) })
}

function compileRange(plan: IndexScan, source: ScanSource, env: CompileEnv): Operator {
  return {
    *run(x) {
      yield* source.paged(x, indexPages(plan, source, env, x, FIRST_ROWS))
    },
  }
}

/** Pages of the table's rows that the bounds name, in the index's order. */
function* indexPages(
  plan: IndexScan,
  source: ScanSource,
  env: CompileEnv,
  x: Execution,
  first: number,
): Generator<Page | Pause, void, undefined> {
  const { bounds, reverse } = plan
  const index = source.index!
  const values = boundsOf(plan, env)(x)
  const prefixes = equalPrefixes(index, bounds, values)
  const ordered = reverse ? [...prefixes].reverse() : prefixes
  if (
    index.unique &&
    bounds.equal.length === index.columns.length &&
    bounds.equal.every((each) => each.kind !== 'null')
  ) {
    yield* rowsOfKeys(x, ordered, !index.clustered)
    return
  }
  let rows = first
  let keys = FIRST_KEYS
  for (const prefix of ordered) {
    const span: Span | undefined = rangeSpan(index, prefix, bounds, values)
    if (span === undefined) continue
    const scanner = x.txn.scan(span, { reverse })
    try {
      if (index.clustered) {
        for (let page = scanner.next(rows); page !== undefined; page = scanner.next(rows)) {
          yield page
          rows = BATCH_ROWS
          if (x.sliceOver()) yield SLICE_OVER
        }
      } else {
        for (let page = scanner.next(keys); page !== undefined; page = scanner.next(keys)) {
          yield x.txn.getMany(keysIn(page))
          keys = Math.min(BATCH_ROWS, keys * 4)
          if (x.sliceOver()) yield SLICE_OVER
        }
      }
    } finally {
      scanner.close()
    }
  }
}

/** Rows by their keys, or by those of their entries. */
function* rowsOfKeys(
  x: Execution,
  keys: readonly Key[],
  areEntries: boolean,
): Generator<Page | Pause, void, undefined> {
  for (let from = 0; from < keys.length; from += BATCH_ROWS) {
    const some = keys.length <= BATCH_ROWS ? keys : keys.slice(from, from + BATCH_ROWS)
    yield x.txn.getMany(areEntries ? keysIn(x.txn.getMany(some)) : some)
    if (x.sliceOver()) yield SLICE_OVER
  }
}

/** Adds the keys of rows. */
function addKeysOf({ buffer, bytes }: Page, rows: RowList): void {
  const view = viewOf(buffer)
  for (let o = 0; o < bytes; ) {
    const at = o + PAGE_HEADER_BYTES + view.getUint32(o, true)
    rows.add(buffer, o + PAGE_HEADER_BYTES, at)
    o = at + view.getUint32(o + 4, true)
  }
}

/** Adds the row keys that index entries have as their values. */
function addKeysIn({ buffer, bytes }: Page, rows: RowList): void {
  const view = viewOf(buffer)
  for (let o = 0; o < bytes; ) {
    const at = o + PAGE_HEADER_BYTES + view.getUint32(o, true)
    o = at + view.getUint32(o + 4, true)
    rows.add(buffer, at, o)
  }
}

/** The row keys that index entries have as their values. */
function keysIn(page: Page): Key[] {
  const keys: Key[] = []
  const { buffer, bytes } = page
  for (let o = 0; o < bytes; ) {
    const at = o + PAGE_HEADER_BYTES + buffer.readUInt32LE(o)
    o = at + buffer.readUInt32LE(o + 4)
    keys.push(buffer.latin1Slice(at, o) as Key)
  }
  return keys
}
