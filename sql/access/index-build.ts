/**
 * Filling new storage: rows and entries are gathered in runs, sorted, and written in key order, which is what both the
 * transaction's buffer and the store take fastest. Input that comes in order already is not gathered at all.
 *
 *     add(key, value) … → run full → sort → equal neighbours? → put …          the storage is new: nothing is locked
 */
import type { Key, Oid } from '../../storage/keys/brand.ts'
import type { Kv, Txn } from '../../storage/kv/kv.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import { relationSpan } from './keys.ts'

/** Entries of a run, and their bytes: about 100 MB in memory. */
const RUN_ENTRIES = 500_000
const RUN_BYTES = 64 << 20

export class SortedRuns {
  readonly #txn: Txn
  readonly #unique: boolean
  readonly #duplicate: (key: Key) => Error
  #keys: Key[] = []
  #values: string[] = []
  #bytes = 0
  #ascending = true
  #last = '' as Key
  /** More than one run: a key may be in an earlier one. */
  #runs = 0
  #buffer = Buffer.allocUnsafeSlow(4096)

  /** `duplicate`: the error for two equal keys; for keys that cannot be equal, `unique` is false. */
  constructor(txn: Txn, unique: boolean, duplicate: (key: Key) => Error) {
    this.#txn = txn
    this.#unique = unique
    this.#duplicate = duplicate
  }

  /** `value`: bytes as a latin1 string, never empty. */
  add(key: Key, value: string): void {
    if (this.#keys.length > 0 && key <= this.#last) this.#ascending = false
    this.#last = key
    this.#keys.push(key)
    this.#values.push(value)
    this.#bytes += key.length + value.length
    if (this.#keys.length >= RUN_ENTRIES || this.#bytes >= RUN_BYTES) this.flush()
  }

  /** Writes what was gathered; to be called at the end. */
  flush(): void {
    const keys = this.#keys
    const values = this.#values
    if (keys.length === 0) return
    let order: Uint32Array | undefined
    if (!this.#ascending) {
      order = Uint32Array.from(keys, (_, i) => i)
      order.sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : 0))
    }
    let before: Key | undefined
    for (let i = 0; i < keys.length; i++) {
      const at = order === undefined ? i : order[i]!
      const key = keys[at]!
      if (this.#unique) {
        if (key === before || (this.#runs > 0 && this.#txn.getNewest(key) !== undefined)) throw this.#duplicate(key)
        before = key
      }
      const value = values[at]!
      if (value.length > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(value.length * 2)
      this.#buffer.latin1Write(value, 0)
      this.#txn.put(key, this.#buffer, value.length)
    }
    this.#runs++
    this.#keys = []
    this.#values = []
    this.#bytes = 0
    this.#ascending = true
  }
}

/** DROP, TRUNCATE, a rewrite: everything under the relation's storage id goes once no snapshot sees it. */
export function removeStorage(kv: Kv, txn: Txn, database: Oid, relation: RelationRow): void {
  if (relation.storageId !== 0) kv.scheduleRemoval(txn, relationSpan(database, relation))
}
