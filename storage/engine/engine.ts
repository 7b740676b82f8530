/**
 * An ordered store of versioned keys: RocksDB in production (rocksdb.ts), a sorted map in tests (memory.ts).
 *
 * A stored key is the user key followed by 8 bytes of inverted big-endian timestamp, so that of one key the
 * newest version comes first. An empty value is a deletion mark. The engine resolves versions itself: a read at t
 * returns, for each key, the newest version with timestamp ≤ t, and nothing for a deletion mark.
 *
 *     k1 @ 9   k1 @ 4   k2 @ 7(deleted)   k2 @ 3        read at 5:  k1@4, k2@3      read at 8:  k1@4
 *
 * Reads are synchronous (RocksDB answers from its block cache in microseconds) and copy out into buffers that
 * are reused: a result is valid until the next call on the same reader. Writes are queued to one writer thread
 * that commits all that is waiting with one fsync.
 */
import type { Key, Timestamp } from '../keys/brand.ts'

/** `data` holds rows and index entries; `raft` and `state` the log and hard state of replicas; `local` what is derived. */
export const COLUMN_FAMILIES = ['data', 'raft', 'state', 'local'] as const
export type ColumnFamily = (typeof COLUMN_FAMILIES)[number]

/**
 * Rows packed one after the other in `buffer`, starting at 0: u32le key length, u32le value length, u64le
 * version timestamp (as two u32le: low, high), key bytes, value bytes. Walk it in place; it is overwritten by the next call on its scanner.
 */
export interface Page {
  readonly buffer: Buffer
  readonly bytes: number
  readonly count: number
}
export const PAGE_HEADER_BYTES = 16

/**
 * Rows for a load as a transaction keeps them, at [start, end) of `buffer`: u32le key length, u32le value length (ffffffff:
 * a deletion mark), four bytes without a meaning here, key bytes, value bytes, then up to the next multiple of four.
 */
export interface Entries {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}
export const ENTRY_HEADER_BYTES = 12
export const ENTRY_REMOVED = 0xffff_ffff

export interface ScanOptions {
  /** First key of the span, inclusive. */
  readonly from: Key
  /** End of the span, exclusive. */
  readonly to: Key
  readonly at: Timestamp
  readonly reverse?: boolean
  /** Also returns deletion marks (as empty values): for merging with a transaction's own writes, for garbage collection. */
  readonly tombstones?: boolean
  /**
   * Every version at or below `at`, deletion marks included, newest first (reverse: oldest first): for garbage
   * collection and for copying a range.
   */
  readonly versions?: boolean
  /**
   * Other threads may read ahead when the scan is a large one. Only for an `at` that no later write is at or below, and whose
   * versions stay until the scanner is closed: they may look after the first page was returned.
   */
  readonly ahead?: boolean
  /** Only the number of rows matters: pages may be without rows, and count more of them than asked for. */
  readonly countOnly?: boolean
}

/** A cursor over a span. `next` returns undefined at the end. A page holds at most `rows` rows and about 256 KiB. */
export interface Scanner {
  next(rows: number): Page | undefined
  close(): void
}

/** One found version. `buffer.subarray(start, end)` is the value; valid until the next get on the engine. */
export interface Found {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  readonly timestamp: Timestamp
}

/**
 * A batch under construction: puts and deletes in RocksDB's own serialized form, so that no call into native code
 * is made for each. Keys are user keys; `at` is the version's timestamp.
 */
export interface Batch {
  readonly count: number
  readonly bytes: number
  put(key: Key, at: Timestamp, value: Uint8Array): void
  /** The same of a key and the value behind it as they lie in a buffer; `valueBytes` 0 is a deletion mark. */
  putBytes(from: Uint8Array, start: number, keyBytes: number, valueBytes: number, at: Timestamp): void
  /** Writes a deletion mark as a version. */
  remove(key: Key, at: Timestamp): void
  /** Physically removes one version (garbage collection only). */
  purge(key: Key, at: Timestamp): void
  /** Physically removes every version of every key in [from, to). */
  purgeRange(from: Key, to: Key): void
  /** Unversioned put and delete, in any column family (applied index, sequences, node state). */
  putRaw(family: ColumnFamily, key: Key, value: Uint8Array): void
  deleteRaw(family: ColumnFamily, key: Key): void
  /** Appends another batch's operations (group commit, raft apply). */
  append(other: Batch): void
  /** The serialized bytes, for shipping; valid until the next change. */
  serialize(): Uint8Array
  clear(): void
}

export interface Engine {
  /** Newest version of `key` at or below `at`; undefined when there is none or it is a deletion mark. */
  get(key: Key, at: Timestamp): Found | undefined
  /** Timestamp of the newest version of `key`, deletion marks included; undefined when there is none. */
  newest(key: Key): { readonly timestamp: Timestamp; readonly deleted: boolean } | undefined
  /** Many gets at once, packed as a Page in the order of the keys that were found (keys not found are left out). */
  getMany(keys: readonly Key[], at: Timestamp): Page
  scan(options: ScanOptions): Scanner
  /** True when some key in [from, to) has a version newer than `after` (deletion marks included). */
  changedSince(from: Key, to: Key, after: Timestamp): boolean
  getRaw(family: ColumnFamily, key: Key): Buffer | undefined
  /** Unversioned scan of a column family, whole entries copied out (small use: recovery, tools). */
  scanRaw(family: ColumnFamily, from: Key, to: Key): Iterable<readonly [Key, Buffer]>
  createBatch(): Batch
  /**
   * Queues the batch (its bytes are copied before the call returns; the batch may be reused). Batches become
   * visible and durable in the order of the calls. `synced`: resolves after an fsync that covers it;
   * `buffered`: resolves once applied, durable with the next fsync.
   * Rejects with EngineError; after the first failed write every later one rejects too (fail-stop).
   */
  write(batch: Batch, durability: 'synced' | 'buffered'): Promise<void>
  /** The same with a callback, for the commit path: one call per batch, in order. */
  writeThen(batch: Batch, durability: 'synced' | 'buffered', done: (error: Error | undefined) => void): void
  /**
   * Bulk load: writes `rows` (packed pages or entries, keys ascending, without duplicates) as versions at `at`
   * to an SST file and ingests it; a row without a value is a deletion mark. Durable when it resolves.
   */
  ingest(rows: Iterable<Page | Entries>, at: Timestamp): Promise<void>
  /** Hard-linked consistent copy in a new folder. */
  checkpoint(path: string): Promise<void>
  /** Bytes on disk and in memory between two keys, approximately. */
  approximateBytes(from: Key, to: Key): number
  /** Approximate number of keys in the store. */
  approximateKeys(): number
  flush(): Promise<void>
  compact(): Promise<void>
  close(): Promise<void>
}

/** locked: another process has the folder; corruption: a checksum or structure failed; io: the disk said no; disk-full; closed. */
export type EngineReason = 'locked' | 'corruption' | 'io' | 'disk-full' | 'closed' | 'invalid'
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly reason: EngineReason
  constructor(reason: EngineReason, message: string) {
    super(message)
    this.reason = reason
  }
}

export interface EngineOptions {
  readonly path: string
  /** Block cache, bytes. Default 128 MiB. */
  readonly cacheBytes?: number
  /** Memtable size before a flush, bytes. Default 64 MiB. */
  readonly writeBufferBytes?: number
  /** For the control run of the crash tests only: acknowledge without fsync. */
  readonly unsafeNoSync?: boolean
}
