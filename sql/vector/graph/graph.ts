/**
 * The door to the graph of a vector index: HNSW (Malkov, Yashunin: "Efficient and robust approximate nearest neighbor
 * search using hierarchical navigable small world graphs", 2016) over one shared WebAssembly.Memory. Vectors, links and
 * timestamps lie in that memory; whatever is done once a vector is done by the kernel (sql/types/vector/kernel.c), in
 * this thread or in workers that share the memory. layout.ts draws it.
 *
 * A vector has a slot: its place, its number, for ever. Slots are given in ascending order, never used again, never
 * moved; a changed vector is a new slot. A slot is appended (its vector and the time it was created), later linked (only
 * then a search finds it by walking), perhaps marked deleted (it stays walkable). So the owner's order is
 *
 *     append -> [tail: exact(query, { from: linked })] -> linkAll -> search ... markDeleted -> [rebuild one day]
 *
 * One thread owns a graph: it alone appends, marks and grows. Linking and searching go on in any thread at the same time.
 */
import type { VectorElement, VectorMetric } from '../vector-index.ts'

/** Number of a vector in its graph, from 0. Without gaps, but for `sparse` elements: long vectors take several numbers. */
export type Slot = number

export interface GraphSpec {
  readonly element: VectorElement
  readonly metric: VectorMetric
  readonly dimensions: number
  /** Links on the upper layers, 2 to 100; twice as many on the lowest. */
  readonly m: number
  readonly efConstruction: number
  /** Levels are drawn from this: the same seed and order of slots give the same levels. */
  readonly seed?: number
}

export interface GraphLimits {
  /** What the graph may take, all included; at most 4 GiB are used. Beyond it `append` throws 53200. */
  readonly bytesMax: number
}

export interface GraphSearchOptions {
  /** Candidates kept while the search walks (ef), at least 1; so many hits has the first answer. */
  readonly effort: number
  /** Only slots with created <= at < deleted are returned. Default: everything not deleted. */
  readonly at?: number
  /** Bit `slot & 7` of byte `slot >> 3` says whether the slot may be returned; slots behind its end may not. Read until the search is closed. */
  readonly allow?: Uint8Array
  /** Only slots below this are returned (the tail is somebody else's). Default: all there are when the search begins. */
  readonly until?: Slot
}

/** Slots by ascending distance. Distances are the operator's: `<->` not squared, `<#>` negative. */
export interface GraphHits {
  readonly slots: Uint32Array
  readonly distances: Float64Array
}

/** One search that goes on until every slot it may return was returned, each once. Close it when it is not needed any more. */
export interface GraphSearch {
  /**
   * The next nearest: first the `effort` best, then what lies behind them, at last what no link leads to. Ascending within
   * one answer; a later answer may hold something nearer than an earlier one's last. undefined: there are no more.
   * Short searches are answered at once; long ones are a promise, while a worker (or this thread in slices) goes on.
   */
  next(): GraphHits | undefined | Promise<GraphHits | undefined>
  /** Distances computed so far. */
  readonly visited: number
  close(): void
}

export interface ExactOptions {
  /** So many nearest; all when it is absent. */
  readonly limit?: number
  readonly at?: number
  readonly allow?: Uint8Array
  /** The slots to look at, in any order; without it all from `from` (default 0) to before `until` (default: all there are). */
  readonly slots?: Uint32Array
  readonly from?: Slot
  readonly until?: Slot
}
/**
 * class Graph (being written; the signatures hold):
 *
 *   static create(spec: GraphSpec, limits: GraphLimits, pool?: GraphPool): Graph
 *   static restore(spec, limits, blocks: Iterable<Uint8Array>, pool?): Graph   throws CheckpointError on any mismatch; vectors are
 *                                            missing until setVector(slot, bytes) gave them; then dropAbsent() unlinks the rest
 *   readonly spec: GraphSpec
 *   readonly slots: number                   one more than the highest slot
 *   readonly bytes: number                   memory in use
 *   append(packed: Uint8Array, created: number): Slot      packed as sql/types/vector/packed.ts packs; throws 53200 beyond the limit
 *   markDeleted(slot, at: number): void
 *   created(slot): number; deleted(slot): number           Infinity while it lives
 *   vector(slot): Uint8Array                  a view, valid until the next append
 *   link(slot): void                          in this thread, now
 *   linkAll(from: Slot, until: Slot, onProgress?: (linked: number) => void): Promise<void>     in the pool's workers
 *   search(query: Uint8Array, options: GraphSearchOptions): GraphSearch
 *   exact(query: Uint8Array, options: ExactOptions): GraphHits | Promise<GraphHits>
 *   checkpoint(): Generator<Uint8Array>       blocks, each with its CRC
 *   close(): void
 */
