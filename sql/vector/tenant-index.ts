/**
 * An index whose entries are divided by tenant columns: each tenant's entries lie together, so a small tenant is read and
 * measured exactly, and one with many entries gets a graph of its own. Who has how many is counted in the background, when
 * the index is opened and after many changes.
 */
import type { Key } from '../../storage/keys/brand.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { type Kv, PAGE_HEADER_BYTES, type Page, type Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import { EntriesIndex } from './entries-index.ts'
import { TRAILER_BYTES } from './entry.ts'
import { EntriesSearch } from './exact-search.ts'
import type { LiveIndex } from './live-index.ts'
import type { SearchOptions, VectorIndexSpec, VectorIndexStatus, VectorSearch } from './vector-index.ts'

/** A tenant with fewer entries is read: that takes about as long as walking a graph. */
const GRAPH_FROM = 5000
/** Entries are counted again after this many changes, and this share of them. */
const RECOUNT_CHANGES = 1000
const RECOUNT_SHARE = 0.25
/** Entries counted between two turns of the event loop. */
const SLICE_ROWS = 1024

export interface TenantOptions {
  readonly kv: Kv
  /** Opens a tenant's graph. */
  make(prefix: Key): LiveIndex
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

  constructor(spec: VectorIndexSpec, options: TenantOptions) {
    super(spec)
    this.#options = options
    this.#unfollow = options.kv.follow(spec.prefix, (_, changes) => {
      this.#changes += changes.most
      if (this.#changes >= RECOUNT_CHANGES && this.#changes >= this.#entries * RECOUNT_SHARE) this.#recount()
    })
    this.#recount()
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
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    // A commit that is told of is not visible yet.
    await turn()
    if (this.#isClosed) return
    this.#changes = 0
    const { kv } = this.#options
    const txn = kv.begin({ isolation: 'repeatable-read', readOnly: true, pid: 0, lockTimeoutMs: () => 0 })
    const counts = new Map<string, number>()
    let entries = 0
    try {
      txn.beginStatement()
      const scanner = txn.scan(prefixSpan(this.spec.prefix))
      try {
        for (let page = scanner.next(SLICE_ROWS); page !== undefined; page = scanner.next(SLICE_ROWS)) {
          entries += this.#countPage(page, counts)
          await turn()
          if (this.#isClosed) return
        }
      } finally {
        scanner.close()
      }
    } finally {
      txn.rollback()
    }
    this.#entries = entries
    for (const [tenant, count] of counts) if (count >= GRAPH_FROM) this.#open((this.spec.prefix + tenant) as Key)
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
    if (!this.#isClosed && !this.#graphs.has(prefix)) this.#graphs.set(prefix, this.#options.make(prefix))
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
