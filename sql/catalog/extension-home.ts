/**
 * The vector extension's objects are built in. Without the extension they are found in pg_catalog, so that vectors are simply
 * there; once it was created they are in its schema, as in PostgreSQL: `public.vector(3)`, `operator(public.<->)`. Nothing is
 * stored for that: whoever gives a built-in row of one of them gives it with the schema of the extension.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import * as vector from '../types/vector/catalog-rows.ts'
import type { Catalog } from './catalog.ts'

const oids = (rows: readonly { readonly oid: number }[]): ReadonlySet<number> => new Set(rows.map((row) => row.oid))

const MEMBERS = {
  type: oids(vector.pg_type),
  function: oids(vector.pg_proc),
  operator: oids(vector.pg_operator),
  opclass: oids(vector.pg_opclass),
  opfamily: oids(vector.pg_opfamily),
} as const
export type HomedKind = keyof typeof MEMBERS

/** Below and above this no object is the extension's. */
const FIRST = 16_001
const END = 16_384

export const isOfExtension = (kind: HomedKind, object: number): boolean =>
  object >= FIRST && object < END && MEMBERS[kind].has(object)

/** The schema that an object without a descriptor is seen in, when the data has it in `namespace`. */
export function seenSchema(catalog: Pick<Catalog, 'extensions'>, kind: HomedKind, object: Oid, namespace: Oid): Oid {
  if (isOfExtension(kind, object))
    for (const row of catalog.extensions()) if (row.name === vector.EXTENSION.name) return row.namespace
  return namespace
}

/** The column of a catalog that names the schema of its objects. */
export const SCHEMA_COLUMNS: Readonly<Record<string, readonly [kind: HomedKind, column: string]>> = {
  pg_type: ['type', 'typnamespace'],
  pg_proc: ['function', 'pronamespace'],
  pg_operator: ['operator', 'oprnamespace'],
  pg_opclass: ['opclass', 'opcnamespace'],
  pg_opfamily: ['opfamily', 'opfnamespace'],
}

interface Row {
  readonly oid: Oid
  readonly namespace: Oid
}

/** Rows with the schema `home`, each made once. */
export class HomedRows {
  readonly home: Oid
  readonly #made = new Map<Row, Row>()
  constructor(home: Oid) {
    this.home = home
  }
  of<R extends Row>(kind: HomedKind, row: R): R {
    if (!isOfExtension(kind, row.oid)) return row
    let made = this.#made.get(row)
    if (made === undefined) this.#made.set(row, (made = { ...row, namespace: this.home }))
    return made as R
  }
}
