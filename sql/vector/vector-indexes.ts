/**
 * The vector indexes of a store that are open in this process, by what their entries' keys begin with. An index whose
 * entries are divided by tenant columns has a graph for each tenant with many entries; a small one is read.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Key } from '../../storage/keys/brand.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import type { Kv, Txn } from '../../storage/kv/kv.ts'
import { removeCheckpoint } from './checkpoint.ts'
import { EntriesIndex } from './entries-index.ts'
import type { Graphs } from './index-graph.ts'
import { LiveIndex, type LiveOptions } from './live-index.ts'
import { TenantIndex } from './tenant-index.ts'
import type { BuildOptions, VectorIndex, VectorIndexes, VectorIndexSpec } from './vector-index.ts'

export interface VectorIndexesOptions {
  readonly kv: Kv
  readonly graphs: Graphs
  /** Where checkpoints of graphs lie; undefined: there are none. */
  readonly folder: string | undefined
  warn(message: string, fields?: Record<string, unknown>): void
}

export const openVectorIndexes = (options: VectorIndexesOptions): VectorIndexes => new Registry(options)

class Registry implements VectorIndexes {
  readonly #options: VectorIndexesOptions
  readonly #open = new Map<Key, LiveIndex | TenantIndex | EntriesIndex>()
  readonly #ending = new Set<Promise<void>>()
  #closed = false

  constructor(options: VectorIndexesOptions) {
    this.#options = options
  }

  open(spec: VectorIndexSpec): VectorIndex {
    return this.#open.get(spec.prefix) ?? this.#loaded(spec)
  }

  #loaded(spec: VectorIndexSpec): VectorIndex {
    try {
      return this.#add(spec, true)
    } catch (error) {
      // There is no memory for one more graph.
      this.#options.warn(`index "${spec.name}" has no graph: searches read all entries`, { err: error })
      const index = new EntriesIndex(spec)
      this.#open.set(spec.prefix, index)
      return index
    }
  }

  #add(spec: VectorIndexSpec, load: boolean): LiveIndex | TenantIndex {
    this.#makeFolder()
    const make = (prefix: Key, loads: boolean) => new LiveIndex(spec, prefix, this.#liveOptions(spec, prefix), loads)
    const index =
      spec.tenantColumns > 0
        ? new TenantIndex(spec, { kv: this.#options.kv, make, warn: (...args) => this.#options.warn(...args) }, load)
        : make(spec.prefix, load)
    this.#open.set(spec.prefix, index)
    return index
  }

  #liveOptions(spec: VectorIndexSpec, prefix: Key): LiveOptions {
    const { kv, graphs, folder } = this.#options
    return {
      kv,
      graphs,
      file: folder === undefined ? undefined : join(folder, fileName(spec.prefix, prefix)),
      warn: (...args) => this.#options.warn(...args),
    }
  }

  async build(spec: VectorIndexSpec, txn: Txn, options: BuildOptions): Promise<void> {
    const index = this.#add(spec, false)
    try {
      await index.build(txn, options)
    } catch (error) {
      this.drop(spec.prefix)
      throw error
    }
  }

  #makeFolder(): void {
    if (this.#options.folder !== undefined) mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 })
  }

  /** A database's prefix is the beginning of its indexes'. */
  #under(prefix: Key): (LiveIndex | TenantIndex | EntriesIndex)[] {
    const { from, to } = prefixSpan(prefix)
    return [...this.#open.values()].filter(({ spec }) => spec.prefix >= from && spec.prefix < to)
  }

  async vacuum(prefix: Key): Promise<void> {
    for (const index of this.#under(prefix)) await index.vacuum()
  }

  drop(prefix: Key): void {
    for (const index of this.#under(prefix)) {
      this.#open.delete(index.spec.prefix)
      const files = index.prefixes.map((each) => fileName(index.spec.prefix, each))
      const { folder } = this.#options
      this.#ended(
        index.close(true).then(async () => {
          if (folder !== undefined) for (const file of files) await removeCheckpoint(join(folder, file))
        }),
      )
    }
  }

  #ended(ending: Promise<void>): void {
    const noted = ending
      .catch((error: unknown) => this.#options.warn('a graph could not be closed', { err: error }))
      .finally(() => this.#ending.delete(noted))
    this.#ending.add(noted)
  }

  start(specs: Iterable<VectorIndexSpec>): void {
    const kept = new Set<string>()
    for (const spec of specs) {
      kept.add(fileName(spec.prefix, spec.prefix))
      this.open(spec)
    }
    const { folder } = this.#options
    if (folder === undefined) return
    let files: string[]
    try {
      files = readdirSync(folder)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    // What a crash left of indexes that were dropped. A tenant's are named after their index.
    for (const file of files)
      if (!kept.has(file.replace(/-t[0-9a-f]+\.graph$/, '.graph'))) this.#ended(rm(join(folder, file), { force: true }))
  }

  list(): readonly VectorIndex[] {
    return [...this.#open.values()]
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#open.values()].map((index) => index.close(false)))
    this.#open.clear()
    await Promise.all([...this.#ending])
    await this.#options.graphs.close()
  }
}

/** The prefix in hexadecimal; a tenant's part, which may be long, as a hash. */
function fileName(index: Key, prefix: Key): string {
  const hex = Buffer.from(index, 'latin1').toString('hex')
  if (prefix === index) return `${hex}.graph`
  return `${hex}-t${createHash('sha256').update(prefix, 'latin1').digest('hex').slice(0, 32)}.graph`
}
