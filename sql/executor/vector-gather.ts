/**
 * Rows that another index names, by their exact distances: their keys are packed as they are read (row-list.ts), the vector
 * index finds and measures them without reading a row, and only those that go up are fetched.
 */
import type { Key } from '../../storage/keys/brand.ts'
import type { Value } from '../types/value.ts'
import type { RowList } from '../vector/row-list.ts'
import type { Hits, VectorIndex, VectorSearch } from '../vector/vector-index.ts'
import { type Execution, type Pause, SLICE_OVER } from './operator.ts'
import { compareDistances } from './vector-nearest.ts'

/** Rows whose distances are computed in one stretch. */
const STRETCH_ROWS = 2048

/** The nearest `limit` of the rows, a stretch at a time. */
export function* nearestRows(
  x: Execution,
  index: VectorIndex,
  query: Value,
  rows: RowList,
  limit: number,
  tenant: Key | undefined,
): Generator<Pause, Hits, undefined> {
  if (rows.count <= STRETCH_ROWS) return index.nearestOf(x.txn, query, rows, limit, tenant)
  const parts: Hits[] = []
  for (let from = 0; from < rows.count; from += STRETCH_ROWS) {
    parts.push(index.nearestOf(x.txn, query, rows, limit, tenant, from, Math.min(rows.count, from + STRETCH_ROWS)))
    if (x.sliceOver()) yield SLICE_OVER
  }
  const best = parts.flatMap((part) =>
    part.keys.map((key, i) => ({ key, distance: part.distances[i]!, exact: part.distanceOf?.(i) })),
  )
  best.sort((a, b) => compareDistances(a.distance, b.distance))
  if (best.length > limit) best.length = limit
  const isExact = parts.every(({ distanceOf }) => distanceOf !== undefined)
  return {
    keys: best.map(({ key }) => key),
    distances: best.map(({ distance }) => distance),
    distanceOf: isExact ? (hit) => best[hit]!.exact! : undefined,
  }
}

/** A search of such rows: a few first, then all others. */
export class Gathered implements VectorSearch {
  readonly visited: number
  readonly #all: () => Hits
  readonly #first: number
  #hits: Hits | undefined
  /** What was given first, while others may come: rows at equal distances need not come in the same order again. */
  #given: readonly Key[] = []
  #isOver: boolean

  /** `hits`: the nearest `first` of them. */
  constructor(
    index: VectorIndex,
    x: Execution,
    query: Value,
    rows: RowList,
    first: number,
    tenant: Key | undefined,
    hits: Hits,
  ) {
    this.visited = rows.count
    this.#isOver = rows.count === 0
    this.#first = Math.min(rows.count, first)
    this.#hits = hits
    this.#all = () => index.nearestOf(x.txn, query, rows, rows.count, tenant)
  }

  next(): Hits | undefined {
    if (this.#isOver) return undefined
    const hits = this.#hits
    this.#hits = undefined
    // Fewer than were asked for: the index holds no more of them.
    this.#isOver = hits === undefined || hits.keys.length < this.#first || this.#first === this.visited
    if (hits === undefined) return without(this.#all(), new Set(this.#given))
    this.#given = hits.keys
    return hits
  }

  close(): void {
    this.#isOver = true
  }
}

/** An answer without rows that were given before. */
export function without({ keys, distances, distanceOf }: Hits, given: ReadonlySet<Key>): Hits {
  const at = [...keys.keys()].filter((i) => !given.has(keys[i]!))
  return {
    keys: at.map((i) => keys[i]!),
    distances: at.map((i) => distances[i]!),
    distanceOf: distanceOf && ((hit) => distanceOf(at[hit]!)),
  }
}
