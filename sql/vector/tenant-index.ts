/**
 * An index whose entries are divided by tenant columns: each tenant's entries lie together, so a small tenant is read and
 * measured exactly, and one with many entries gets a graph of its own, made when it is first searched.
 */
import type { Key } from '../../storage/keys/brand.ts'
import type { Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import { EntriesIndex } from './entries-index.ts'
import { EntriesSearch } from './exact-search.ts'
import type { LiveIndex } from './live-index.ts'
import type { SearchOptions, VectorIndexSpec, VectorIndexStatus, VectorSearch } from './vector-index.ts'

/** A tenant with fewer entries is read: that takes about as long as walking a graph. */
const GRAPH_FROM = 5000

export class TenantIndex extends EntriesIndex {
  readonly #make: (prefix: Key) => LiveIndex
  readonly #graphs = new Map<Key, LiveIndex>()

  constructor(spec: VectorIndexSpec, make: (prefix: Key) => LiveIndex) {
    super(spec)
    this.#make = make
  }

  /** Of the tenants that have graphs. */
  override get prefixes(): readonly Key[] {
    return [...this.#graphs.keys()]
  }

  override search(txn: Txn, query: Value, options: SearchOptions): VectorSearch {
    const prefix = (this.spec.prefix + (options.tenant ?? '')) as Key
    const graph = options.tenant === undefined ? undefined : this.#graphs.get(prefix)
    if (graph?.isReadyFor(txn)) return graph.search(txn, query, options)
    return new EntriesSearch(this.spec, txn, query, options, (entries) => {
      if (options.tenant === undefined || options.allow !== undefined || entries < GRAPH_FROM) return
      if (!this.#graphs.has(prefix)) this.#graphs.set(prefix, this.#make(prefix))
    })
  }

  override effortFor(recall: number, limit: number, share: number): number {
    let effort = 0
    for (const graph of this.#graphs.values()) effort = Math.max(effort, graph.effortFor(recall, limit, share))
    return effort > 0 ? effort : super.effortFor(recall, limit, share)
  }

  override get status(): VectorIndexStatus {
    const all = [...this.#graphs.values()].map((graph) => graph.status)
    const sum = (of: (status: VectorIndexStatus) => number) => all.reduce((total, status) => total + of(status), 0)
    return {
      state: 'ready',
      entries: sum((status) => status.entries),
      dead: sum((status) => status.dead),
      tail: sum((status) => status.tail),
      bytes: sum((status) => status.bytes),
      calibration: all[0]?.calibration ?? [],
      builtAt: all.reduce<number | undefined>(
        (last, { builtAt }) => Math.max(last ?? 0, builtAt ?? 0) || undefined,
        undefined,
      ),
      buildMs: all.length === 0 ? undefined : sum((status) => status.buildMs ?? 0),
      blocksDone: sum((status) => status.blocksDone),
      blocksTotal: sum((status) => status.blocksTotal),
      phase: all.find(({ phase }) => phase !== '')?.phase ?? '',
    }
  }

  override async vacuum(): Promise<void> {
    for (const graph of this.#graphs.values()) await graph.vacuum()
  }

  override async close(dropped: boolean): Promise<void> {
    await Promise.all([...this.#graphs.values()].map((graph) => graph.close(dropped)))
    this.#graphs.clear()
  }
}
