/**
 * One transaction: a snapshot to read at, a buffer of writes, the locks it holds. Nothing of it touches the store before
 * commit, so a rollback only forgets.
 *
 *     begin -> active -> committing -> over        its locks go when the commit is visible, not before
 *                     -> over (rollback)
 */
import type { Batch, Found, Page, Scanner, ScanOptions } from '../engine/engine.ts'
import { PAGE_HEADER_BYTES } from '../engine/engine.ts'
import { nextRow, u32 } from '../engine/page.ts'
import { type Key, type Timestamp, type TxnId, txnId } from '../keys/brand.ts'
import { invariant } from '../keys/invariant.ts'
import { type KeySpan, LAST_KEY, successor } from '../keys/map.ts'
import { printKey } from '../keys/print.ts'
import { STRENGTH_NUMBER, TABLE_MODE_NUMBER } from '../mvcc/lock-modes.ts'
import { BULK_FROM, BULK_FROM_NEW, type Bulk, LockOwner, type LockTable } from '../mvcc/locks.ts'
import { MergedPage, OWN_WRITE, scanWithOwnWrites } from '../mvcc/own-writes.ts'
import { Reads } from '../mvcc/reads.ts'
import { SnapshotHolder } from '../mvcc/snapshots.ts'
import type { WriteBuffer, WritesMark } from '../mvcc/write-buffer.ts'
import { KvError } from '../range/errors.ts'
import { eachWrite } from '../range/feed.ts'
import type {
  BeginOptions,
  Isolation,
  LockStrength,
  LockTarget,
  Savepoint,
  SharedSnapshot,
  Span,
  TableLockMode,
  Txn,
  WaitPolicy,
} from './kv.ts'
import type { Store } from './open-kv.ts'

interface Mark extends Savepoint {
  readonly rowLocks: number
  readonly objectLocks: number
}

interface ScheduledRemoval {
  readonly span: KeySpan
  /** The buffer's write number that undoes it. */
  readonly write: number
}

export class KvTxn extends SnapshotHolder implements Txn {
  readonly id: TxnId
  readonly isolation: Isolation
  readonly options: BeginOptions
  readonly owner: LockOwner
  readonly #store: Store
  #state: 'active' | 'committing' | 'over' = 'active'
  #writes: WriteBuffer | undefined
  readonly #reads: Reads | undefined
  #hasBegunStatement = false
  /** Where the buffer stood when the statement's own writes began to be hidden from its reads. */
  #hidden: number | undefined
  /** Some stored row may have been replaced or removed: garbage collection wants to know. */
  #supersedes = false
  #removals: ScheduledRemoval[] | undefined
  /** Undefined until so many rows are locked that the buffered writes stand for the locks. */
  #bulk: BulkLocks | undefined
  /** Changes of unversioned state before this transaction began. */
  readonly #stateChanges: number
  #many: MergedPage | undefined
  /** Open scans at the present snapshot, and at those of earlier statements. */
  #scans: Scans | undefined
  #earlierScans: Set<Scans> | undefined

  constructor(store: Store, options: BeginOptions) {
    super()
    this.#store = store
    this.options = options
    this.isolation = options.isolation
    this.id = txnId(store.range.nextTxnId())
    this.owner = new LockOwner(options.pid, this.id)
    this.#stateChanges = store.state.changes
    // One that only reads has its place in the serial order at its snapshot.
    if (options.isolation === 'serializable' && !options.readOnly) this.#reads = new Reads()
    store.begun(this)
    store.snapshots.take(this, store.range.visible)
  }

  get hasWrites(): boolean {
    return (this.#writes !== undefined && this.#writes.writes > 0) || this.owner.held[0].length > 0
  }

  get hasBegun(): boolean {
    return this.#hasBegunStatement
  }

  beginStatement(): void {
    this.#hidden = undefined
    if (this.isolation !== 'read-committed' && this.#hasBegunStatement) return
    this.#hasBegunStatement = true
    this.#takeSnapshot()
  }

  hideWrites(): void {
    this.#hidden ??= this.#writes?.bytes ?? 0
  }

  hasHidden(key: Key): boolean {
    const entry = this.#writes?.lookup(key)
    return entry !== undefined && this.#hidden !== undefined && entry >= this.#hidden
  }

  get written(): number {
    return this.#writes?.bytes ?? 0
  }
  hideFrom(written: number | undefined): number | undefined {
    const before = this.#hidden
    this.#hidden = written
    return before
  }

  shareSnapshot(): SharedSnapshot {
    const { snapshots } = this.#store
    const kept = new SnapshotHolder()
    snapshots.share(kept, this)
    return Object.assign(kept, { release: () => snapshots.release(kept) })
  }
  adoptSnapshot(shared: SharedSnapshot): boolean {
    if (this.#hasBegunStatement) return false
    invariant(shared instanceof SnapshotHolder, 'a shared snapshot is kept by its store')
    this.#store.snapshots.share(this, shared)
    this.#hasBegunStatement = true
    return true
  }

  refresh(): void {
    if (this.isolation === 'read-committed') this.#takeSnapshot()
  }

  #takeSnapshot(): void {
    const { snapshots, range } = this.#store
    if (this.snapshot === range.visible) return
    if (this.#scans !== undefined && this.#scans.open > 0) {
      // A cursor goes on reading at the snapshot of its own statement.
      this.#scans.holder = snapshots.leaveBehind(this)
      ;(this.#earlierScans ??= new Set()).add(this.#scans)
      this.#scans = undefined
    }
    snapshots.take(this, range.visible)
  }

  restartStatement(mark: Savepoint): void {
    this.#checkActive()
    this.#writes?.rollbackTo(mark.writes)
    this.#forgetRemovals(mark.writes)
    this.beginStatement()
  }

  // ---- reads

  /** The key's entry in the buffer, as this statement may see it. */
  #own(writes: WriteBuffer, key: Key): number | undefined {
    const entry = writes.lookup(key)
    return entry === undefined || this.#hidden === undefined ? entry : writes.asOf(entry, this.#hidden)
  }

  get(key: Key): Found | undefined {
    if (this.#writes !== undefined) {
      const own = this.#own(this.#writes, key)
      if (own !== undefined) return found(this.#writes, own)
    }
    if (this.#reads !== undefined) this.#reads.add(key)
    return this.#store.engine.get(key, this.snapshot)
  }

  getNewest(key: Key): Found | undefined {
    if (this.#writes !== undefined) {
      const own = this.#writes.lookup(key)
      if (own !== undefined) return found(this.#writes, own)
    }
    if (this.#reads !== undefined) this.#reads.add(key)
    return this.#store.engine.get(key, this.#store.range.visible)
  }

  getMany(keys: readonly Key[]): Page {
    if (this.#reads !== undefined) for (const key of keys) this.#reads.add(key)
    const writes = this.#writes
    if (writes === undefined || writes.count === 0) return this.#store.engine.getMany(keys, this.snapshot)
    const entries = keys.map((key) => this.#own(writes, key))
    if (entries.every((entry) => entry === undefined)) return this.#store.engine.getMany(keys, this.snapshot)
    const stored = this.#store.engine.getMany(
      keys.filter((_, i) => entries[i] === undefined),
      this.snapshot,
    )
    return this.#mergeMany(keys, entries, stored)
  }

  /** In the order asked: an own entry, else the stored row if the next one is of this key. */
  #mergeMany(keys: readonly Key[], entries: readonly (number | undefined)[], stored: Page): Page {
    const out = (this.#many ??= new MergedPage())
    const writes = this.#writes!
    out.clear()
    let at = 0
    for (let i = 0; i < keys.length; i++) {
      const own = entries[i]
      if (own !== undefined) {
        if (!writes.isRemoval(own)) out.addOwn(writes, own)
      } else if (at < stored.bytes && rowHasKey(stored.buffer, at, keys[i]!)) {
        const end = nextRow(stored.buffer, at)
        out.addStored(stored.buffer, at, end, 1)
        at = end
      }
    }
    return out.page()
  }

  scan({ from, to }: Span, options?: { readonly reverse?: boolean; readonly countOnly?: boolean }): Scanner {
    const at = this.snapshot
    const reverse = options?.reverse ?? false
    // Whoever merges own writes in, or notes what was read, looks at the rows.
    const countOnly = options?.countOnly === true && this.#reads === undefined && !this.#hasEntries()
    return this.#scan({ from, to, at, reverse, ahead: true, countOnly }, this.#hidden)
  }

  scanNewest({ from, to }: Span): Scanner {
    return this.#scan({ from, to, at: this.#store.range.visible }, undefined)
  }

  #hasEntries(): boolean {
    return this.#writes !== undefined && this.#writes.count > 0
  }

  /** `top`: own writes from that address on stay out. */
  #scan(options: ScanOptions, top: number | undefined): Scanner {
    const { from, to, reverse = false } = options
    let scanner: Scanner = new OpenScan(this.#store.engine.scan(options), (this.#scans ??= new Scans(this)))
    if (this.#reads !== undefined) scanner = this.#reads.watch(scanner, from, to, reverse)
    if (!this.#hasEntries()) return scanner
    return scanWithOwnWrites(scanner, this.#writes!, from, to, reverse, top)
  }

  /** The last scan of an earlier snapshot has ended: nobody reads at it any more. */
  scanEnded(scans: Scans): void {
    if (scans.open > 0 || scans.holder === undefined) return
    this.#store.snapshots.release(scans.holder)
    this.#earlierScans?.delete(scans)
  }

  anyIn(span: Span): boolean {
    if (this.#writes?.anyIn(span.from, span.to, true)) return true
    const scanner = this.scanNewest(span)
    const any = scanner.next(1) !== undefined
    scanner.close()
    return any
  }

  // ---- what is kept elsewhere, derived from rows

  eachOwn(prefix: Key, visit: (key: Key, value: Uint8Array | undefined) => void): boolean {
    const writes = this.#writes
    if (writes === undefined || writes.count === 0) return false
    let any = false
    eachWrite(writes, prefix, this.#hidden, (key, value) => {
      any = true
      visit(key, value)
    })
    return any
  }

  markOwn(): WritesMark {
    return this.#writes === undefined ? { writes: 0, undone: 0 } : this.#writes.markNow()
  }

  noteRead(prefix: Key): void {
    this.#reads?.addSpan(prefix, successor(prefix))
  }

  // ---- locks

  lock(key: Key, strength: LockStrength, policy: WaitPolicy): Promise<boolean> | boolean | undefined {
    if (this.#bulk?.covers(key)) return undefined
    return this.#lockRow(key, STRENGTH_NUMBER[strength], policy, BULK_FROM)
  }

  lockNew(key: Key): Promise<boolean> | boolean | undefined {
    return this.#lockRow(key, STRENGTH_NUMBER.update, 'wait', BULK_FROM_NEW)
  }

  /** Once `bulkFrom` rows are locked the buffered writes stand for their locks. */
  #lockRow(key: Key, mode: number, policy: WaitPolicy, bulkFrom: number): Promise<boolean> | boolean | undefined {
    this.#checkActive()
    const { lockTables: locks } = this.#store
    if (this.owner.held[0].length >= bulkFrom) {
      if (this.#bulk === undefined) {
        this.#bulk = new BulkLocks(this.owner, this.#buffer(), locks.rows)
        locks.rows.addBulk(this.#bulk, this.#buffer().lastKey)
      }
      if (this.#bulk.acquire(key, mode)) return undefined
    }
    return locks.acquire(locks.rows, this.owner, key, mode, policy, this.options)
  }

  checkUnchanged(key: Key): void {
    this.#supersedes = true
    if (!this.#store.range.isNewerThan(key, this.snapshot) || this.#writes?.has(key)) return
    if (this.isolation === 'read-committed') throw new KvError({ kind: 'statement-restart', key })
    throw new KvError({
      kind: 'write-conflict',
      key,
      deleted: this.#store.engine.get(key, this.#store.range.visible) === undefined,
    })
  }

  lockTarget(target: LockTarget, mode: TableLockMode, policy: WaitPolicy): Promise<boolean> | boolean | undefined {
    this.#checkActive()
    const { lockTables: locks } = this.#store
    return locks.acquire(locks.objects, this.owner, target, TABLE_MODE_NUMBER[mode], policy, this.options)
  }

  // ---- writes

  put(key: Key, value: Uint8Array, length = value.length): void {
    invariant(length > 0, 'an empty value is a deletion mark')
    const writes = this.#writes ?? this.#buffer()
    if (writes.bytes + length > this.#store.txnBytesMax) throw tooLarge(this.#store.txnBytesMax)
    writes.put(key, value, length)
    this.#bulk?.written(key)
  }

  append(key: Uint8Array, keyBytes: number, value: Uint8Array, start: number, end: number): boolean {
    invariant(end > start, 'an empty value is a deletion mark')
    const writes = this.#writes ?? this.#buffer()
    if (writes.bytes + end - start > this.#store.txnBytesMax) throw tooLarge(this.#store.txnBytesMax)
    if (this.#bulk !== undefined) this.#store.lockTables.rows.raiseBulkTop(LAST_KEY)
    return writes.append(key, keyBytes, value, start, end)
  }

  remove(key: Key): void {
    this.#supersedes = true
    const writes = this.#writes ?? this.#buffer()
    if (writes.bytes > this.#store.txnBytesMax) throw tooLarge(this.#store.txnBytesMax)
    writes.remove(key)
    this.#bulk?.written(key)
  }

  /** The span's rows go once the commit is visible and no snapshot is older. */
  scheduleRemoval(span: KeySpan): void {
    const write = this.#buffer().mark()
    ;(this.#removals ??= []).push({ span, write })
  }

  #buffer(): WriteBuffer {
    this.#checkActive()
    return (this.#writes ??= this.#store.takeBuffer())
  }

  // ---- savepoints

  savepoint(): Savepoint {
    this.#bulk?.enterPending()
    const mark: Mark = {
      writes: this.#writes?.writes ?? 0,
      rowLocks: this.owner.held[0].length,
      objectLocks: this.owner.held[1].length,
    }
    return mark
  }

  rollbackTo(savepoint: Savepoint): void {
    this.#checkActive()
    const mark = savepoint as Mark
    this.#bulk?.forgetPending()
    this.#writes?.rollbackTo(mark.writes)
    this.#forgetRemovals(mark.writes)
    // A write before the savepoint may have had its lock entered since, because someone asked for it.
    const writes = this.#bulk === undefined ? undefined : this.#writes
    const isWritten = (key: string) => writes?.has(key as Key) ?? false
    this.#store.lockTables.rows.releaseSince(this.owner, mark.rowLocks, isWritten)
    this.#store.lockTables.objects.releaseSince(this.owner, mark.objectLocks, () => false)
  }

  #forgetRemovals(writes: number): void {
    if (this.#removals !== undefined) this.#removals = this.#removals.filter(({ write }) => write <= writes)
  }

  // ---- the end

  commit(): Promise<Timestamp> {
    return new Promise((resolve, reject) => {
      this.#commit((error, at) => (error === undefined ? resolve(at) : reject(error)))
    })
  }

  commitThen(done: (error: Error | undefined) => void): void {
    this.#commit(done)
  }

  #commit(done: (error: Error | undefined, at: Timestamp) => void): void {
    this.#checkActive()
    const store = this.#store
    const writes = this.#writes
    const removals = this.#removals
    const hasRemovals = removals !== undefined && removals.length > 0
    const hasState = !store.state.isDurable(this.#stateChangesToAwait())
    if ((writes === undefined || writes.count === 0) && !hasRemovals && !hasState) {
      const at = this.snapshot
      this.#end()
      done(undefined, at)
      return
    }
    this.#state = 'committing'
    let stateWritten = 0
    const reads = writes !== undefined && writes.count > 0 ? this.#reads : undefined
    const spans = hasRemovals ? removals.map(({ span }) => span) : []
    const removed = hasRemovals ? store.vacuum.recordRemovals(writes!, spans, this.id) : undefined
    const addTo = store.state.hasWaiting
      ? (batch: Batch) => {
          stateWritten = store.state.addTo(batch)
        }
      : undefined
    const finish = (error: Error | undefined, at: Timestamp) => {
      if (error !== undefined) {
        store.state.failed(stateWritten)
      } else {
        if (stateWritten > 0) store.state.written(stateWritten)
        if (removed !== undefined) store.vacuum.removalsCommitted(removed, at)
        if (this.#supersedes && writes !== undefined) store.vacuum.committed(writes, at)
      }
      this.#end()
      done(error, at)
    }
    store.range.commit({ writes, reads, snapshot: this.snapshot, addTo }, finish)
  }

  /** What sequences gave out while this transaction ran must be durable before anyone hears that it committed. */
  #stateChangesToAwait(): number {
    const { changes } = this.#store.state
    return changes === this.#stateChanges ? 0 : changes
  }

  rollback(): void {
    if (this.#state === 'over') return
    invariant(this.#state === 'active', 'a transaction cannot be rolled back while it commits')
    this.#end()
  }

  #end(): void {
    const store = this.#store
    this.#state = 'over'
    if (this.#bulk !== undefined) store.lockTables.rows.removeBulk(this.owner)
    store.snapshots.release(this)
    if (this.#earlierScans !== undefined)
      for (const { holder } of this.#earlierScans) if (holder !== undefined) store.snapshots.release(holder)
    store.lockTables.releaseAll(this.owner)
    if (this.#writes !== undefined) store.giveBuffer(this.#writes)
    this.#writes = undefined
    store.ended(this)
  }

  #checkActive(): void {
    invariant(this.#state === 'active', `the transaction is ${this.#state}`)
  }

  /** For people: 'txn 7 (pid 3) repeatable read at 123, active, 2 writes, 1 row lock'. */
  print(): string {
    const counts = `${this.#writes?.count ?? 0} writes, ${this.owner.held[0].length} row locks, ${this.owner.held[1].length} object locks`
    const head = `txn ${this.id} (pid ${this.options.pid}) ${this.isolation} at ${this.snapshot}, ${this.#state}, ${counts}`
    const writes = this.#writes?.print(printKey) ?? ''
    return writes === '' ? head : `${head}\n${writes.replace(/^/gm, '  ')}`
  }
}

/** The open scans of one snapshot, and what keeps it once the transaction has moved on. */
class Scans {
  open = 0
  holder: SnapshotHolder | undefined
  readonly txn: KvTxn

  constructor(txn: KvTxn) {
    this.txn = txn
  }
}

/** Counts a scan as open until it was read to its end or closed. */
class OpenScan implements Scanner {
  readonly #scanner: Scanner
  #scans: Scans | undefined

  constructor(scanner: Scanner, scans: Scans) {
    this.#scanner = scanner
    this.#scans = scans
    scans.open++
  }

  next(rows: number): Page | undefined {
    const page = this.#scanner.next(rows)
    if (page === undefined) this.#end()
    return page
  }

  close(): void {
    this.#scanner.close()
    this.#end()
  }

  #end(): void {
    const scans = this.#scans
    if (scans === undefined) return
    this.#scans = undefined
    scans.open--
    scans.txn.scanEnded(scans)
  }
}

/**
 * A transaction with thousands of row locks: its buffered writes stand for the rest. A key is locked just before it is
 * written; in between it is the pending one.
 */
class BulkLocks implements Bulk {
  readonly owner: LockOwner
  readonly #writes: WriteBuffer
  readonly #table: LockTable
  #pending: Key | undefined

  constructor(owner: LockOwner, writes: WriteBuffer, table: LockTable) {
    this.owner = owner
    this.#writes = writes
    this.#table = table
  }

  holds(key: Key): boolean {
    return key === this.#pending || this.#writes.has(key)
  }

  /** True when the key is locked, in the strongest mode, by having been written. */
  covers(key: Key): boolean {
    return this.#writes.has(key) && this.#table.isFree(this.owner, key)
  }

  /** True when the lock needs no entry. Share locks and contended keys go the ordinary way. */
  acquire(key: Key, mode: number): boolean {
    if (mode < STRENGTH_NUMBER['no-key-update'] || !this.#table.isFree(this.owner, key)) return false
    this.enterPending()
    this.#pending = key
    this.#table.raiseBulkTop(key)
    return true
  }

  written(key: Key): void {
    if (key === this.#pending) this.#pending = undefined
    else this.#table.raiseBulkTop(key)
  }

  /** The pending key was not written after all: its lock gets an entry. */
  enterPending(): void {
    const key = this.#pending
    this.#pending = undefined
    if (key !== undefined && !this.#writes.has(key)) this.#table.hold(this.owner, key)
  }

  forgetPending(): void {
    this.#pending = undefined
  }
}

const tooLarge = (max: number) => new KvError({ kind: 'too-large' }, `a transaction's writes exceed ${max} bytes`)

function found(writes: WriteBuffer, entry: number): Found | undefined {
  if (writes.isRemoval(entry)) return undefined
  const start = writes.keyStart(entry) + writes.keyLength(entry)
  return { buffer: writes.bufferOf(entry), start, end: start + writes.valueLength(entry), timestamp: OWN_WRITE }
}

function rowHasKey(buffer: Buffer, offset: number, key: Key): boolean {
  if (u32(buffer, offset) !== key.length) return false
  for (let i = 0, at = offset + PAGE_HEADER_BYTES; i < key.length; i++, at++) {
    if (buffer[at] !== key.charCodeAt(i)) return false
  }
  return true
}
