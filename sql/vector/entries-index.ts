/** An index without a graph: its entries are read and measured, at the transaction's own snapshot. */
import type { Key } from '../../storage/keys/brand.ts'
import type { Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import { Calibration } from './calibration.ts'
import { EntriesSearch, exactHits } from './exact-search.ts'
import { measuredEntries, nearestHits } from './measured.ts'
import { RowList } from './row-list.ts'
import type {
  Hits,
  SearchOptions,
  VectorIndex,
  VectorIndexSpec,
  VectorIndexStatus,
  VectorSearch,
} from './vector-index.ts'

export class EntriesIndex implements VectorIndex {
  readonly spec: VectorIndexSpec
  readonly #assumed = new Calibration()

  constructor(spec: VectorIndexSpec) {
    this.spec = spec
  }

  /** Of the parts that have graphs. */
  get prefixes(): readonly Key[] {
    return []
  }

  get coming(): Promise<void> | undefined {
    return undefined
  }

  isReadyFor(_txn: Txn): boolean {
    return true
  }

  search(txn: Txn, query: Value, options: SearchOptions): VectorSearch {
    return new EntriesSearch(this.spec, txn, query, options)
  }

  nearestOf(txn: Txn, query: Value, rows: RowList, limit: number, tenant?: Key, from = 0, to = rows.count): Hits {
    const { spec } = this
    if (tenant === undefined && spec.tenantColumns > 0) {
      // Nobody knows whose they are: all entries are read.
      const allow = from === 0 && to === rows.count ? rows : RowList.of(rows.keys(from, to))
      const { keys, distances, distanceOf } = exactHits(spec, txn, query, { tenant, allow })
      return { keys: keys.slice(0, limit), distances: distances.slice(0, limit), distanceOf }
    }
    const prefix = (spec.prefix + (tenant ?? '')) as Key
    const names = rows.keys(from, to).map((key) => key.slice(spec.rowPrefix.length))
    for (const name of names) txn.noteRead((prefix + name) as Key)
    return nearestHits(spec, measuredEntries(spec, prefix, txn, names, query), limit)
  }

  effortFor(recall: number, limit: number, share: number): number {
    return this.#assumed.effortFor(recall, limit, share, limit)
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

  async vacuum(): Promise<void> {}

  async close(_dropped: boolean): Promise<void> {}
}
