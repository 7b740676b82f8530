/** The vector indexes of a store that are open in this process, by what their entries' keys begin with. */
import type { Key } from '../../storage/keys/brand.ts'
import type { Kv, Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import { exactHits, KnownHits } from './exact-search.ts'
import type {
  Hits,
  SearchOptions,
  VectorIndex,
  VectorIndexes,
  VectorIndexSpec,
  VectorIndexStatus,
  VectorSearch,
} from './vector-index.ts'

export interface VectorIndexesOptions {
  readonly kv: Kv
  /** Where checkpoints of graphs lie; undefined: there are none. */
  readonly folder: string | undefined
  warn(message: string, fields?: Record<string, unknown>): void
}

export const openVectorIndexes = (_options: VectorIndexesOptions): VectorIndexes => new Registry()

class Registry implements VectorIndexes {
  readonly #open = new Map<Key, VectorIndex>()

  open(spec: VectorIndexSpec): VectorIndex {
    let index = this.#open.get(spec.prefix)
    if (index === undefined) this.#open.set(spec.prefix, (index = new ExactIndex(spec)))
    return index
  }

  drop(prefix: Key): void {
    this.#open.delete(prefix)
  }

  list(): readonly VectorIndex[] {
    return [...this.#open.values()]
  }

  async close(): Promise<void> {
    this.#open.clear()
  }
}

class ExactIndex implements VectorIndex {
  readonly spec: VectorIndexSpec

  constructor(spec: VectorIndexSpec) {
    this.spec = spec
  }

  isReadyFor(): boolean {
    return true
  }

  search(txn: Txn, query: Value, options: SearchOptions): VectorSearch {
    return new KnownHits(exactHits(this.spec, txn, query, options), options.effort)
  }

  nearestOf(txn: Txn, query: Value, rows: readonly Key[], limit: number): Hits {
    const { keys, distances } = exactHits(this.spec, txn, query, { tenant: undefined, allow: rows })
    return { keys: keys.slice(0, limit), distances: distances.slice(0, limit) }
  }

  effortFor(_recall: number, limit: number): number {
    return limit
  }

  get status(): VectorIndexStatus {
    return {
      state: 'ready',
      entries: 0,
      dead: 0,
      tail: 0,
      bytes: 0,
      calibration: [],
      builtAt: undefined,
      buildMs: undefined,
      blocksDone: 0,
      blocksTotal: 0,
      phase: '',
    }
  }
}
