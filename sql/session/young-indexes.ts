/**
 * Indexes that were filled after some snapshot that is still in use: their entries are of the commit that filled them, so that an
 * older snapshot sees none of them. Plans of such a snapshot do without the index, as PostgreSQL's do (pg_index.indcheckxmin).
 *
 *     snapshot 5 …        CREATE INDEX commits at 9        snapshot 5 asks again: the table is read
 */
import type { Timestamp } from '../../storage/keys/brand.ts'
import type { CatalogView } from '../catalog/view.ts'

export class YoungIndexes {
  /** By storage id: the commit that filled them. */
  readonly #filled = new Map<number, Timestamp>()

  /** `oldest`: no snapshot in use is older. */
  filled(storageId: number, at: Timestamp, oldest: Timestamp): void {
    for (const [each, when] of this.#filled) if (when <= oldest) this.#filled.delete(each)
    if (at > oldest) this.#filled.set(storageId, at)
  }

  /** Storage ids of those that a snapshot cannot read; undefined: it can read all. */
  since(snapshot: Timestamp): ReadonlySet<number> | undefined {
    let young: Set<number> | undefined
    for (const [storageId, at] of this.#filled) if (at > snapshot) (young ??= new Set()).add(storageId)
    return young
  }
}

/** One session's catalog at its transaction's snapshot, kept while nothing changes. */
export class CatalogAtSnapshot {
  #newest: CatalogView | undefined
  #snapshot: Timestamp | undefined
  #view: CatalogView | undefined

  of(newest: CatalogView, snapshot: Timestamp, indexes: YoungIndexes): CatalogView {
    const young = indexes.since(snapshot)
    if (young === undefined) return newest
    // One that is filled later comes with a newer catalog.
    if (this.#newest !== newest || this.#snapshot !== snapshot) {
      this.#newest = newest
      this.#snapshot = snapshot
      this.#view = newest.without(young)
    }
    return this.#view!
  }
}
