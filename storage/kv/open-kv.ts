/**
 * Opens the kv over an engine: one range that holds the whole key space, its locks, snapshots and background work. The
 * engine stays its opener's to close.
 */
import type { Engine, Found } from '../engine/engine.ts'
import { type Key, rangeId, type Timestamp } from '../keys/brand.ts'
import type { Clock } from '../keys/clock.ts'
import { invariant } from '../keys/invariant.ts'
import { VERSIONED_SPANS } from '../keys/map.ts'
import { printKey } from '../keys/print.ts'
import { TABLE_MODE_NUMBER } from '../mvcc/lock-modes.ts'
import { type LockEntry, LockOwner } from '../mvcc/locks.ts'
import { Snapshots } from '../mvcc/snapshots.ts'
import { WriteBuffer } from '../mvcc/write-buffer.ts'
import type { Follower } from '../range/feed.ts'
import type { OpenLog } from '../range/log.ts'
import { openRange, type Range } from '../range/range.ts'
import type { BeginOptions, Kv, LockRow, LockTarget, Span, TableLockMode, Txn, WaitPolicy } from './kv.ts'
import { Locks } from './lock-waits.ts'
import { UnversionedState } from './state.ts'
import { KvTxn } from './txn.ts'
import { Vacuum } from './vacuum.ts'

export interface KvOptions {
  readonly clock: Clock
  /** The topology: `openLocalLog(engine)` for a database on its own. */
  readonly openLog: OpenLog
  /** A transaction's buffered writes may take so many bytes. Default 1 GiB. */
  readonly txnBytesMax?: number
  /** Hears of an error in background work (damage found by a sweep). Default: thrown, which ends the process. */
  readonly backgroundFailed?: (error: Error) => void
}

export async function openKv(engine: Engine, options: KvOptions): Promise<Kv> {
  const { clock, openLog } = options
  const range = await openRange({ id: rangeId(1), engine, clock, openLog, replicas: [] })
  return new Store(engine, range, options)
}

const TXN_BYTES_MAX = 1 << 30
/** Write buffers that are kept for the next transaction, 16 KiB each. */
const BUFFERS_KEPT = 64
/** Unversioned state that no commit took along is written after so long. */
const STATE_DELAY_MS = 20

/** The kv; transactions reach their surroundings through it. */
export class Store implements Kv {
  readonly engine: Engine
  readonly range: Range
  readonly lockTables: Locks
  readonly snapshots = new Snapshots()
  readonly state: UnversionedState
  readonly vacuum: Vacuum
  readonly txnBytesMax: number
  readonly #clock: Clock
  readonly #active = new Set<KvTxn>()
  readonly #buffers: WriteBuffer[] = []
  /** Owners of session-level locks by process id, and how often each lock was taken. */
  readonly #sessions = new Map<number, { readonly owner: LockOwner; readonly counts: Map<string, number> }>()
  #flushScheduled = false

  constructor(engine: Engine, range: Range, options: KvOptions) {
    const { clock, txnBytesMax = TXN_BYTES_MAX, backgroundFailed = rethrow } = options
    this.engine = engine
    this.range = range
    this.txnBytesMax = txnBytesMax
    this.#clock = clock
    this.lockTables = new Locks(clock)
    this.state = new UnversionedState(engine)
    this.vacuum = new Vacuum(engine, range, clock, () => this.watermark(), backgroundFailed)
  }

  now(): Timestamp {
    return this.range.visible
  }

  get(key: Key): Found | undefined {
    return this.engine.get(key, this.range.visible)
  }

  begin(options: BeginOptions): Txn {
    return new KvTxn(this, options)
  }

  // ---- what transactions use

  begun(txn: KvTxn): void {
    this.#active.add(txn)
  }

  ended(txn: KvTxn): void {
    this.#active.delete(txn)
  }

  takeBuffer(): WriteBuffer {
    return this.#buffers.pop() ?? new WriteBuffer()
  }

  giveBuffer(buffer: WriteBuffer): void {
    if (buffer.isKept) return
    buffer.reset()
    if (this.#buffers.length < BUFFERS_KEPT) this.#buffers.push(buffer)
  }

  // ---- unversioned state

  getState(key: Key): Uint8Array | undefined {
    return this.state.get(key)
  }

  putState(key: Key, value: Uint8Array): void {
    this.#setState(key, value)
  }

  deleteState(key: Key): void {
    this.#setState(key, undefined)
  }

  #setState(key: Key, value: Uint8Array | undefined): void {
    this.state.set(key, value)
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    this.#clock.after(STATE_DELAY_MS, () => {
      this.#flushScheduled = false
      this.#flushState()
    })
  }

  #flushState(): void {
    if (!this.state.hasWaiting) return
    let written = 0
    this.range.write(
      (batch) => {
        written = this.state.addTo(batch)
      },
      (error) => {
        if (error === undefined) this.state.written(written)
        // The next commit takes it along, and hears of the failure if there is one again.
        else this.state.failed(written)
      },
    )
  }

  // ---- session locks

  lockSession(
    pid: number,
    target: LockTarget,
    mode: TableLockMode,
    policy: WaitPolicy,
    lockTimeoutMs: number,
  ): Promise<boolean> | boolean {
    let session = this.#sessions.get(pid)
    if (session === undefined) {
      session = { owner: new LockOwner(pid, 0, true), counts: new Map() }
      this.#sessions.set(pid, session)
    }
    const { owner, counts } = session
    const name = `${mode} ${target}`
    const taken = () => {
      counts.set(name, (counts.get(name) ?? 0) + 1)
      return true
    }
    const limits = { lockTimeoutMs: () => lockTimeoutMs }
    const answer = this.lockTables.acquire(
      this.lockTables.objects,
      owner,
      target,
      TABLE_MODE_NUMBER[mode],
      policy,
      limits,
    )
    if (answer === undefined) return taken()
    if (answer === false) {
      this.#forgetIdleSession(pid)
      return false
    }
    return answer.then(taken, (error: unknown) => {
      this.#forgetIdleSession(pid)
      throw error
    })
  }

  unlockSession(pid: number, target: LockTarget, mode: TableLockMode): boolean {
    const session = this.#sessions.get(pid)
    const name = `${mode} ${target}`
    const count = session?.counts.get(name) ?? 0
    if (session === undefined || count === 0) return false
    if (count > 1) {
      session.counts.set(name, count - 1)
      return true
    }
    session.counts.delete(name)
    const released = this.lockTables.objects.releaseMode(session.owner, target, TABLE_MODE_NUMBER[mode])
    invariant(released, `session lock ${name} of ${pid} was lost`)
    this.#forgetIdleSession(pid)
    return true
  }

  unlockSessionAll(pid: number): void {
    const session = this.#sessions.get(pid)
    if (session === undefined) return
    this.#sessions.delete(pid)
    this.lockTables.releaseAll(session.owner)
  }

  #forgetIdleSession(pid: number): void {
    const session = this.#sessions.get(pid)
    if (session !== undefined && session.counts.size === 0 && session.owner.waits.length === 0)
      this.#sessions.delete(pid)
  }

  cancelWaits(pid: number): void {
    this.lockTables.cancel(pid)
  }

  get lockedObjects(): number {
    return this.lockTables.objects.size
  }

  locks(): readonly LockRow[] {
    const { rows, objects } = this.lockTables
    const row = ({ owner, target, mode, granted }: LockEntry, name: string): LockRow => ({
      pid: owner.pid,
      target: name === '' ? target : name,
      mode: mode as LockRow['mode'],
      granted,
    })
    return [
      ...Array.from(objects.rows(), (entry) => row(entry, '')),
      ...Array.from(rows.rows(), (entry) => row(entry, printKey(entry.target as Key))),
    ]
  }

  /** Everything that runs and waits, for people. */
  print(): string {
    const locks = this.locks().map(
      ({ pid, target, mode, granted }) => `  ${granted ? 'holds' : 'awaits'} ${mode} on ${target} (pid ${pid})`,
    )
    return [...Array.from(this.#active, (txn) => txn.print()), `locks: ${locks.length}`, ...locks].join('\n')
  }

  watermark(): Timestamp {
    return this.snapshots.oldest() ?? this.range.visible
  }

  scheduleRemoval(txn: Txn, span: Span): void {
    invariant(txn instanceof KvTxn, 'the transaction is of another kv')
    txn.scheduleRemoval(span)
  }

  follow(prefix: Key, follower: Follower): () => void {
    return this.range.feed.follow(prefix, follower)
  }

  collectGarbage(span?: Span): Promise<number> {
    return this.vacuum.collect(span === undefined ? VERSIONED_SPANS : [span])
  }

  approximateBytes(span: Span): number {
    return this.engine.approximateBytes(span.from, span.to)
  }

  checkpoint(path: string): Promise<void> {
    return this.engine.checkpoint(path)
  }

  async close(): Promise<void> {
    this.vacuum.close()
    this.#flushState()
    await this.range.close()
  }
}

function rethrow(error: Error): never {
  throw error
}
