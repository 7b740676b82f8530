/** Rows measured by their entries in the store, as the transaction sees them: exact, and without a graph. */
import type { Key } from '../../storage/keys/brand.ts'
import { PAGE_HEADER_BYTES, type Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import { unpackVector } from '../types/vector/packed.ts'
import { TRAILER_BYTES } from './entry.ts'
import { type Candidate, nearer } from './live-search.ts'
import type { Hits, VectorIndexSpec } from './vector-index.ts'

/** In the names' order; undefined where there is no entry. `prefix`: of the entries, with a tenant's columns; a name is what follows. */
export function distancesOf(
  { distance, element, dimensions }: VectorIndexSpec,
  prefix: Key,
  txn: Txn,
  names: readonly string[],
  query: Value,
): readonly (number | undefined)[] {
  const { buffer, bytes } = txn.getMany(names.map((name) => (prefix + name) as Key))
  const out = new Array<number | undefined>(names.length)
  let i = 0
  for (let o = 0; o < bytes; ) {
    const start = o + PAGE_HEADER_BYTES
    const valueAt = start + buffer.readUInt32LE(o)
    o = valueAt + buffer.readUInt32LE(o + 4)
    const name = buffer.latin1Slice(start + prefix.length, valueAt)
    while (names[i] !== name) i++
    out[i++] = distance(unpackVector(buffer.subarray(valueAt, o - TRAILER_BYTES), element, dimensions), query)
  }
  return out
}

/** Those that have entries. */
export function measuredEntries(
  spec: VectorIndexSpec,
  prefix: Key,
  txn: Txn,
  names: readonly string[],
  query: Value,
): Candidate[] {
  const distances = distancesOf(spec, prefix, txn, names, query)
  return names.flatMap((name, i) => (distances[i] === undefined ? [] : [{ name, distance: distances[i] }]))
}

/** The nearest of them, by the operator: `measure` gives its distance where a candidate's is the graph's. */
export function nearestHits(
  { rowPrefix }: VectorIndexSpec,
  candidates: Candidate[],
  limit: number,
  measure?: (slot: number) => number,
): Hits {
  candidates.sort((a, b) => nearer(a.distance, b.distance))
  const count = Math.min(limit, candidates.length)
  const keys: Key[] = []
  const distances: number[] = []
  const exact: number[] = []
  for (let i = 0; i < count; i++) {
    const { name, distance, slot } = candidates[i]!
    keys.push((rowPrefix + name) as Key)
    distances.push(distance)
    exact.push(slot === undefined ? distance : measure!(slot))
  }
  return { keys, distances, distanceOf: (hit) => exact[hit]! }
}
