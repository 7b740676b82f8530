/**
 * The search that needs no graph: every entry the transaction sees is read and measured with the operator's own function.
 * It serves while a graph is not there, and is what every other search is compared with.
 */

import type { Key } from '../../storage/keys/brand.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { PAGE_HEADER_BYTES, type Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import { unpackVector } from '../types/vector/packed.ts'
import { TRAILER_BYTES } from './entry.ts'
import type { Hits, SearchOptions, VectorIndexSpec, VectorSearch } from './vector-index.ts'

const ROWS = 512

/** All visible entries by distance; NaN (of a query of zeros) last. */
export function exactHits(
  spec: VectorIndexSpec,
  txn: Txn,
  query: Value,
  { tenant, allow }: Pick<SearchOptions, 'tenant' | 'allow'>,
): Hits {
  const keys: Key[] = []
  const distances: number[] = []
  const wanted = allow === undefined ? undefined : new Set(allow)
  const scanner = txn.scan(prefixSpan(`${spec.prefix}${tenant ?? ''}` as Key))
  try {
    for (let page = scanner.next(ROWS); page !== undefined; page = scanner.next(ROWS)) {
      const { buffer, bytes } = page
      for (let o = 0; o < bytes; ) {
        const keyStart = o + PAGE_HEADER_BYTES
        const start = keyStart + buffer.readUInt32LE(o)
        o = start + buffer.readUInt32LE(o + 4)
        const end = o - TRAILER_BYTES
        const suffix = keyStart + spec.prefix.length + buffer.readUInt16LE(end)
        const key = (spec.rowPrefix + buffer.latin1Slice(suffix, start)) as Key
        if (wanted?.has(key) === false) continue
        keys.push(key)
        distances.push(spec.distance(unpackVector(buffer.subarray(start, end), spec.element, spec.dimensions), query))
      }
    }
  } finally {
    scanner.close()
  }
  const order = Uint32Array.from(keys, (_, i) => i).sort((a, b) => {
    const x = distances[a]!
    const y = distances[b]!
    return x < y ? -1 : x > y ? 1 : Number.isNaN(x) ? (Number.isNaN(y) ? a - b : 1) : Number.isNaN(y) ? -1 : a - b
  })
  return { keys: Array.from(order, (i) => keys[i]!), distances: Float64Array.from(order, (i) => distances[i]!) }
}

/** Gives hits that are known already, so many at a time. */
export class KnownHits implements VectorSearch {
  readonly #hits: Hits
  readonly #effort: number
  readonly visited: number
  #at = 0

  constructor(hits: Hits, effort: number) {
    this.#hits = hits
    this.#effort = effort
    this.visited = hits.keys.length
  }

  next(): Hits | undefined {
    const from = this.#at
    if (from >= this.#hits.keys.length) return undefined
    const to = Math.min(this.#hits.keys.length, from + this.#effort)
    this.#at = to
    return { keys: this.#hits.keys.slice(from, to), distances: this.#hits.distances.slice(from, to) }
  }

  close(): void {
    this.#at = this.#hits.keys.length
  }
}
