/**
 * Sort. In memory: the first key becomes a double (a number as it is, of a string what follows the beginning that all share) and a radix sort
 * orders by it; runs of equal doubles are sorted by the keys that follow, or by comparisons where the doubles do not say all. With a limit a heap keeps the best rows, and a scan below
 * makes no row whose first key is beyond them. Input that is ordered by leading keys already is sorted run by run. What outgrows work_mem goes to files as sorted runs, merged at the end.
 */

import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import { some } from '../plan/walk.ts'
import { OID } from '../types/oids.ts'
import type { Value } from '../types/value.ts'
import type { CompileEnv } from './env.ts'
import { compileLimits } from './limit.ts'
import { batchBytes } from './memory.ts'
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
import {
  type ColumnOrder,
  cut,
  isOrderedByNumber,
  type RowOrder,
  rowOrder,
  type SortColumns,
  sortColumns,
} from './order.ts'
import { compileScanLoop, type ScanLoop } from './scan.ts'
import { inBatches } from './simple.ts'
import { eachRow, SpillFile } from './spill.ts'

type SortPlan = Extract<Plan, { kind: 'sort' }>

/** A limit up to this many rows is kept in a heap. */
const HEAP_MAX = 100_000

export function compileSort(plan: SortPlan, env: CompileEnv): Operator {
  const input = env.compilePlan(plan.input, env)
  const keys = sortColumns(plan.keys, plan.input.columns.length, env)
  const order = rowOrder(env.catalog, keys.columns)
  const limits = compileLimits(plan.limit, plan.offset, env)
  const limited = plan.limit !== undefined
  const scanTop = limited && plan.presorted === 0 ? compileScanTop(plan, env) : undefined
  const note = (x: Execution, method: string) => {
    const instrument = x.instruments?.get(plan)
    if (instrument !== undefined) instrument.extra['Sort Method'] = method
  }
  return {
    run(x) {
      const { skip, count } = limited ? limits(x) : { skip: 0, count: Number.POSITIVE_INFINITY }
      const wanted = skip + count
      if (wanted === 0) return nothing()
      if (plan.presorted > 0 && plan.presorted < plan.keys.length) return incremental(input.run(x), x, wanted)
      if (wanted <= HEAP_MAX && scanTop !== undefined && x.instruments === undefined)
        return scanned(scanTop, keys, order, wanted, x)
      if (wanted <= HEAP_MAX) return topRows(input.run(x), keys, order, wanted, x, () => note(x, 'top-N heapsort'))
      return sortAll(input.run(x), keys, order, env.catalog, x, (method) => note(x, method))
    },
  }

  /** Rows that agree in the presorted keys are sorted by the others. */
  function* incremental(steps: Steps, x: Execution, wanted: number): Steps {
    const extend = keys.extend(x)
    const same = rowOrder(env.catalog, keys.columns.slice(0, plan.presorted))
    const rest = keys.columns.slice(plan.presorted)
    const restOrder = rowOrder(env.catalog, rest)
    const plain: SortColumns = { columns: rest, width: keys.width, extend: () => () => undefined }
    let run: MutableRow[] = []
    let given = 0
    note(x, 'incremental')
    function* flush(): Steps {
      for (const step of sortAll([run].values(), plain, restOrder, env.catalog, x, () => undefined)) {
        if (!(step instanceof Pause)) given += step.length
        yield step
      }
      run = []
    }
    for (const step of steps) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      extend(step)
      for (const row of step) {
        if (run.length > 0 && same(run[0]!, row) !== 0) {
          yield* flush()
          if (given >= wanted) return
        }
        run.push(row)
      }
    }
    if (run.length > 0) yield* flush()
  }
}

function* nothing(): Steps {}

/** The first `wanted` rows, in order: a heap whose top is the last of them. */
function* topRows(
  steps: Steps,
  keys: SortColumns,
  order: RowOrder,
  wanted: number,
  x: Execution,
  note: () => void,
): Steps {
  const extend = keys.extend(x)
  const top = new Top(keys, order, wanted)
  for (const step of steps) {
    if (step instanceof Pause) {
      yield step
      continue
    }
    extend(step)
    for (const row of step) top.offer(row)
  }
  note()
  yield* inBatches(top.sorted(), () => x.sliceOver())
}

/** The best rows so far. */
class Top {
  readonly #keys: SortColumns
  readonly #order: RowOrder
  readonly #wanted: number
  readonly #heap: MutableRow[] = []
  /**
   * No row whose first key lies beyond it is wanted, nor one with this very key when there is no other: what that key, a
   * number, is compared with. NaN, which no comparison holds with, while every row is.
   */
  bound: Value = Number.NaN

  constructor(keys: SortColumns, order: RowOrder, wanted: number) {
    this.#keys = keys
    this.#order = order
    this.#wanted = wanted
  }

  /** Takes the row if it is among the best; answers the new bound. */
  offer(row: MutableRow): Value {
    const heap = this.#heap
    if (heap.length < this.#wanted) {
      heap.push(row)
      if (heap.length < this.#wanted) return this.bound
      for (let i = (heap.length >> 1) - 1; i >= 0; i--) sink(heap, i, this.#order)
    } else {
      if (this.#order(row, heap[0]!) >= 0) return this.bound
      heap[0] = row
      sink(heap, 0, this.#order)
    }
    this.bound = heap[0]![this.#keys.columns[0]!.column] ?? Number.NaN
    return this.bound
  }

  sorted(): MutableRow[] {
    this.#heap.sort(this.#order)
    cut(this.#heap, this.#keys.width)
    return this.#heap
  }
}

/** The scan's loop with the test of the first key in it; undefined: the input is no scan, or that key is no number. */
function compileScanTop(plan: SortPlan, env: CompileEnv): ScanLoop<Top> | undefined {
  const [first] = plan.keys
  const { input } = plan
  if (plan.keys.some(({ expression }) => some(expression, (node) => node.kind === 'subplan'))) return undefined
  if (env.mode === 'once' || first === undefined || !isOrderedByNumber(first.expression.type)) return undefined
  if (input.kind !== 'seq-scan' && (input.kind !== 'index-scan' || input.unique)) return undefined
  return compileScanLoop<Top>(input, env, (w) => {
    // All keys are computed for every row, and once: one may fail, or answer differently the next time.
    const computed = plan.keys.flatMap(({ expression }) => (expression.kind === 'column' ? [] : [w.value(expression)]))
    const key = first.expression.kind === 'column' ? w.value(first.expression) : computed[0]!
    const beyond = `${key} ${first.descending ? '<' : '>'}${plan.keys.length === 1 ? '=' : ''} bound`
    w.lines.push(`if (${key} !== null && ${beyond}) continue`)
    const columns = input.columns.map(
      ({ type, typmod }, index): Expression => ({ kind: 'column', index, type, typmod }),
    )
    const values = [...columns.map((each) => w.value(each)), ...computed]
    w.lines.push(`bound = state.offer([${values.join(', ')}])`)
    return { before: 'let { bound } = state', after: '' }
  })
}

function* scanned(loop: ScanLoop<Top>, keys: SortColumns, order: RowOrder, wanted: number, x: Execution): Steps {
  const top = new Top(keys, order, wanted)
  yield* loop.run(x, top)
  yield* inBatches(top.sorted(), () => x.sliceOver())
}

function sink(heap: MutableRow[], from: number, order: RowOrder): void {
  const row = heap[from]!
  let at = from
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && order(heap[child + 1]!, heap[child]!) > 0) child++
    if (order(heap[child]!, row) <= 0) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = row
}

/** Everything, in memory or by runs in files. */
function* sortAll(
  steps: Iterable<RowBatch | Pause>,
  keys: SortColumns,
  order: RowOrder,
  catalog: Catalog,
  x: Execution,
  note: (method: string) => void,
): Steps {
  const extend = keys.extend(x)
  let rows: MutableRow[] = []
  let bytes = 0
  const runs: SpillFile[] = []
  try {
    for (const step of steps) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      extend(step)
      bytes += batchBytes(step)
      for (const row of step) rows.push(row)
      if (bytes > x.workMemBytes && rows.length > BATCH_ROWS) {
        rows = yield* sortRows(rows, keys.columns, order, catalog, x)
        const run = new SpillFile(x)
        runs.push(run)
        for (let i = 0; i < rows.length; i++) {
          run.write(rows[i]!)
          if (i % BATCH_ROWS === 0 && x.sliceOver()) yield SLICE_OVER
        }
        rows = []
        bytes = 0
        if (x.sliceOver()) yield SLICE_OVER
      }
    }
    rows = yield* sortRows(rows, keys.columns, order, catalog, x)
    note(runs.length === 0 ? 'quicksort' : 'external merge')
    if (runs.length === 0) {
      cut(rows, keys.width)
      yield* inBatches(rows, () => x.sliceOver())
      return
    }
    const sources = [...runs.map((run) => eachRow(run.read())), rows.values()]
    let out: RowBatch = []
    for (const row of merge(sources, order)) {
      out.push(row)
      if (out.length < BATCH_ROWS) continue
      cut(out, keys.width)
      yield out
      out = []
      if (x.sliceOver()) yield SLICE_OVER
    }
    cut(out, keys.width)
    if (out.length > 0) yield out
  } finally {
    for (const run of runs) run.close()
  }
}

/** Sorted sources as one; equal rows in the order of their sources. */
function* merge(sources: readonly Iterator<MutableRow>[], order: RowOrder): Generator<MutableRow, void, undefined> {
  interface Head {
    row: MutableRow
    readonly from: number
  }
  const before = (a: Head, b: Head) => order(a.row, b.row) || a.from - b.from
  const heap: Head[] = []
  const down = (at: number) => {
    const head = heap[at]!
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!) < 0) child++
      if (before(heap[child]!, head) >= 0) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = head
  }
  for (let from = 0; from < sources.length; from++) {
    const next = sources[from]!.next()
    if (!next.done) heap.push({ row: next.value, from })
  }
  for (let i = (heap.length >> 1) - 1; i >= 0; i--) down(i)
  while (heap.length > 0) {
    const top = heap[0]!
    yield top.row
    const next = sources[top.from]!.next()
    if (next.done) {
      const last = heap.pop()!
      if (heap.length === 0) return
      heap[0] = last
    } else top.row = next.value
    down(0)
  }
}

const NUMERIC: ReadonlySet<Oid> = new Set([
  OID.int2,
  OID.int4,
  OID.int8,
  OID.oid,
  OID.float4,
  OID.float8,
  OID.date,
  OID.time,
  OID.timestamp,
  OID.timestamptz,
]) // prettier-ignore
const TEXTUAL: ReadonlySet<Oid> = new Set([OID.text, OID.varchar, OID.name, OID.uuid])
/** Below this a comparison sort is as fast. */
const RADIX_MIN = 512

type Stretches<T> = Generator<Pause, T, undefined>

/** The rows in order; stable. The array given may be reused. */
function* sortRows(
  rows: MutableRow[],
  columns: readonly ColumnOrder[],
  order: RowOrder,
  catalog: Catalog,
  x: Execution,
): Stretches<MutableRow[]> {
  const [first] = columns
  if (rows.length < RADIX_MIN || first === undefined) return rows.sort(order)
  const numeric = NUMERIC.has(first.type)
  if (!numeric && !TEXTUAL.has(first.type)) return yield* mergeSort(rows, order, x)
  const present: MutableRow[] = []
  const absent: MutableRow[] = []
  for (const row of rows) (row[first.column] === null ? absent : present).push(row)
  if (x.sliceOver()) yield SLICE_OVER
  const { doubles, exact } = numeric ? numberKeys(present, first) : textKeys(present, first.column)
  if (x.sliceOver()) yield SLICE_OVER
  const ids = yield* radixSort(doubles, first.descending, x)
  const sorted = new Array<MutableRow>(present.length)
  for (let i = 0; i < ids.length; i++) sorted[i] = present[ids[i]!]!
  // Where the doubles say all there is to the first key, equal ones differ in the other keys only.
  const rest = columns.slice(1)
  const restOrder = rowOrder(catalog, rest)
  if (!exact) yield* sortTies(sorted, doubles, ids, (run) => mergeSort(run, order, x), x)
  else if (rest.length > 0)
    yield* sortTies(sorted, doubles, ids, (run) => sortRows(run, rest, restOrder, catalog, x), x)
  absent.sort(restOrder)
  return first.nullsFirst ? absent.concat(sorted) : absent.length === 0 ? sorted : sorted.concat(absent)
}

interface RadixKeys {
  readonly doubles: Float64Array
  /** Equal doubles are equal keys. */
  readonly exact: boolean
}

const wide = (rows: readonly MutableRow[], { column, type }: ColumnOrder): boolean =>
  (type === OID.int8 || type === OID.timestamp || type === OID.timestamptz) &&
  rows.some((row) => typeof row[column] === 'bigint')

function numberKeys(rows: readonly MutableRow[], first: ColumnOrder): RadixKeys {
  const doubles = new Float64Array(rows.length)
  for (let i = 0; i < rows.length; i++) doubles[i] = Number(rows[i]![first.column]) + 0
  return { doubles, exact: !wide(rows, first) }
}

/** Characters in a double: seven of ASCII, or three UTF-16 units. */
const ASCII_CHARACTERS = 7
const UNITS = 3

/** What follows the beginning that all strings share. */
function textKeys(rows: readonly MutableRow[], column: number): RadixKeys {
  const textAt = (i: number) => rows[i]![column] as string
  let shared = rows.length === 0 ? 0 : textAt(0).length
  for (let i = 1; i < rows.length && shared > 0; i++) {
    const before = textAt(i - 1)
    const here = textAt(i)
    let same = 0
    while (same < shared && here.charCodeAt(same) === before.charCodeAt(same)) same++
    shared = same
  }
  let ascii = true
  let longest = 0
  for (let i = 0; i < rows.length; i++) {
    const s = textAt(i)
    if (s.length > longest) longest = s.length
    for (let at = shared; at < s.length && at < shared + ASCII_CHARACTERS; at++)
      if (s.charCodeAt(at) > 127) ascii = false
  }
  const doubles = new Float64Array(rows.length)
  for (let i = 0; i < rows.length; i++)
    doubles[i] = ascii ? asciiPrefix(textAt(i), shared) : unitPrefix(textAt(i), shared)
  return { doubles, exact: longest <= shared + (ascii ? ASCII_CHARACTERS : UNITS) }
}

function asciiPrefix(s: string, from: number): number {
  let prefix = 0
  for (let at = from; at < from + ASCII_CHARACTERS; at++)
    prefix = prefix * 129 + (at < s.length ? s.charCodeAt(at) + 1 : 0)
  return prefix
}

/** Units moved so that they order as code points do: surrogates stand for what lies above U+FFFF. */
function unitPrefix(s: string, from: number): number {
  let prefix = 0
  for (let at = from; at < from + UNITS; at++) {
    let unit = at < s.length ? s.charCodeAt(at) + 1 : 0
    if (unit > 0xd800) unit += unit > 0xe000 ? -0x800 : 0x2000
    prefix = prefix * 0x1_0001 + unit
  }
  return prefix
}

/** Rows that are sorted by comparisons in one stretch. */
const STRETCH_ROWS = 4096

/** By comparisons: stretches are sorted, then merged pair by pair. */
function* mergeSort(rows: MutableRow[], order: RowOrder, x: Execution): Stretches<MutableRow[]> {
  const { length } = rows
  if (length <= STRETCH_ROWS) return rows.sort(order)
  let from: MutableRow[] = []
  for (let at = 0; at < length; at += STRETCH_ROWS) {
    for (const row of rows.slice(at, at + STRETCH_ROWS).sort(order)) from.push(row)
    if (x.sliceOver()) yield SLICE_OVER
  }
  let to: MutableRow[] = rows
  for (let width = STRETCH_ROWS; width < length; width *= 2) {
    for (let start = 0; start < length; start += 2 * width) {
      const middle = Math.min(start + width, length)
      const end = Math.min(start + 2 * width, length)
      let i = start
      let j = middle
      for (let at = start; at < end; at++) {
        const takesLeft = i < middle && (j >= end || order(from[i]!, from[j]!) <= 0)
        to[at] = takesLeft ? from[i++]! : from[j++]!
        if (at % STRETCH_ROWS === 0 && x.sliceOver()) yield SLICE_OVER
      }
    }
    ;[from, to] = [to, from]
  }
  return from
}

function* sortTies(
  sorted: MutableRow[],
  doubles: Float64Array,
  ids: Uint32Array,
  sort: (run: MutableRow[]) => Stretches<MutableRow[]>,
  x: Execution,
): Stretches<void> {
  let work = 0
  for (let from = 0; from < ids.length; ) {
    const value = doubles[ids[from]!]!
    let to = from + 1
    while (to < ids.length && Object.is(doubles[ids[to]!]!, value)) to++
    if (to - from > 1) {
      const run = yield* sort(sorted.slice(from, to))
      work += to - from
      if (work > STRETCH_ROWS) {
        work = 0
        if (x.sliceOver()) yield SLICE_OVER
      }
      for (let i = 0; i < run.length; i++) sorted[from + i] = run[i]!
    }
    from = to
  }
}

/** Positions of the doubles in ascending or descending order, stable; NaN is the greatest. */
function* radixSort(doubles: Float64Array, descending: boolean, x: Execution): Stretches<Uint32Array> {
  const count = doubles.length
  const words = new Uint32Array(doubles.buffer.slice(0, count * 8))
  const low = new Uint32Array(count)
  const high = new Uint32Array(count)
  // A double's bits order like an unsigned integer once negative ones are flipped and the sign bit of others is set.
  for (let i = 0; i < count; i++) {
    let lo = words[2 * i]!
    let hi = words[2 * i + 1]!
    const flip = hi >>> 31 === 1 && !Number.isNaN(doubles[i]!)
    if (flip) {
      lo = ~lo
      hi = ~hi
    } else hi |= 0x80000000
    if (descending) {
      lo = ~lo
      hi = ~hi
    }
    low[i] = lo >>> 0
    high[i] = hi >>> 0
  }
  let from = new Uint32Array(count)
  for (let i = 0; i < count; i++) from[i] = i
  let to = new Uint32Array(count)
  const buckets = new Uint32Array(1 << 11)
  for (const [keys, shift] of [
    [low, 0],
    [low, 11],
    [low, 22],
    [high, 0],
    [high, 11],
    [high, 22],
  ] as const) {
    buckets.fill(0)
    for (let i = 0; i < count; i++) buckets[(keys[i]! >>> shift) & 0x7ff]!++
    if (x.sliceOver()) yield SLICE_OVER
    // All alike in this digit: nothing to move.
    if (buckets[(keys[0]! >>> shift) & 0x7ff] === count) continue
    let sum = 0
    for (let digit = 0; digit < buckets.length; digit++) {
      const here = buckets[digit]!
      buckets[digit] = sum
      sum += here
    }
    for (let i = 0; i < count; i++) {
      const id = from[i]!
      to[buckets[(keys[id]! >>> shift) & 0x7ff]!++] = id
    }
    const swap = from
    from = to
    to = swap
  }
  return from
}
