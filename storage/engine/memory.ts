/**
 * The engine's twin in memory: for tests, simulation and short-lived databases. Same order, same versions, same
 * batches, same completions (later, in the order of the calls); nothing survives but what `crash` keeps on purpose.
 *
 * Keys lie in sorted chunks, so that an insert moves at most one chunk; the versions of a key newest first. A scan
 * walks by key and sees what is there when a page is made, where RocksDB's sees the moment of its first page: by
 * versions the two are the same.
 */
import { type Key, key, type Timestamp, timestamp } from '../keys/brand.ts'
import { asWriteBatch, forEachOperation, rawFamily, splitStored, WriteBatch } from './batch.ts'
import {
  type Batch,
  COLUMN_FAMILIES,
  type ColumnFamily,
  type Engine,
  EngineError,
  type Entries,
  type Found,
  type Page,
  type Scanner,
  type ScanOptions,
} from './engine.ts'
import { nextRow, PageBuilder, pageOfEntries, rowKey, rowValue } from './page.ts'

const CHUNK_KEYS_MAX = 512
const PAGE_BYTES = 256 << 10

export interface MemoryOptions {
  /** Runs a completion later. Default setImmediate; a simulation gives its own. */
  readonly schedule?: (run: () => void) => void
  /** Keeps what `crash` needs. */
  readonly crashable?: boolean
}

export interface MemoryEngine extends Engine {
  /** What would be found after a power cut now: only what an fsync covered. Closes this engine. Needs `crashable`. */
  crash(): MemoryEngine
}

export function openMemoryEngine(options: MemoryOptions = {}): MemoryEngine {
  return new Memory(options)
}

/** A map ordered by key. */
class SortedMap<V> {
  readonly #values = new Map<string, V>()
  readonly #chunks: string[][] = [[]]

  get size(): number {
    return this.#values.size
  }
  get(k: string): V | undefined {
    return this.#values.get(k)
  }

  set(k: string, value: V): void {
    if (!this.#values.has(k)) {
      const at = this.#chunkOf(k)
      const chunk = this.#chunks[at]!
      chunk.splice(lowerBound(chunk, k), 0, k)
      if (chunk.length > CHUNK_KEYS_MAX) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_KEYS_MAX >> 1))
    }
    this.#values.set(k, value)
  }

  delete(k: string): void {
    if (!this.#values.delete(k)) return
    const at = this.#chunkOf(k)
    const chunk = this.#chunks[at]!
    chunk.splice(lowerBound(chunk, k), 1)
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(at, 1)
  }

  /** Keys in [from, to), ascending. The map must not change while they are drawn. */
  *keys(from: string, to: string): Generator<string> {
    let at = this.#chunkOf(from)
    for (let i = lowerBound(this.#chunks[at]!, from); at < this.#chunks.length; at++, i = 0) {
      const chunk = this.#chunks[at]!
      for (; i < chunk.length; i++) {
        if (chunk[i]! >= to) return
        yield chunk[i]!
      }
    }
  }

  /** The same, descending. */
  *keysBackward(from: string, to: string): Generator<string> {
    let at = this.#chunkOf(to)
    for (let i = lowerBound(this.#chunks[at]!, to) - 1; at >= 0; i = (this.#chunks[--at]?.length ?? 0) - 1) {
      const chunk = this.#chunks[at]!
      for (; i >= 0; i--) {
        if (chunk[i]! < from) return
        yield chunk[i]!
      }
    }
  }

  /** The last chunk that begins at or before `k`. */
  #chunkOf(k: string): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#chunks[middle]![0]! <= k) low = middle
      else high = middle - 1
    }
    return low
  }
}

function lowerBound(sorted: readonly string[], k: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < k) low = middle + 1
    else high = middle
  }
  return low
}

interface Version {
  readonly at: number
  /** Empty: a deletion mark. */
  readonly value: Buffer
}

class Memory implements MemoryEngine {
  readonly #data = new SortedMap<Version[]>()
  readonly #raw: readonly SortedMap<Buffer>[] = COLUMN_FAMILIES.map(() => new SortedMap<Buffer>())
  readonly #schedule: (run: () => void) => void
  /** Batches in the order applied, and how many of them an fsync covers. */
  readonly #log: Uint8Array[] | undefined
  #synced = 0
  #queue: { readonly bytes: Uint8Array; readonly sync: boolean; readonly done: (error: Error | undefined) => void }[] =
    []
  #scheduled = false
  #closed = false
  readonly #drained: (() => void)[] = []
  readonly #many = new PageBuilder()

  constructor(options: MemoryOptions) {
    this.#schedule = options.schedule ?? setImmediate
    this.#log = options.crashable ? [] : undefined
  }

  get(rowKey: Key, at: Timestamp): Found | undefined {
    this.#check()
    const version = visible(this.#data.get(rowKey), at)
    if (!version || version.value.length === 0) return undefined
    return { buffer: version.value, start: 0, end: version.value.length, timestamp: timestamp(version.at) }
  }

  newest(rowKey: Key): { readonly timestamp: Timestamp; readonly deleted: boolean } | undefined {
    this.#check()
    const version = this.#data.get(rowKey)?.[0]
    return version && { timestamp: timestamp(version.at), deleted: version.value.length === 0 }
  }

  getMany(keys: readonly Key[], at: Timestamp): Page {
    this.#check()
    this.#many.clear()
    for (const k of keys) {
      const version = visible(this.#data.get(k), at)
      if (version && version.value.length > 0) this.#many.add(k, version.value, version.at)
    }
    const { buffer, bytes, count } = this.#many
    return { buffer, bytes, count }
  }

  scan(options: ScanOptions): Scanner {
    this.#check()
    const page = new PageBuilder()
    const { at, reverse, tombstones, versions } = options
    let { from, to } = options
    let ended = from >= to
    let skip = 0 // versions of the first key that earlier pages returned already
    const close = () => {
      ended = true
    }
    const next = (rows: number): Page | undefined => {
      if (ended) return undefined
      this.#check()
      page.clear()
      const isFull = () => page.count >= rows || page.bytes >= PAGE_BYTES
      for (const k of reverse ? this.#data.keysBackward(from, to) : this.#data.keys(from, to)) {
        // Where the next page begins: after this key, or on it when its versions do not all fit.
        if (isFull()) break
        const history = this.#data.get(k)!
        if (versions) {
          const all = history.filter((v) => v.at <= at)
          if (reverse) all.reverse()
          let taken = skip
          for (; taken < all.length && !isFull(); taken++) page.add(key(k), all[taken]!.value, all[taken]!.at)
          skip = taken < all.length ? taken : 0
          if (skip > 0) {
            if (reverse) to = key(`${k}\0`)
            else from = key(k)
            break
          }
        } else {
          const version = visible(history, at)
          if (version && (version.value.length > 0 || tombstones)) page.add(key(k), version.value, version.at)
        }
        if (reverse) to = key(k)
        else from = key(`${k}\0`)
      }
      if (page.count === 0) {
        ended = true
        return undefined
      }
      const { buffer, bytes, count } = page
      return { buffer, bytes, count }
    }
    return { next, close }
  }

  changedSince(from: Key, to: Key, after: Timestamp): boolean {
    this.#check()
    for (const k of this.#data.keys(from, to)) if (this.#data.get(k)![0]!.at > after) return true
    return false
  }

  getRaw(family: ColumnFamily, rawKey: Key): Buffer | undefined {
    this.#check()
    const value = this.#raw[rawFamily(family)]!.get(rawKey)
    return value && Buffer.from(value)
  }

  scanRaw(family: ColumnFamily, from: Key, to: Key): Iterable<readonly [Key, Buffer]> {
    this.#check()
    const entries = this.#raw[rawFamily(family)]!
    return [...entries.keys(from, to)].map((k) => [key(k), Buffer.from(entries.get(k)!)] as const)
  }

  createBatch(): Batch {
    return new WriteBatch()
  }

  write(batch: Batch, durability: 'synced' | 'buffered'): Promise<void> {
    return new Promise((resolve, reject) => {
      this.writeThen(batch, durability, (error) => (error ? reject(error) : resolve()))
    })
  }

  writeThen(batch: Batch, durability: 'synced' | 'buffered', done: (error: Error | undefined) => void): void {
    if (this.#closed) {
      queueMicrotask(() => done(closed()))
      return
    }
    this.#queue.push({ bytes: Buffer.from(asWriteBatch(batch).serialize()), sync: durability === 'synced', done })
    if (this.#scheduled) return
    this.#scheduled = true
    this.#schedule(() => this.#commit())
  }

  /** One group: applied whole, synced when one of it asks for it, then everyone hears in order. */
  #commit(): void {
    this.#scheduled = false
    const group = this.#queue
    this.#queue = []
    if (this.#closed && this.#drained.length === 0) return // a crash: nobody hears
    for (const { bytes } of group) this.#apply(bytes)
    if (group.some((write) => write.sync)) this.#synced = this.#log?.length ?? 0
    for (const { done } of group) done(undefined)
    for (const drained of this.#drained) drained()
  }

  #apply(bytes: Uint8Array): void {
    this.#log?.push(bytes)
    forEachOperation(bytes, (operation) => {
      if (operation.kind === 'deleteRange') {
        const doomed = [...this.#data.keys(splitStored(operation.from).user, splitStored(operation.to).user)]
        for (const k of doomed) this.#data.delete(k)
      } else if (operation.family > 0) {
        const family = this.#raw[operation.family]!
        if (operation.kind === 'put') family.set(operation.key, Buffer.from(operation.value))
        else family.delete(operation.key)
      } else {
        const { user, timestamp: at } = splitStored(operation.key)
        if (operation.kind === 'put') this.#putVersion(user, { at, value: Buffer.from(operation.value) })
        else this.#purgeVersion(user, at)
      }
    })
  }

  #putVersion(user: Key, version: Version): void {
    const history = this.#data.get(user)
    if (!history) {
      this.#data.set(user, [version])
      return
    }
    const i = history.findIndex((v) => v.at <= version.at)
    if (i < 0) history.push(version)
    else history.splice(i, history[i]!.at === version.at ? 1 : 0, version)
  }

  #purgeVersion(user: Key, at: number): void {
    const history = this.#data.get(user)
    const i = history?.findIndex((v) => v.at === at) ?? -1
    if (!history || i < 0) return
    history.splice(i, 1)
    if (history.length === 0) this.#data.delete(user)
  }

  async ingest(rows: Iterable<Page | Entries>, at: Timestamp): Promise<void> {
    const batch = new WriteBatch()
    let last: Key | undefined
    for (const some of rows) {
      const page = 'bytes' in some ? some : pageOfEntries(some)
      for (let o = 0; o < page.bytes; o = nextRow(page.buffer, o)) {
        const k = rowKey(page.buffer, o)
        if (last !== undefined && k <= last) throw new EngineError('invalid', 'loaded keys must ascend')
        const value = rowValue(page.buffer, o)
        if (value.length === 0) batch.remove(k, at)
        else batch.put(k, at, value)
        last = k
      }
    }
    await this.write(batch, 'synced')
  }

  async checkpoint(): Promise<void> {
    throw new EngineError('invalid', 'a store in memory has no files to copy')
  }

  approximateBytes(from: Key, to: Key): number {
    this.#check()
    let bytes = 0
    for (const k of this.#data.keys(from, to)) {
      for (const { value } of this.#data.get(k)!) bytes += k.length + 8 + value.length
    }
    return bytes
  }

  approximateKeys(): number {
    this.#check()
    return this.#data.size
  }

  async flush(): Promise<void> {
    this.#check()
  }

  async compact(): Promise<void> {
    this.#check()
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#scheduled) await new Promise<void>((resolve) => this.#drained.push(resolve))
  }

  crash(): MemoryEngine {
    if (!this.#log) throw new EngineError('invalid', 'open the engine with `crashable`')
    this.#closed = true
    const survivor = new Memory({ schedule: this.#schedule, crashable: true })
    for (const bytes of this.#log.slice(0, this.#synced)) survivor.#apply(bytes)
    survivor.#synced = this.#synced
    return survivor
  }

  #check(): void {
    if (this.#closed) throw closed()
  }
}

const closed = () => new EngineError('closed', 'the engine is closed')

function visible(history: readonly Version[] | undefined, at: number): Version | undefined {
  if (history) for (const version of history) if (version.at <= at) return version
  return undefined
}
