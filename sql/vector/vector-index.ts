/**
 * The door to vector indexes. The truth of a vector index is its entries, which lie in the store like those of any other
 * index and are written in the same batch as their rows:
 *
 *     /table/<db>/<index's storage>/1[/<tenant columns>]/<row's own key>   ->   the vector's elements
 *
 * What is here is a cache of them in memory that finds the nearest ones fast: a graph, and before it a tail of entries that
 * were committed and are not yet linked. A search sees exactly the entries that its transaction sees: committed ones by the
 * timestamps kept with each slot, the transaction's own writes by an exact look at them. Losing a graph costs time, never
 * an answer: whoever reads at a snapshot the graph cannot serve, or while it is not there, is served by an exact scan.
 */
import type { Key, Oid } from '../../storage/keys/brand.ts'
import type { Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import type { VectorElement } from '../types/vector/packed.ts'
import type { RowList } from './row-list.ts'

export type { VectorElement } from '../types/vector/packed.ts'
/** What the operator of the index's operator class measures. */
export type VectorMetric = 'l2' | 'inner-product' | 'cosine' | 'l1' | 'hamming' | 'jaccard'

/** What makes one vector index; comes from its catalog row. */
export interface VectorIndexSpec {
  readonly index: Oid
  readonly table: Oid
  readonly name: string
  /** What every entry's key begins with; the row's own key (without the table's prefix) ends it. */
  readonly prefix: Key
  /** What the key of every row of the table begins with. */
  readonly rowPrefix: Key
  readonly element: VectorElement
  readonly dimensions: number
  readonly metric: VectorMetric
  /** The operator's own function, of two values of the indexed type. */
  readonly distance: (a: Value, b: Value) => number
  readonly method: 'hnsw' | 'ivfflat'
  /** Links a node has on the upper layers; twice as many on the lowest. */
  readonly m: number
  readonly efConstruction: number
  readonly lists: number
  /** Elements of the graph's copy, when they are smaller than the column's: hits are ranked again by their entries. */
  readonly quantization: 'none' | 'f16' | 'bit'
  /** Leading scalar columns, each of whose values has a graph of its own. */
  readonly tenantColumns: number
}

export interface SearchOptions {
  /** Candidates the graph keeps while it searches (ef). */
  readonly effort: number
  /** Every entry is measured, without a walk: nothing is missed. `effort` is then how many come at a time. */
  readonly all?: boolean
  /** Encoded tenant columns, for an index that has them. */
  readonly tenant: Key | undefined
  /** Only these rows are wanted. The search leads through other nodes and returns none of them. */
  readonly allow: RowList | undefined
}

/** Rows by ascending distance. `distances` are the index's own (l2 may come squared, a few ulps from the operator's): an order, no value. */
export interface Hits {
  readonly keys: readonly Key[]
  readonly distances: Float64Array | readonly number[]
  /** The operator's own distance of a hit; absent where the row has to be measured. Asked before the search goes on. */
  readonly distanceOf?: ((hit: number) => number) | undefined
}

/** One search that can be continued until every visible entry was given, each once. */
export interface VectorSearch {
  /**
   * The next nearest rows: first the `effort` best, then what lies behind them, at last what no link leads to. Ascending
   * within one answer; a later answer may hold rows nearer than an earlier one's last. undefined: there are no more.
   * A promise while a worker searches.
   */
  next(): Hits | Promise<Hits | undefined> | undefined
  /** Distances computed so far, nodes of the graph and entries of the tail looked at: for EXPLAIN ANALYZE. */
  readonly visited: number
  close(): void
}

export interface VectorIndex {
  readonly spec: VectorIndexSpec
  /** Whether a search at the transaction's snapshot can be served: if not, scan exactly (being built, too old a snapshot). */
  isReadyFor(txn: Txn): boolean
  /** While the graph is being loaded from its checkpoint: to wait for that takes less time than to scan. */
  readonly coming: Promise<void> | undefined
  /** `query` is a value of the indexed type, checked: not NULL, of the right dimensions. Registers the read with a SERIALIZABLE transaction. */
  search(txn: Txn, query: Value, options: SearchOptions): VectorSearch
  /**
   * The `limit` nearest of some rows (those from `from` to before `to`), where the index holds them, each measured, without walking
   * the graph. `tenant`: encoded tenant columns, of an index that has them; without it all its entries are read.
   */
  nearestOf(txn: Txn, query: Value, rows: RowList, limit: number, tenant?: Key, from?: number, to?: number): Hits
  /** The least effort whose measured recall for `limit` rows, of `share` (0 to 1) of all entries, is at least `recall`. */
  effortFor(recall: number, limit: number, share: number): number
  readonly status: VectorIndexStatus
}

export interface VectorIndexStatus {
  /** ready also while entries are linked in the background; failed: the graph could not be kept, for want of memory: searches are exact. */
  readonly state: 'loading' | 'building' | 'ready' | 'failed'
  /** Live entries, dead slots, entries not yet linked (or not even appended: a large commit's, at most). */
  readonly entries: number
  readonly dead: number
  readonly tail: number
  readonly bytes: number
  /** Measured recall by effort of the `depth` nearest, with its standard error; empty before the first calibration. */
  readonly calibration: readonly {
    readonly share: number
    readonly depth: number
    readonly effort: number
    readonly recall: number
    readonly error: number
  }[]
  /** Milliseconds since the epoch of the last finished build, and how long it took. */
  readonly builtAt: number | undefined
  readonly buildMs: number | undefined
  readonly blocksDone: number
  readonly blocksTotal: number
  readonly phase: string
}

export interface BuildOptions {
  /** What graph and keys may take, and what others of the same index have taken of it. */
  readonly bytesMax: number
  readonly bytesTaken?: number
  /** Throws when the statement is to end. */
  check(): void
}

/** All vector indexes of a store that are open in this process. */
export interface VectorIndexes {
  /** The index's graph; begins to load or build it in the background when it is not there. */
  open(spec: VectorIndexSpec): VectorIndex
  /**
   * CREATE INDEX: makes the graph of an index whose entries `txn` has written, before it commits; nobody else sees them.
   * Throws 53200 when the graph is larger than allowed. When the transaction does not commit, call `drop`.
   */
  build(spec: VectorIndexSpec, txn: Txn, options: BuildOptions): Promise<void>
  /** Forgets graphs and checkpoints of all indexes whose entries begin with `prefix`: dropped, or made anew elsewhere. */
  drop(prefix: Key): void
  /** VACUUM: graphs with many dead slots, of the indexes whose entries begin with `prefix`, are built anew. */
  vacuum(prefix: Key): Promise<void>
  /** At the start of a server: loads these in the background, and removes checkpoints of indexes that are not among them. */
  start(specs: Iterable<VectorIndexSpec>): void
  list(): readonly VectorIndex[]
  /** Leaves checkpoints of what has changed. */
  close(): Promise<void>
}
