/** What catalog functions ask of the session beyond CallContext. The session's context implements it. */
import type { Oid } from '../../storage/keys/brand.ts'
import type { CallContext, CallInfo, FunctionBody } from '../types/function.ts'
import { bound } from '../types/function.ts'
import type { Int64, Value } from '../types/value.ts'
import type { Catalog, VirtualContext } from './catalog.ts'
import type { NameScope } from './names.ts'

export interface CatalogCallContext extends CallContext, NameScope, VirtualContext {
  /** The transaction's: with its own DDL. */
  readonly catalog: Catalog
  /** The effective search path: the temporary schema first (when there is one), pg_catalog where it is looked in. */
  readonly searchPath: readonly Oid[]
  /** current_user. */
  readonly userOid: Oid
  /** This session's temporary schema, or 0. */
  readonly tempNamespace: Oid
  /** Bytes a table's rows, or an index's entries, take in the store, about. */
  relationBytes(relation: Oid): number
  databaseBytes(database: Oid): number
  /** last_value of a sequence that has been used; null before. */
  sequenceLastValue(sequence: Oid): Int64 | null
}

export const contextOf = (call: CallInfo): CatalogCallContext => call.context as CatalogCallContext

/** `fromCatalog((c, a, b) => …)`: the context is the first argument. */
export const fromCatalog = <A extends Value[]>(body: (c: CatalogCallContext, ...args: A) => Value): FunctionBody =>
  bound<A>((call) => {
    const c = contextOf(call)
    return (...args) => body(c, ...args)
  })
