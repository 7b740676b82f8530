/**
 * The only door from SQL into storage: an ordered map from keys to versioned values, with transactions.
 *
 * Reads at a snapshot take no lock and never wait. Writes are buffered in the transaction, read back by it, and go
 * out as one batch at commit; a key is locked before it is written. Whatever may have to wait returns a promise only
 * when it does wait, so that an uncontended statement runs in one synchronous stretch:
 *
 *     const waiting = txn.lock(key, 'update', 'wait')
 *     if (waiting !== undefined) yield waiting              // the executor hands promises up as pauses
 */
import type { Found, Page, Scanner } from '../engine/engine.ts'
import type { Key, Timestamp, TxnId } from '../keys/brand.ts'
import type { LockStrength, TableLockMode, WaitPolicy } from '../mvcc/lock-modes.ts'
import type { WritesMark } from '../mvcc/write-buffer.ts'
import type { Follower } from '../range/feed.ts'

export type { Found, Page, Scanner } from '../engine/engine.ts'
export { PAGE_HEADER_BYTES } from '../engine/engine.ts'
/** Lock modes and their conflicts are mvcc's; SQL names them through this door. */
export type { LockStrength, TableLockMode, WaitPolicy } from '../mvcc/lock-modes.ts'
export { modesConflict, modeTitle, TABLE_LOCK_MODES } from '../mvcc/lock-modes.ts'
/** The version timestamp of a row that the transaction itself wrote. */
export { OWN_WRITE } from '../mvcc/own-writes.ts'
/** What a commit wrote under a prefix, for those who keep something derived from it. */
export type { WritesMark } from '../mvcc/write-buffer.ts'
export type { Changes, Follower, KeptChanges } from '../range/feed.ts'

export interface Span {
  readonly from: Key
  /** Exclusive. */
  readonly to: Key
}

export type Isolation = 'read-committed' | 'repeatable-read' | 'serializable'

/** What a lock on something other than a row is about: a table or other object by oid, or an advisory key. Printed form: 'relation 16384', 'advisory 1:2'. */
export type LockTarget = string

export interface BeginOptions {
  readonly isolation: Isolation
  readonly readOnly: boolean
  /** The session's process id, for deadlock reports and pg_locks. */
  readonly pid: number
  /** Milliseconds a lock may be waited for; 0 for ever. Asked each time. */
  lockTimeoutMs(): number
  readonly deadlockTimeoutMs?: () => number
}

export interface Kv {
  /** A snapshot at which everything acknowledged so far is visible. */
  now(): Timestamp
  /** Newest committed version: the shortest path for a statement that reads one key. */
  get(key: Key): Found | undefined
  begin(options: BeginOptions): Txn
  /**
   * Unversioned state outside of transactions (sequences). A put is ordered before every later commit and becomes
   * durable with it; it is not rolled back. Reads see it at once.
   */
  getState(key: Key): Uint8Array | undefined
  putState(key: Key, value: Uint8Array): void
  deleteState(key: Key): void
  /** Session-level advisory locks live outside of transactions, under an owner the session makes once. */
  lockSession(
    pid: number,
    target: LockTarget,
    mode: TableLockMode,
    policy: WaitPolicy,
    lockTimeoutMs: number,
  ): Promise<boolean> | boolean
  unlockSession(pid: number, target: LockTarget, mode: TableLockMode): boolean
  unlockSessionAll(pid: number): void
  /** A session waits for nothing any more: its lock wait ends with KvError cancelled. */
  cancelWaits(pid: number): void
  /** How many tables and other objects are locked by anyone. */
  readonly lockedObjects: number
  /** All held and awaited locks, for pg_locks and pg_blocking_pids. */
  locks(): readonly LockRow[]
  /** Oldest snapshot in use: versions that only older readers could see may go. */
  watermark(): Timestamp
  /** Physically removes a span once no snapshot can see it (a dropped table's rows). Survives a restart. */
  scheduleRemoval(txn: Txn, span: Span): void
  /** From now on the follower hears of every commit that writes under the prefix, just before it becomes visible. Returns what ends it. */
  follow(prefix: Key, follower: Follower): () => void
  /** Runs one round of garbage collection over everything (VACUUM); returns removed versions. */
  collectGarbage(span?: Span): Promise<number>
  approximateBytes(span: Span): number
  checkpoint(path: string): Promise<void>
  close(): Promise<void>
}

export interface LockRow {
  readonly pid: number
  readonly target: LockTarget
  readonly mode: LockStrength | TableLockMode
  readonly granted: boolean
}

export interface Savepoint {
  readonly writes: number
}

export interface SharedSnapshot {
  readonly snapshot: Timestamp
  release(): void
}

export interface Txn {
  readonly id: TxnId
  readonly isolation: Isolation
  /** The snapshot reads use now. */
  readonly snapshot: Timestamp
  /** True once something was written or locked: the transaction has to commit through the log. */
  readonly hasWrites: boolean
  /** True once a statement has begun. */
  readonly hasBegun: boolean

  /** READ COMMITTED: takes a new snapshot for the next statement. Otherwise keeps the first one. */
  beginStatement(): void
  /**
   * From now on, until the next `beginStatement`, the transaction's further writes stay out of `get`, `getMany` and `scan`:
   * a statement that changes rows does not read its own changes. `getNewest`, `scanNewest` and `anyIn` go on seeing everything.
   */
  hideWrites(): void
  /** Whether the transaction has written the key since `hideWrites`: a statement changes a row once. */
  hasHidden(key: Key): boolean
  /** How far the transaction has written: for `hideFrom`. */
  readonly written: number
  /**
   * Hides the writes from a place on, or none, and gives from where they were hidden. A statement of a function's body runs inside
   * the one that calls it, between two such changes: it sees all that was written before, the outer one nothing of it.
   */
  hideFrom(written: number | undefined): number | undefined
  /** Keeps the present snapshot for others to read at, until it is given back. */
  shareSnapshot(): SharedSnapshot
  /** Reads at a snapshot that another transaction shares, from its first statement on; false when one has begun. */
  adoptSnapshot(shared: SharedSnapshot): boolean
  /** READ COMMITTED: a new snapshot within a statement that has read nothing yet which could differ. Otherwise nothing happens. */
  refresh(): void
  /** A READ COMMITTED statement runs again: a new snapshot, its writes since `mark` undone, its locks kept. */
  restartStatement(mark: Savepoint): void

  /** Own writes first, then the snapshot. */
  get(key: Key): Found | undefined
  /** Found ones only, in the order asked, own writes included. */
  getMany(keys: readonly Key[]): Page
  /** Own writes merged in, as they were when the scanner was opened: later ones stay out of it. It keeps its snapshot when the transaction takes another. `countOnly`: pages may count rows and hold none. */
  scan(span: Span, options?: { readonly reverse?: boolean; readonly countOnly?: boolean }): Scanner
  /** As `get`, but the newest committed version instead of the snapshot's: for unique and foreign-key checks after locking. */
  getNewest(key: Key): Found | undefined
  /** As `scan`, at the newest committed state: for foreign-key checks. */
  scanNewest(span: Span): Scanner
  /** True when some committed key or own write lies in the span, whatever the snapshot (bulk uniqueness check). */
  anyIn(span: Span): boolean

  /**
   * The transaction's own writes under a prefix, as its statement may see them: in key order, undefined for a removal. The
   * values are valid during the call. Answers whether there were any.
   */
  eachOwn(prefix: Key, visit: (key: Key, value: Uint8Array | undefined) => void): boolean
  /** What the transaction has written until now: see Changes.isAsAt. */
  markOwn(): WritesMark
  /** A SERIALIZABLE transaction has read what lies under the prefix, by other ways than these. */
  noteRead(prefix: Key): void

  /** undefined: granted. A promise: waits, then true, or false when skipped. 'skip' that cannot be granted answers false at once. Errors: KvError lock-*, deadlock, cancelled. */
  lock(key: Key, strength: LockStrength, policy: WaitPolicy): Promise<boolean> | boolean | undefined
  /** `lock` for 'update', of a key that is put at once (but for a look whether it is there): cheaper for many. */
  lockNew(key: Key): Promise<boolean> | boolean | undefined
  /**
   * After `lock`: the row must still be what the snapshot saw. Throws statement-restart (READ COMMITTED) or
   * write-conflict when a newer version was committed since. Cheap when the row is this transaction's own.
   */
  checkUnchanged(key: Key): void
  /** Locks a table or other object until the transaction ends. */
  lockTarget(target: LockTarget, mode: TableLockMode, policy: WaitPolicy): Promise<boolean> | boolean | undefined

  /** The key must be locked ('update' or 'no-key-update') by this transaction, or new to the world by a bulk load. `value` is copied, and never empty (that is a deletion mark). */
  put(key: Key, value: Uint8Array, length?: number): void
  /**
   * For bulk loads: `put` of a key given as bytes, and of the value [start, end) of a buffer, when the key is above all that
   * the transaction has written; else nothing happens and the answer is false.
   */
  append(key: Uint8Array, keyBytes: number, value: Uint8Array, start: number, end: number): boolean
  remove(key: Key): void

  savepoint(): Savepoint
  /** Undoes writes after the savepoint; locks taken since are kept until the transaction ends, except that rows locked only since may be released. */
  rollbackTo(savepoint: Savepoint): void
  /** Resolves with the commit timestamp when durable and visible; a transaction without writes resolves at once. Errors: KvError read-conflict, commit-unknown, engine. */
  commit(): Promise<Timestamp>
  /** The same with a callback, called once, possibly synchronously when there is nothing to write. */
  commitThen(done: (error: Error | undefined) => void): void
  rollback(): void
}
