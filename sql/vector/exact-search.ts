/**
 * The search that needs no graph: every entry the transaction sees is read and measured with the operator's own function.
 * It serves while a graph is not there, and is what every other search is compared with.
 */

import type { Key } from '../../storage/keys/brand.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { PAGE_HEADER_BYTES, type Page, type Scanner, type Span, type Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import { unpackVector } from '../types/vector/packed.ts'
import { TRAILER_BYTES } from './entry.ts'
import type { Hits, SearchOptions, VectorIndexSpec, VectorSearch } from './vector-index.ts'

const ROWS = 256
/** So long entries are read before others have their turn. */
const SLICE_MS = 4

/** Reads what a transaction sees of an index's entries (of one tenant's), and measures them. */
class EntryReader {
  readonly keys: Key[] = []
  readonly distances: number[] = []
  readonly #spec: VectorIndexSpec
  readonly #txn: Txn
  readonly #query: Value
  readonly #span: Span
  readonly #wanted: ReadonlySet<Key> | undefined
  #scanner: Scanner | undefined
  #isOver = false

  constructor(
    spec: VectorIndexSpec,
    txn: Txn,
    query: Value,
    { tenant, allow }: Pick<SearchOptions, 'tenant' | 'allow'>,
  ) {
    this.#spec = spec
    this.#txn = txn
    this.#query = query
    this.#span = prefixSpan(`${spec.prefix}${tenant ?? ''}` as Key)
    this.#wanted = allow === undefined ? undefined : new Set(allow.keys())
  }

  /** Goes on for about `ms` milliseconds; true: all is read. */
  readFor(ms: number): boolean {
    if (this.#isOver) return true
    this.#scanner ??= this.#txn.scan(this.#span)
    const began = performance.now()
    for (;;) {
      const page = this.#scanner.next(ROWS)
      if (page === undefined) break
      this.#measure(page)
      if (performance.now() - began >= ms) return false
    }
    this.close()
    return true
  }

  #measure({ buffer, bytes }: Page): void {
    const { prefix, rowPrefix, element, dimensions, distance } = this.#spec
    const { keys, distances } = this
    for (let o = 0; o < bytes; ) {
      const keyStart = o + PAGE_HEADER_BYTES
      const start = keyStart + buffer.readUInt32LE(o)
      o = start + buffer.readUInt32LE(o + 4)
      const end = o - TRAILER_BYTES
      const suffix = keyStart + prefix.length + buffer.readUInt16LE(end)
      const key = (rowPrefix + buffer.latin1Slice(suffix, start)) as Key
      if (this.#wanted?.has(key) === false) continue
      keys.push(key)
      distances.push(distance(unpackVector(buffer.subarray(start, end), element, dimensions), this.#query))
    }
  }

  close(): void {
    this.#isOver = true
    this.#scanner?.close()
    this.#scanner = undefined
  }
}

/** By distance, then as they lie; NaN (of a query of zeros) last. */
function compare(distances: readonly number[], a: number, b: number): number {
  const x = distances[a]!
  const y = distances[b]!
  return x < y ? -1 : x > y ? 1 : Number.isNaN(x) ? (Number.isNaN(y) ? a - b : 1) : Number.isNaN(y) ? -1 : a - b
}

/** All visible entries by distance, now. */
export function exactHits(
  spec: VectorIndexSpec,
  txn: Txn,
  query: Value,
  options: Pick<SearchOptions, 'tenant' | 'allow'>,
): Hits {
  const reader = new EntryReader(spec, txn, query, options)
  reader.readFor(Infinity)
  const { keys, distances } = reader
  const order = Uint32Array.from(keys, (_, i) => i).sort((a, b) => compare(distances, a, b))
  const ordered = Array.from(order, (i) => distances[i]!)
  return { keys: Array.from(order, (i) => keys[i]!), distances: ordered, distanceOf: (hit) => ordered[hit]! }
}

/**
 * The same as a search: entries are read in slices, others have their turn between them; then the nearest are given, so many
 * at a time, from a heap (whoever wants ten of a million does not wait for all to be put in order).
 */
export class EntriesSearch implements VectorSearch {
  readonly #entries: EntryReader
  readonly #effort: number
  readonly #read: ((entries: number) => void) | undefined
  /** Numbers of entries, the nearest first; undefined: not all are read yet. */
  #heap: Uint32Array | undefined
  #left = 0

  /** `read` hears how many entries there were. */
  constructor(spec: VectorIndexSpec, txn: Txn, query: Value, options: SearchOptions, read?: (entries: number) => void) {
    this.#entries = new EntryReader(spec, txn, query, options)
    this.#effort = Math.max(1, options.effort)
    this.#read = read
  }

  get visited(): number {
    return this.#entries.distances.length
  }

  next(): Hits | Promise<Hits | undefined> | undefined {
    if (this.#heap !== undefined) return this.#nearest()
    if (this.#entries.readFor(SLICE_MS)) return this.#begin()
    return this.#inSlices()
  }

  async #inSlices(): Promise<Hits | undefined> {
    do {
      await new Promise((resolve) => setImmediate(resolve))
    } while (!this.#entries.readFor(SLICE_MS))
    return this.#begin()
  }

  #begin(): Hits | undefined {
    const { distances } = this.#entries
    this.#read?.(distances.length)
    this.#heap = Uint32Array.from(distances, (_, i) => i)
    this.#left = distances.length
    for (let i = (this.#left >> 1) - 1; i >= 0; i--) this.#sink(i)
    return this.#nearest()
  }

  #nearest(): Hits | undefined {
    const { keys, distances } = this.#entries
    const heap = this.#heap!
    const count = Math.min(this.#left, this.#effort)
    if (count === 0) return undefined
    const nearest = { keys: new Array<Key>(count), distances: new Array<number>(count) }
    for (let i = 0; i < count; i++) {
      const entry = heap[0]!
      nearest.keys[i] = keys[entry]!
      nearest.distances[i] = distances[entry]!
      heap[0] = heap[--this.#left]!
      this.#sink(0)
    }
    return { ...nearest, distanceOf: (hit) => nearest.distances[hit]! }
  }

  /** Puts the entry at place `at` of the heap where it belongs, at or below it. */
  #sink(at: number): void {
    const heap = this.#heap!
    const { distances } = this.#entries
    const isBefore = (a: number, b: number): boolean => compare(distances, a, b) < 0
    const entry = heap[at]!
    for (let child = 2 * at + 1; child < this.#left; child = 2 * at + 1) {
      if (child + 1 < this.#left && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, entry)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = entry
  }

  close(): void {
    this.#entries.close()
    this.#left = 0
  }
}
