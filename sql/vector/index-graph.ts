/** What the runtime of an index asks of its graph: graph/graph.ts implements it; tests have one of plain arrays. */
import type {
  ExactOptions,
  GraphHits,
  GraphLimits,
  GraphSearch,
  GraphSearchOptions,
  GraphSpec,
  Slot,
} from './graph/graph.ts'

export interface IndexGraph {
  readonly spec: GraphSpec
  /** One more than the highest slot. */
  readonly slots: number
  /** How many of them are dead. */
  readonly dead: number
  /** Memory in use. */
  readonly bytes: number
  /** Throws 53200 beyond the limit. */
  append(packed: Uint8Array, created: number): Slot
  /** The slot is one of a commit after all. */
  setCreated(slot: Slot, created: number): void
  markDeleted(slot: Slot, at: number): void
  created(slot: Slot): number
  /** Infinity while it lives. */
  deleted(slot: Slot): number
  /** A view, valid until the next call. */
  vector(slot: Slot): Uint8Array
  /** In this thread, now: for few. */
  link(slot: Slot): void
  linkAll(from: Slot, until: Slot, onProgress?: (linked: number) => void): Promise<void>
  search(query: Uint8Array, options: GraphSearchOptions): GraphSearch
  /** The same of the slots from `from` on, each measured: what is not linked. */
  sweep(query: Uint8Array, options: GraphSearchOptions & { readonly from: Slot }): GraphSearch
  exact(query: Uint8Array, options: ExactOptions): GraphHits | Promise<GraphHits>
  /** So many slots that are named `exact` measures at once; of more it makes a promise. */
  readonly atOnce: number
  /** Edges, levels, timestamps of the slots there are now, the first `linked` of which are linked; no vectors. Blocks are made when they are asked for. */
  checkpoint(linked: Slot): Generator<Uint8Array>
  /** After a restore: the slot's vector. */
  setVector(slot: Slot, packed: Uint8Array): void
  /** The same of many slots, the first `count` of `slots`: their vectors, of one length, lie in a buffer at `places`. */
  setVectors(slots: Uint32Array, places: Uint32Array, count: number, bytes: number, from: Uint8Array): void
  /** After a restore, when all vectors that there are were given: the others are dead. In slices. */
  dropAbsent(): Promise<void>
  close(): void
}

export interface Graphs {
  create(spec: GraphSpec, limits: GraphLimits): IndexGraph
  /** Rejects with CheckpointError on any mismatch. */
  restore(spec: GraphSpec, limits: GraphLimits, blocks: AsyncIterable<Uint8Array>): Promise<IndexGraph>
  close(): Promise<void>
}
