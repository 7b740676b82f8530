/**
 * An index whose entries are divided by tenant columns: each tenant's entries lie together, so a small tenant is read and
 * measured exactly, and one with many entries gets a graph of its own. Who has how many is counted by CREATE INDEX, which makes
 * the graphs within maintenance_work_mem; later in the background, when the index is opened and after many changes.
 */
import type { Key } from '../../storage/keys/brand.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { type Kv, PAGE_HEADER_BYTES, type Page, type Scanner, type Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import { EntriesIndex } from './entries-index.ts'
import { TRAILER_BYTES } from './entry.ts'
import { EntriesSearch } from './exact-search.ts'
import type { LiveIndex } from './live-index.ts'
import type { RowList } from './row-list.ts'
import { pageRows, Slices, turn } from './slices.ts'
import type {
  BuildOptions,
  Hits,
  SearchOptions,
  VectorIndexSpec,
  VectorIndexStatus,
  VectorSearch,
} from './vector-index.ts'

/** A tenant with fewer entries is read: that takes about as long as walking a graph. */
const GRAPH_FROM = 5000
/** Entries are counted again after this many changes, and this share of them. */
const RECOUNT_CHANGES = 1000
const RECOUNT_SHARE = 0.25

export interface TenantOptions {
  readonly kv: Kv
  /** A tenant's graph; `loads`: of the entries in the store, else it is to be built. */
  make(prefix: Key, loads: boolean): LiveIndex
  warn(message: string, fields?: Record<string, unknown>): void
}

export class TenantIndex extends EntriesIndex {
  readonly #options: TenantOptions
  readonly #graphs = new Map<Key, LiveIndex>()
  readonly #unfollow: () => void
  /** When they were last counted, and writes since. */
  #entries = 0
  #changes = 0
  #isCounting = false
  #isClosed = false
  /** Being built by a transaction that has not committed. */
  #isPending: boolean
  /** Tenants for whose graphs there was no room. */
  readonly #refused = new Set<Key>()

  /** `loads`: what the store has is counted in the background; else `build` does it. */
  constructor(spec: VectorIndexSpec, options: TenantOptions, loads: boolean) {
    super(spec)
    this.#options = options
    this.#isPending = !loads
    this.#unfollow = options.kv.follow(spec.prefix, (_, changes) => {
      if (this.#isPending) {
        // They were counted when they were built.
        this.#isPending = false
        return
      }
      this.#changes += changes.most
      if (this.#changes >= RECOUNT_CHANGES && this.#changes >= this.#entries * RECOUNT_SHARE) this.#recount()
    })
    if (loads) this.#recount()
  }

  /** CREATE INDEX: makes the graphs of large tenants from the transaction's own entries. Throws 53200 beyond the limit, and what `check` throws. */
  async build(txn: Txn, { bytesMax, check }: BuildOptions): Promise<void> {
    const counts = new Map<string, number>()
    this.#entries = await this.#read(txn.scanNewest(prefixSpan(this.spec.prefix)), counts, check)
    let bytes = 0
    for (const [tenant, count] of counts) {
      if (count < GRAPH_FROM) continue
      const prefix = (this.spec.prefix + tenant) as Key
      const graph = this.#options.make(prefix, false)
      this.#graphs.set(prefix, graph)
      await graph.build(txn, { bytesMax, bytesTaken: bytes, check })
      bytes += graph.status.bytes
    }
    // Without entries the feed would not tell of the commit.
    if (this.#entries === 0) this.#isPending = false
  }

  #recount(): void {
    if (this.#isCounting) return
    this.#isCounting = true
    this.#count()
      .catch((error: unknown) =>
        this.#options.warn(`entries of index "${this.spec.name}" could not be counted`, { err: error }),
      )
      .finally(() => {
        this.#isCounting = false
      })
  }

  async #count(): Promise<void> {
    // A commit that is told of is not visible yet.
    await turn()
    if (this.#isClosed) return
    this.#changes = 0
    const { kv } = this.#options
    const txn = kv.begin({ isolation: 'repeatable-read', readOnly: true, pid: 0, lockTimeoutMs: () => 0 })
    const counts = new Map<string, number>()
    try {
      txn.beginStatement()
      const entries = await this.#read(txn.scan(prefixSpan(this.spec.prefix)), counts, () => {})
      if (this.#isClosed) return
      this.#entries = entries
    } finally {
      txn.rollback()
    }
    for (const [tenant, count] of counts) if (count >= GRAPH_FROM) this.#open((this.spec.prefix + tenant) as Key)
  }

  /** Counts the entries of each tenant; answers how many there are in all. Ends early when the index is closed. */
  async #read(scanner: Scanner, counts: Map<string, number>, check: () => void): Promise<number> {
    const rows = pageRows(this.spec.dimensions)
    const slices = new Slices()
    let entries = 0
    try {
      for (let page = scanner.next(rows); page !== undefined; page = scanner.next(rows)) {
        entries += this.#countPage(page, counts)
        if (!slices.isOver) continue
        await slices.next()
        if (this.#isClosed) return entries
        check()
      }
      return entries
    } finally {
      scanner.close()
    }
  }

  #countPage({ buffer, bytes }: Page, counts: Map<string, number>): number {
    let rows = 0
    for (let o = 0; o < bytes; rows++) {
      const start = o + PAGE_HEADER_BYTES + this.spec.prefix.length
      o += PAGE_HEADER_BYTES + buffer.readUInt32LE(o) + buffer.readUInt32LE(o + 4)
      const tenant = buffer.latin1Slice(start, start + buffer.readUInt16LE(o - TRAILER_BYTES))
      counts.set(tenant, (counts.get(tenant) ?? 0) + 1)
    }
    return rows
  }

  #open(prefix: Key): void {
    if (this.#isClosed || this.#isPending || this.#graphs.has(prefix) || this.#refused.has(prefix)) return
    try {
      this.#graphs.set(prefix, this.#options.make(prefix, true))
    } catch (error) {
      this.#refused.add(prefix)
      this.#options.warn(`a tenant of index "${this.spec.name}" has no graph: searches read its entries`, {
        err: error,
      })
    }
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
      this.#open(prefix)
    })
  }

  override nearestOf(
    txn: Txn,
    query: Value,
    rows: RowList,
    limit: number,
    tenant?: Key,
    from?: number,
    to?: number,
  ): Hits {
    const graph = tenant === undefined ? undefined : this.#graphs.get((this.spec.prefix + tenant) as Key)
    if (graph !== undefined) return graph.nearestOf(txn, query, rows, limit, tenant, from, to)
    return super.nearestOf(txn, query, rows, limit, tenant, from, to)
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
      state: this.#isPending ? 'building' : 'ready',
      entries: this.#entries,
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
    this.#isClosed = true
    this.#unfollow()
    await Promise.all([...this.#graphs.values()].map((graph) => graph.close(dropped)))
    this.#graphs.clear()
  }
}
