/**
 * The committed catalogs of a store: one of the cluster (roles, databases) and one a database, read from the store's
 * catalog space when first asked for, then kept in memory and replaced by the next version at each commit of DDL.
 *
 *     edit(database, txn) → put, remove … → txn commits → publish(editor) → everyone's next statement sees it
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import {
  catalogKey,
  catalogSpan,
  readVarint,
  statisticsKey,
  statisticsSpan,
  systemKey,
} from '../../storage/keys/map.ts'
import { type Kv, PAGE_HEADER_BYTES, type Span, type Txn } from '../../storage/kv/kv.ts'
import { sqlError } from '../types/error.ts'
import { bootstrapLocal, bootstrapShared, FIRST_USER_OID } from './bootstrap.ts'
import type { Descriptor, DescriptorKind, RelationRow, TableStatistics } from './catalog.ts'
import { CLASS_OF, KIND_OF } from './classes.ts'
import { decodeDescriptor, encodeDescriptor } from './codec.ts'
import { Editor } from './editor.ts'
import { DESCRIPTOR_KINDS, nextVersion, Objects, type RowOf } from './objects.ts'
import { CatalogView } from './view.ts'

export interface CatalogStore {
  /** The newest committed catalog of a database. Throws 3D000 when there is no such database. */
  catalog(database: Oid): CatalogView
  edit(database: Oid, txn: Txn): Editor
  /** After the editor's transaction has committed. */
  publish(editor: Editor): void
  /** CREATE DATABASE: the template's descriptors for the new database (its row is put with an editor; rows of tables are the caller's). */
  copyDatabase(txn: Txn, template: Oid, database: Oid): void
  /** DROP DATABASE: all its descriptors. */
  removeDatabase(txn: Txn, database: Oid): void
  /** Forgets what is in memory: something else (replication, restore) has changed the store. */
  reload(): void
  /** Temporary tables left by sessions of a process that ended without dropping them. */
  orphans(database: Oid): readonly RelationRow[]
}

export interface CatalogStoreOptions {
  /** A superuser of this name is made in a new store, beside `postgres` and `alopex`. */
  readonly osUser?: string
  /** A new store is not written to (a replica waiting for its first snapshot). */
  readonly readOnly?: boolean
}

/** How many ids one write reserves: after a crash the rest of the block is never used. */
const BLOCK = 64
const SHARED = oid(0)

export async function openCatalogStore(kv: Kv, options: CatalogStoreOptions = {}): Promise<CatalogStore> {
  const store = new Store(kv)
  if (options.readOnly !== true && store.isEmpty()) await store.bootstrap(options.osUser)
  return store
}

interface Loaded {
  local: Objects
  view: CatalogView
}

class Store implements CatalogStore {
  readonly #kv: Kv
  #version = nextVersion()
  #shared: Objects | undefined
  readonly #databases = new Map<Oid, Loaded>()
  readonly #orphans = new Map<Oid, readonly RelationRow[]>()
  readonly nextOid: () => Oid
  readonly nextStorageId: () => number

  constructor(kv: Kv) {
    this.#kv = kv
    const oids = counter(kv, 'catalog/next-oid', FIRST_USER_OID)
    this.nextOid = () => oid(oids())
    this.nextStorageId = counter(kv, 'catalog/next-storage', 1)
  }

  isEmpty(): boolean {
    return this.#read((txn) => !txn.anyIn(catalogSpan(SHARED)))
  }

  async bootstrap(osUser: string | undefined): Promise<void> {
    const txn = this.#begin()
    const shared = bootstrapShared(osUser)
    writeAll(txn, SHARED, shared)
    for (const row of shared.all('database')) writeAll(txn, row.oid, bootstrapLocal())
    await txn.commit()
  }

  #begin(): Txn {
    const txn = this.#kv.begin({ isolation: 'read-committed', readOnly: false, pid: 0, lockTimeoutMs: () => 0 })
    txn.beginStatement()
    return txn
  }

  #read<T>(body: (txn: Txn) => T): T {
    const txn = this.#begin()
    try {
      return body(txn)
    } finally {
      txn.rollback()
    }
  }

  #sharedObjects(): Objects {
    this.#shared ??= this.#read((txn) => load(txn, SHARED))
    return this.#shared
  }

  #loaded(database: Oid): Loaded {
    let loaded = this.#databases.get(database)
    if (loaded === undefined) {
      const shared = this.#sharedObjects()
      if (shared.get('database', database) === undefined)
        throw sqlError('3D000', `database with OID ${database} does not exist`)
      const local = this.#read((txn) => load(txn, database))
      loaded = { local, view: new CatalogView(this.#version, database, local, shared) }
      this.#databases.set(database, loaded)
      this.#orphans.set(
        database,
        [...local.all('relation')].filter((row) => row.session !== undefined),
      )
    }
    return loaded
  }

  catalog(database: Oid): CatalogView {
    return this.#loaded(database).view
  }

  newest(database: Oid): { readonly version: number; readonly local: Objects; readonly shared: Objects } {
    return { version: this.#version, local: this.#loaded(database).local, shared: this.#sharedObjects() }
  }

  edit(database: Oid, txn: Txn): Editor {
    return new Editor(this, database, txn)
  }

  publish(editor: Editor): void {
    if (!editor.changed) return
    editor.rebase()
    const sharedChanged = editor.changes.some((change) => change.shared)
    const localChanged = editor.changes.some((change) => !change.shared)
    this.#version = nextVersion()
    const loaded = this.#loaded(editor.databaseOid)
    if (localChanged) loaded.local = editor.objects.local
    if (sharedChanged) this.#shared = editor.objects.shared
    const shared = this.#sharedObjects()
    for (const [database, other] of this.#databases) {
      if (shared.get('database', database) === undefined) this.#databases.delete(database)
      else if (sharedChanged || other === loaded)
        other.view = new CatalogView(this.#version, database, other.local, shared)
    }
  }

  copyDatabase(txn: Txn, template: Oid, database: Oid): void {
    writeAll(txn, database, this.#loaded(template).local)
  }

  removeDatabase(txn: Txn, database: Oid): void {
    for (const span of [catalogSpan(database), statisticsSpan(database)]) {
      const keys: string[] = []
      eachEntry(txn, span, (key) => keys.push(key))
      for (const key of keys) {
        const granted = txn.lock(key as never, 'update', 'nowait')
        if (granted === false) throw sqlError('55006', 'database is being accessed by other users')
        txn.remove(key as never)
      }
    }
  }

  reload(): void {
    this.#version = nextVersion()
    this.#shared = undefined
    this.#databases.clear()
  }

  orphans(database: Oid): readonly RelationRow[] {
    this.#loaded(database)
    return this.#orphans.get(database) ?? []
  }
}

/** Ever new numbers: a block is reserved in the store before its first number is given out. */
function counter(kv: Kv, name: string, first: number): () => number {
  const key = systemKey(name)
  let next: number | undefined
  let end = 0
  return () => {
    if (next === undefined) {
      const stored = kv.getState(key)
      next = stored === undefined ? first : Number(Buffer.from(stored).toString('latin1'))
      end = next
    }
    if (next === end) {
      end += BLOCK
      kv.putState(key, Buffer.from(String(end), 'latin1'))
    }
    return next++
  }
}

const keyOf = (database: Oid, kind: DescriptorKind, object: Oid) =>
  kind === 'statistics' ? statisticsKey(database, object) : catalogKey(database, CLASS_OF[kind], object)

function writeAll(txn: Txn, database: Oid, objects: Objects): void {
  for (const kind of DESCRIPTOR_KINDS) {
    for (const row of objects.all(kind)) {
      const key = keyOf(database, kind, row.oid)
      const granted = txn.lock(key, 'update', 'nowait')
      invariant(granted !== false, `a new database's descriptor is locked: ${kind} ${row.oid}`)
      txn.put(key, encodeDescriptor(row))
    }
  }
}

function load(txn: Txn, database: Oid): Objects {
  const objects = new Objects()
  const put = <K extends DescriptorKind>(kind: K, row: Descriptor) => objects.set(kind, row.oid, row as RowOf[K])
  eachEntry(txn, catalogSpan(database), (key, value) => put(kindOf(key), decodeDescriptor(value)))
  eachEntry(txn, statisticsSpan(database), (_, value) => put('statistics', decodeDescriptor(value) as TableStatistics))
  return objects
}

function kindOf(key: string): DescriptorKind {
  const [, afterDatabase] = readVarint(key, 1) ?? [0, 0]
  const [classOid] = readVarint(key, afterDatabase) ?? [0]
  const kind = KIND_OF.get(oid(classOid))
  invariant(kind, `no descriptor class ${classOid}`)
  return kind
}

/** `value` is valid during the call. */
function eachEntry(txn: Txn, span: Span, visit: (key: string, value: Buffer) => void): void {
  const scanner = txn.scan(span)
  try {
    for (let page = scanner.next(1024); page !== undefined; page = scanner.next(1024)) {
      let at = 0
      for (let i = 0; i < page.count; i++) {
        const keyEnd = at + PAGE_HEADER_BYTES + page.buffer.readUInt32LE(at)
        const valueEnd = keyEnd + page.buffer.readUInt32LE(at + 4)
        visit(page.buffer.toString('latin1', at + PAGE_HEADER_BYTES, keyEnd), page.buffer.subarray(keyEnd, valueEnd))
        at = valueEnd
      }
    }
  } finally {
    scanner.close()
  }
}
