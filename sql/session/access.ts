/**
 * Privileges on what a statement names: SELECT, INSERT, UPDATE, DELETE on tables and views, USAGE on their schemas. Checked each time
 * a statement is made ready, for the role of that moment; what a view reads is its owner's business.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog, RelationRow } from '../catalog/catalog.ts'
import { allows, columnAllows, isSuperuser, securable } from '../catalog/privileges.ts'
import { sqlError } from '../types/error.ts'
import { PG_CATALOG } from '../types/oids.ts'

/** Letters of acl.ts wanted, by relation: 'r' select, 'a' insert, 'w' update, 'd' delete. */
export type Accesses = ReadonlyMap<Oid, string>

const WORDS: Readonly<Record<string, string>> = { v: 'view', m: 'materialized view', S: 'sequence' }

/** Throws 42501 `permission denied for table x`. */
export function checkAccess(catalog: Catalog, role: Oid, accesses: Accesses): void {
  if (accesses.size === 0 || isSuperuser(catalog, role)) return
  for (const [oid, letters] of accesses) {
    const row = catalog.relation(oid)
    if (row === undefined) continue
    checkSchema(catalog, role, row)
    const object = securable(catalog, row.kind === 'S' ? 'sequence' : 'relation', oid)
    if (object === undefined) continue
    for (const letter of letters) {
      if (allows(catalog, role, object, letter)) continue
      // Grants on columns count where they cover the whole row; which columns a statement reads is not looked at.
      const live = row.columns.filter((column) => !column.dropped)
      if (
        letter !== 'd' &&
        live.length > 0 &&
        live.every((column) => columnAllows(catalog, role, object, column, letter))
      )
        continue
      throw sqlError('42501', `permission denied for ${WORDS[row.kind] ?? 'table'} ${row.name}`)
    }
  }
}

function checkSchema(catalog: Catalog, role: Oid, row: RelationRow): void {
  if (row.namespace === PG_CATALOG || row.session !== undefined) return
  const schema = securable(catalog, 'namespace', row.namespace)
  if (schema === undefined || allows(catalog, role, schema, 'U')) return
  throw sqlError('42501', `permission denied for schema ${catalog.namespace(row.namespace)?.name ?? ''}`)
}
