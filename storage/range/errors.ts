import type { Key } from '../keys/brand.ts'

/** What can go wrong below SQL. sql/session/sqlstate-of.ts maps every kind to one SQLSTATE. */
export type KvReason =
  /** REPEATABLE READ and above: a row this transaction writes was changed since its snapshot. 40001 */
  | { readonly kind: 'write-conflict'; readonly key: Key; readonly deleted: boolean }
  /** SERIALIZABLE: what this transaction read was changed before it committed. 40001 */
  | { readonly kind: 'read-conflict'; readonly key: Key }
  /** READ COMMITTED: the row was changed since the statement's snapshot; the session runs the statement again. Never seen by clients. */
  | { readonly kind: 'statement-restart'; readonly key: Key }
  /** NOWAIT. 55P03 */
  | { readonly kind: 'lock-not-available' }
  /** lock_timeout. 55P03 */
  | { readonly kind: 'lock-timeout' }
  /** 40P01; `detail` as PostgreSQL's: which process waits for which. */
  | { readonly kind: 'deadlock'; readonly detail: string }
  | { readonly kind: 'not-leader'; readonly leader: number | undefined }
  | { readonly kind: 'range-moved' }
  /** The commit was sent but its outcome is not known. 40003 */
  | { readonly kind: 'commit-unknown' }
  /** The store failed and takes no more writes. 58030, disk full 53100, damage XX001 */
  | { readonly kind: 'engine'; readonly reason: 'locked' | 'corruption' | 'io' | 'disk-full' | 'closed' | 'invalid' }
  /** A transaction's writes outgrew their limit. 53200 */
  | { readonly kind: 'too-large' }
  | { readonly kind: 'cancelled' }

export class KvError extends Error {
  override readonly name = 'KvError'
  readonly reason: KvReason
  constructor(reason: KvReason, message: string = reason.kind) {
    super(message)
    this.reason = reason
  }
}
