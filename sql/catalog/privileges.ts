/**
 * Who may do what: role membership and privileges by acl and ownership. One place for the has_*_privilege functions and
 * for the checks that statements make. Source: PostgreSQL manual, "Privileges" and "Role Membership".
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { type AclObject, aclAllows, defaultAcl } from './acl.ts'
import type { Catalog, ColumnRow } from './catalog.ts'

const PG_CATALOG = oid(11)
const READ_ALL_DATA = oid(6181)
const WRITE_ALL_DATA = oid(6182)
const DATABASE_OWNER = oid(6171)

/**
 * The role and every role it belongs to, directly or not. `inherited`: only those whose privileges it has without SET
 * ROLE (the way ends at a role that does not inherit). The current database's owner belongs to pg_database_owner.
 */
export function memberships(catalog: Catalog, role: Oid, inherited: boolean): ReadonlySet<Oid> {
  const found = new Set<Oid>([role])
  for (const member of found) {
    const row = catalog.role(member)
    if (row === undefined) continue
    if (catalog.database(catalog.databaseOid)?.owner === member) found.add(DATABASE_OWNER)
    if (inherited && !row.inherit) continue
    for (const { role: group } of row.memberOf) found.add(group)
  }
  return found
}

export const isSuperuser = (catalog: Catalog, role: Oid): boolean => catalog.role(role)?.superuser === true
/** May act as an owner: superuser, the owner, or a member of it. */
export const ownedBy = (catalog: Catalog, role: Oid, owner: Oid): boolean =>
  isSuperuser(catalog, role) || memberships(catalog, role, true).has(owner)

export interface Securable {
  readonly kind: AclObject
  readonly owner: Oid
  readonly acl: readonly string[] | undefined
  /** A table of the system catalogs: only superusers change its rows. */
  readonly system?: boolean
}

/** Undefined when there is no such object. */
export function securable(catalog: Catalog, kind: AclObject, object: Oid): Securable | undefined {
  const row = rowOf(catalog, kind, object)
  if (row === undefined) return undefined
  const relation = kind === 'relation' ? catalog.relation(object) : undefined
  return {
    kind: relation?.kind === 'S' ? 'sequence' : kind,
    owner: row.owner,
    acl: row.acl,
    system: relation?.virtual === true && relation.namespace === PG_CATALOG,
  }
}

function rowOf(
  catalog: Catalog,
  kind: AclObject,
  object: Oid,
): { readonly owner: Oid; readonly acl?: readonly string[] } | undefined {
  switch (kind) {
    case 'relation':
    case 'sequence':
      return catalog.relation(object)
    case 'namespace':
      return catalog.namespace(object)
    case 'database':
      return catalog.database(object)
    case 'function':
      return catalog.function(object)
    case 'type': {
      const row = catalog.typeRow(object)
      // An array has its element's privileges.
      return row?.isArray === true ? catalog.typeRow(row.element) : row
    }
    case 'language':
    case 'tablespace':
      return { owner: oid(10) }
    case 'column':
    case 'largeobject':
    case 'foreign-data-wrapper':
    case 'foreign-server':
    case 'parameter':
      return undefined
  }
}

/** True when the role may use that right (a letter of acl.ts) on the object. */
export function allows(catalog: Catalog, role: Oid, object: Securable, letter: string, grantOption = false): boolean {
  if (isSuperuser(catalog, role)) return true
  if (object.system === true && 'awdD'.includes(letter)) return false
  const roles = memberships(catalog, role, true)
  if (aclAllows(object.acl ?? defaultAcl(object.kind, object.owner), roles, letter, grantOption)) return true
  if (roles.has(object.owner) && grantOption) return true
  if (grantOption) return false
  if (object.kind === 'relation' || object.kind === 'sequence') {
    if (letter === 'r' && roles.has(READ_ALL_DATA)) return true
    if ((letter === 'a' || letter === 'w' || letter === 'd') && roles.has(WRITE_ALL_DATA)) return true
  }
  return object.kind === 'namespace' && letter === 'U' && (roles.has(READ_ALL_DATA) || roles.has(WRITE_ALL_DATA))
}

/** Privilege on one column: the table's, or the column's own. */
export function columnAllows(
  catalog: Catalog,
  role: Oid,
  table: Securable,
  column: ColumnRow,
  letter: string,
  grantOption = false,
): boolean {
  if (allows(catalog, role, table, letter, grantOption)) return true
  return column.acl !== undefined && aclAllows(column.acl, memberships(catalog, role, true), letter, grantOption)
}
