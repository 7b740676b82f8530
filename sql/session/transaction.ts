/**
 * One session's transaction: the kv transaction and what SQL keeps beside it (its catalog changes, settings, savepoints,
 * deferred checks), so that commit and rollback end all of them together.
 *
 *   idle ──statement──► implicit ──end──► idle
 *     └──BEGIN──► block ──error──► failed ──ROLLBACK──► idle
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Isolation, Kv, Savepoint, Txn } from '../../storage/kv/kv.ts'
import type { Editor } from '../catalog/editor.ts'
import type { CatalogStore } from '../catalog/store.ts'
import type { CatalogView } from '../catalog/view.ts'
import { type SqlError, sqlError } from '../types/error.ts'
import type { SessionSettings } from './settings.ts'
import { toSqlError } from './sqlstate-of.ts'
import { CatalogAtSnapshot, type YoungIndexes } from './young-indexes.ts'

export type BlockState = 'idle' | 'implicit' | 'block' | 'failed'

interface Level {
  readonly name: string
  readonly kv: Savepoint
  readonly catalog: number
  readonly settings: number
  readonly readOnly: boolean
  readonly marks: readonly number[]
}

/** Something that must be undone with a savepoint: deferred checks, notifications. */
export interface Marked {
  mark(): number
  undoTo(mark: number): void
}

export interface TransactionHost {
  readonly pid: number
  readonly kv: Kv
  readonly catalogs: CatalogStore
  readonly young: YoungIndexes
  readonly databaseOid: Oid
  readonly settings: SessionSettings
  /** Before the commit goes out, inside the transaction: deferred constraints, ON COMMIT actions. May wait. */
  beforeCommit(): Promise<void> | undefined
  /** After the end, whichever way. */
  ended(committed: boolean): void
}

export class Transaction {
  readonly #host: TransactionHost
  block: BlockState = 'idle'
  isolation: Isolation = 'read-committed'
  /** As it was written: 'read uncommitted' behaves as read committed but shows itself. */
  isolationName = 'read committed'
  readOnly = false
  deferrable = false
  /** Microseconds since 2000-01-01 UTC at its start. */
  startedAt = 0
  txn: Txn | undefined
  #editor: Editor | undefined
  readonly #atSnapshot = new CatalogAtSnapshot()
  #levels: Level[] = []
  readonly marked: Marked[] = []

  constructor(host: TransactionHost) {
    this.#host = host
  }

  get status(): 'I' | 'T' | 'E' {
    return this.block === 'block' ? 'T' : this.block === 'failed' ? 'E' : 'I'
  }
  get inBlock(): boolean {
    return this.block === 'block' || this.block === 'failed'
  }

  /** The kv transaction, begun when first needed. */
  ensure(): Txn {
    if (this.txn !== undefined) return this.txn
    const { kv, pid, settings } = this.#host
    this.txn = kv.begin({
      isolation: this.isolation,
      readOnly: this.readOnly,
      pid,
      lockTimeoutMs: () => settings.number('lock_timeout'),
      deadlockTimeoutMs: () => settings.number('deadlock_timeout'),
    })
    return this.txn
  }

  /** Transactions that keep an old snapshot do without indexes that were filled since. */
  get catalog(): CatalogView {
    if (this.#editor !== undefined) return this.#editor
    const { catalogs, databaseOid, young } = this.#host
    const newest = catalogs.catalog(databaseOid)
    if (this.isolation === 'read-committed' || this.txn?.hasBegun !== true) return newest
    return this.#atSnapshot.of(newest, this.txn.snapshot, young)
  }
  /** For DDL: the catalog with this transaction's changes. */
  edit(): Editor {
    this.#editor ??= this.#host.catalogs.edit(this.#host.databaseOid, this.ensure())
    return this.#editor
  }
  /** Before a statement: what others have committed meanwhile, with the own changes on top. */
  refreshCatalog(): void {
    this.#editor?.rebase()
  }
  get hasCatalogChanges(): boolean {
    return this.#editor?.changed === true
  }

  start(block: 'implicit' | 'block', now: number): void {
    const { settings } = this.#host
    this.block = block
    this.startedAt = now
    const { quick } = settings
    if (quick.defaultIsolation !== this.isolationName) this.setIsolation(quick.defaultIsolation)
    this.readOnly = quick.defaultReadOnly
    this.deferrable = quick.defaultDeferrable
  }

  setIsolation(name: string): void {
    if (this.txn !== undefined && name !== this.isolationName) {
      if (this.txn.hasBegun) throw sqlError('25001', 'SET TRANSACTION ISOLATION LEVEL must be called before any query')
      if (this.#levels.length > 0)
        throw sqlError('25001', 'SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction')
    }
    this.isolationName = name
    const isolation =
      name === 'serializable' ? 'serializable' : name === 'repeatable read' ? 'repeatable-read' : 'read-committed'
    if (isolation !== this.isolation && this.txn !== undefined) {
      this.txn.rollback()
      this.txn = undefined
    }
    this.isolation = isolation
  }

  // -- savepoints

  savepoint(name: string): void {
    this.#levels.push({
      name,
      kv: this.ensure().savepoint(),
      catalog: this.#editor?.mark() ?? 0,
      settings: this.#host.settings.mark(),
      readOnly: this.readOnly,
      marks: this.marked.map((each) => each.mark()),
    })
  }
  get isInSavepoint(): boolean {
    return this.#levels.length > 0
  }
  #find(name: string): number {
    for (let i = this.#levels.length - 1; i >= 0; i--) if (this.#levels[i]!.name === name) return i
    throw sqlError('3B001', `savepoint "${name}" does not exist`)
  }
  release(name: string): void {
    const at = this.#find(name)
    // READ ONLY holds to the end of the savepoint it was said in, either end.
    this.readOnly = this.#levels[at]!.readOnly
    this.#levels.length = at
  }
  rollbackTo(name: string): void {
    const at = this.#find(name)
    this.#undo(this.#levels[at]!)
    this.#levels.length = at + 1
    this.block = 'block'
  }
  #undo(level: Level): void {
    // The catalog's changes are undone before the writes they made.
    this.#editor?.undo(level.catalog)
    this.ensure().rollbackTo(level.kv)
    this.#host.settings.undoTo(level.settings)
    this.readOnly = level.readOnly
    this.marked.forEach((each, i) => each.undoTo(level.marks[i] ?? 0))
  }
  /** A mark for one statement, so that its effects can be taken back (a restart). */
  statementMark(): Level {
    return {
      name: '',
      kv: this.ensure().savepoint(),
      catalog: this.#editor?.mark() ?? 0,
      settings: this.#host.settings.mark(),
      readOnly: this.readOnly,
      marks: this.marked.map((each) => each.mark()),
    }
  }
  /** Undoes everything since the mark; the transaction goes on. */
  takeBack(mark: Level): void {
    this.#undo(mark)
  }
  /** READ COMMITTED: takes the statement back and gives it a new snapshot. */
  restart(mark: Level): void {
    this.#editor?.undo(mark.catalog)
    this.ensure().restartStatement(mark.kv)
    this.marked.forEach((each, i) => each.undoTo(mark.marks[i] ?? 0))
  }

  // -- ends

  /** Commits; a promise only when something had to be written or checked. */
  commit(): Promise<void> | undefined {
    let waiting: Promise<void> | undefined
    try {
      waiting = this.#host.beforeCommit()
    } catch (error) {
      this.rollback()
      throw toSqlError(error)
    }
    if (waiting !== undefined) {
      return waiting.then(
        () => this.#commitNow(),
        (error: unknown) => {
          this.rollback()
          throw toSqlError(error)
        },
      )
    }
    return this.#commitNow()
  }

  #commitNow(): Promise<void> | undefined {
    const { txn } = this
    if (txn === undefined) {
      this.#finish(true)
      return undefined
    }
    if (!txn.hasWrites) {
      txn.commitThen(() => {})
      this.#finish(true)
      return undefined
    }
    return new Promise((resolve, reject) => {
      txn.commitThen((error) => {
        if (error === undefined) {
          this.#finish(true)
          resolve()
        } else {
          this.#finish(false)
          reject(toSqlError(error) as Error)
        }
      })
    })
  }

  rollback(): void {
    this.txn?.rollback()
    this.#finish(false)
  }

  #finish(committed: boolean): void {
    const editor = this.#editor
    this.txn = undefined
    this.#editor = undefined
    if (this.#levels.length > 0) this.#levels = []
    this.block = 'idle'
    if (committed) {
      if (editor !== undefined) this.#host.catalogs.publish(editor)
      this.#host.settings.commit()
    } else this.#host.settings.rollback()
    for (const each of this.marked) each.undoTo(0)
    this.#host.ended(committed)
  }

  /**
   * An error inside: a block waits for ROLLBACK, anything else is rolled back now. What the block did since its last
   * savepoint is undone at once, so that nobody waits for the locks of a transaction that cannot commit any more.
   */
  fail(): void {
    if (this.inBlock) {
      if (this.block === 'failed') return
      const level = this.#levels.at(-1)
      if (level !== undefined) this.#undo(level)
      else {
        this.txn?.rollback()
        this.#finish(false)
      }
      this.block = 'failed'
    } else if (this.block === 'implicit' || this.txn !== undefined) this.rollback()
  }
}

export const aborted = (): SqlError =>
  sqlError('25P02', 'current transaction is aborted, commands ignored until end of transaction block')
