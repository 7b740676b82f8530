/**
 * The catalog of one transaction with DDL: the committed one with the transaction's changes on top, each also written
 * into the transaction, so that rollback, savepoints, locks and commit of DDL are those of any other write.
 *
 *     lockName (may wait) → rebase → put …          commit → CatalogStore.publish
 *
 * A change takes the lock of its descriptor's key and of its name. Both are asked for without waiting: whoever wants to
 * wait for a concurrent CREATE of the same name (as PostgreSQL does) calls `lockName` first.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import { catalogKey, statisticsKey } from '../../storage/keys/map.ts'
import type { Txn, WaitPolicy } from '../../storage/kv/kv.ts'
import { sqlError } from '../types/error.ts'
import type { CatalogEditor, CommentRow, Descriptor, DescriptorKind } from './catalog.ts'
import { CLASS_OF, isShared, isSharedClass } from './classes.ts'
import { encodeDescriptor } from './codec.ts'
import { commentName, nextVersion, type Objects, qualified, type RowOf } from './objects.ts'
import { CatalogView } from './view.ts'

export interface Change {
  readonly kind: DescriptorKind
  readonly oid: Oid
  readonly row: Descriptor | undefined
  readonly shared: boolean
  old: Descriptor | undefined
}

/** What the editor needs of the store it came from. */
export interface EditorBase {
  /** The newest committed objects. */
  newest(database: Oid): { readonly version: number; readonly local: Objects; readonly shared: Objects }
  nextOid(): Oid
  nextStorageId(): number
}

/** Which names are unique, and PostgreSQL's index that says so. */
const UNIQUE: Partial<Record<DescriptorKind, { readonly index: string; readonly key: string }>> = {
  namespace: { index: 'pg_namespace_nspname_index', key: '(nspname)' },
  relation: { index: 'pg_class_relname_nsp_index', key: '(relname, relnamespace)' },
  type: { index: 'pg_type_typname_nsp_index', key: '(typname, typnamespace)' },
  role: { index: 'pg_authid_rolname_index', key: '(rolname)' },
  database: { index: 'pg_database_datname_index', key: '(datname)' },
  extension: { index: 'pg_extension_name_index', key: '(extname)' },
  collation: { index: 'pg_collation_name_enc_nsp_index', key: '(collname, collencoding, collnamespace)' },
}

export class Editor extends CatalogView implements CatalogEditor {
  readonly #base: EditorBase
  readonly #txn: Txn
  readonly #changes: Change[] = []
  #committed: { readonly version: number; readonly local: Objects; readonly shared: Objects }
  #waiting: Promise<unknown>[] = []

  constructor(base: EditorBase, database: Oid, txn: Txn) {
    const committed = base.newest(database)
    super(committed.version, database, committed.local.fork(), committed.shared.fork())
    this.#committed = committed
    this.#base = base
    this.#txn = txn
  }

  #version = nextVersion()
  /** Differs from every published version, every other editor's and this editor's earlier states. */
  override get version(): number {
    return this.#version
  }

  get changes(): readonly Change[] {
    return this.#changes
  }
  get changed(): boolean {
    return this.#changes.length > 0
  }
  /** True while nobody else has published since this editor's base: its objects can be published as they are. */
  get current(): boolean {
    const newest = this.#base.newest(this.databaseOid)
    return newest.local === this.#committed.local && newest.shared === this.#committed.shared
  }
  get objects(): { readonly local: Objects; readonly shared: Objects } {
    return { local: this.local, shared: this.shared }
  }

  nextOid(): Oid {
    return this.#base.nextOid()
  }
  nextStorageId(): number {
    return this.#base.nextStorageId()
  }

  put(kind: DescriptorKind, row: Descriptor): void {
    if (kind === 'comment') {
      this.#putComment(row as CommentRow)
      return
    }
    this.#change(kind, row.oid, row)
  }

  /** Takes the object away with its comments and statistics. */
  remove(kind: DescriptorKind, oid: Oid): void {
    this.#change(kind, oid, undefined)
    if (kind === 'comment') return
    const classOid = CLASS_OF[kind]
    for (const comment of [...this.comments()]) {
      if (comment.classOid === classOid && comment.object === oid)
        this.#change('comment', comment.oid, undefined, comment)
    }
    if (kind === 'relation' && this.statistics(oid) !== undefined) this.#change('statistics', oid, undefined)
  }

  /** One comment an object: another one takes its place; an empty text takes it away (and hides a built-in object's). */
  #putComment(row: CommentRow): void {
    const objects = isSharedClass(row.classOid) ? this.shared : this.local
    const before = objects.named('comment', commentName(row.classOid, row.object, row.subobject))[0]
    if (before !== undefined) this.#change('comment', before.oid, undefined, before)
    if (row.text !== '' || this.comment(row.classOid, row.object, row.subobject) !== undefined)
      this.#change('comment', row.oid, row)
  }

  #change(kind: DescriptorKind, oid: Oid, row: Descriptor | undefined, old?: Descriptor): void {
    const comment = (row ?? old) as CommentRow | undefined
    const shared = isShared(kind) || (kind === 'comment' && comment !== undefined && isSharedClass(comment.classOid))
    const database = shared ? 0 : this.databaseOid
    const key = kind === 'statistics' ? statisticsKey(database, oid) : catalogKey(database, CLASS_OF[kind], oid)
    this.#granted(this.#txn.lock(key, 'update', 'nowait'))
    if (row !== undefined) this.#granted(this.lockName(kind, row, 'nowait'))
    if (!this.current) {
      const seen = this.#objects(shared, this.#committed).get(kind, oid)
      this.rebase()
      if (this.#objects(shared, this.#committed).get(kind, oid) !== seen) {
        throw sqlError('40001', 'could not serialize access due to concurrent update')
      }
    }
    if (row !== undefined) this.#checkName(kind, row, shared)
    if (row === undefined) this.#txn.remove(key)
    else this.#txn.put(key, encodeDescriptor(row))
    const change: Change = { kind, oid, row, shared, old: undefined }
    this.#apply(change)
    this.#changes.push(change)
  }

  #objects(shared: boolean, from: { readonly local: Objects; readonly shared: Objects }): Objects {
    return shared ? from.shared : from.local
  }

  #apply(change: Change): void {
    const objects = change.shared ? this.shared : this.local
    change.old = objects.set(change.kind, change.oid, change.row as RowOf[typeof change.kind] | undefined)
    this.#version = nextVersion()
    this.invalidate(change.kind)
  }

  #checkName(kind: DescriptorKind, row: Descriptor, shared: boolean): void {
    const unique = UNIQUE[kind]
    if (unique === undefined) return
    const objects = shared ? this.shared : this.local
    const other = objects.named(kind, nameOf(row)).find((found) => found.oid !== row.oid)
    if (other === undefined) return
    const { name, namespace } = row as { name: string; namespace?: Oid }
    throw sqlError('23505', `duplicate key value violates unique constraint "${unique.index}"`, {
      detail: `Key ${unique.key}=(${namespace === undefined || kind === 'extension' ? name : `${name}, ${namespace}`}) already exists.`,
    })
  }

  /**
   * Holds a name until the transaction ends, so that two transactions cannot both create it. After waiting, the winner's
   * object is seen by `rebase`.
   */
  lockName(kind: DescriptorKind, row: Descriptor, policy: WaitPolicy): Promise<boolean> | boolean | undefined {
    if (UNIQUE[kind] === undefined) return undefined
    const space = isShared(kind) ? 0 : this.databaseOid
    return this.#txn.lockTarget(`name ${space} ${kind} ${nameOf(row)}`, 'exclusive', policy)
  }

  #granted(answer: Promise<boolean> | boolean | undefined): void {
    if (answer === false) throw sqlError('55P03', 'could not obtain lock on a system catalog entry')
    if (answer instanceof Promise) this.#waiting.push(answer)
  }

  /** Locks that were still under way (a store on other nodes): awaited before commit. undefined: none. */
  settled(): Promise<unknown> | undefined {
    if (this.#waiting.length === 0) return undefined
    const waiting = this.#waiting
    this.#waiting = []
    return Promise.all(waiting)
  }

  /** Others may have committed DDL since: begin from the newest catalog, with the own changes on top. */
  rebase(): void {
    if (this.current) return
    this.#committed = this.#base.newest(this.databaseOid)
    this.local = this.#committed.local.fork()
    this.shared = this.#committed.shared.fork()
    this.#version = nextVersion()
    this.invalidate('type')
    for (const change of this.#changes) this.#apply(change)
  }

  mark(): number {
    return this.#changes.length
  }

  /** Forgets changes after the mark; what they wrote into the transaction is undone by its own savepoint. */
  undo(mark: number): void {
    while (this.#changes.length > mark) {
      const change = this.#changes.pop()!
      this.#apply({ ...change, row: change.old })
    }
  }
}

function nameOf(row: Descriptor): string {
  const { name, namespace } = row as { name: string; namespace?: Oid }
  return namespace === undefined || 'version' in row ? name : qualified(namespace, name)
}
