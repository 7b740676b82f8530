/**
 * DROP OWNED and REASSIGN OWNED: everything in this database that roles own, and what they have been granted.
 * https://www.postgresql.org/docs/15/sql-drop-owned.html, https://www.postgresql.org/docs/15/sql-reassign-owned.html
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import { parseAclItem } from '../../catalog/acl.ts'
import type { ColumnRow, DatabaseRow, FunctionRow, NamespaceRow, RelationRow, TypeRow } from '../../catalog/catalog.ts'
import { CLASS, CLASS_OF } from '../../catalog/classes.ts'
import { memberships } from '../../catalog/privileges.ts'
import { sqlError } from '../../types/error.ts'
import { current, type Ddl, defineDdl, roleFrom, roleOf, update } from './context.ts'
import { forgetDefaults } from './default-acl.ts'
import type { ObjectAddress } from './depend.ts'
import { drop } from './drop.ts'
import { giveTo, owned } from './owner.ts'
import { changeType } from './types.ts'

export function registerOwned(): void {
  defineDdl('DropOwnedStmt', 'DROP OWNED', async (ddl, node) => {
    const roles = (node.roles ?? []).flatMap((each) => ('RoleSpec' in each ? [roleFrom(ddl, each.RoleSpec)] : []))
    for (const role of roles) requirePrivileges(ddl, role, 'drop objects')
    const targets: ObjectAddress[] = []
    for (const role of roles) {
      requireUnpinned(ddl, role, 'drop objects owned by')
      revokeAll(ddl, role)
      targets.push(...ownedBy(ddl, role))
    }
    if (targets.length > 0) await drop(ddl, targets, node.behavior === 'DROP_CASCADE')
    return 'DROP OWNED'
  })
  defineDdl('ReassignOwnedStmt', 'REASSIGN OWNED', (ddl, node) => {
    const roles = (node.roles ?? []).flatMap((each) => ('RoleSpec' in each ? [roleFrom(ddl, each.RoleSpec)] : []))
    for (const role of roles) requirePrivileges(ddl, role, 'reassign objects')
    const owner = roleFrom(ddl, node.newrole!)
    requirePrivileges(ddl, owner, 'reassign objects')
    for (const role of roles) {
      requireUnpinned(ddl, role, 'reassign ownership of objects owned by')
      reassign(ddl, role, owner)
    }
    return 'REASSIGN OWNED'
  })
}

function requirePrivileges(ddl: Ddl, role: Oid, what: string): void {
  const me = roleOf(ddl)
  if (ddl.editor.role(me)?.superuser !== true && !memberships(ddl.editor, me, true).has(role))
    throw sqlError('42501', `permission denied to ${what}`)
}

const BOOTSTRAP = 10
function requireUnpinned(ddl: Ddl, role: Oid, what: string): void {
  if (role !== BOOTSTRAP) return
  const name = `role ${ddl.editor.role(role)?.name}`
  throw sqlError('2BP01', `cannot ${what} ${name} because they are required by the database system`)
}

/** Objects of their own: indexes, sequences of columns, row types and array types go where theirs go. */
const standsAlone = {
  relation: (row: RelationRow) => row.kind !== 'i' && row.sequence?.ownedBy === undefined && row.kind !== 'c',
  type: (row: TypeRow, ddl: Ddl) =>
    !row.isArray && (row.kind !== 'c' || ddl.editor.relation(row.relation)?.kind === 'c'),
}

function ownedBy(ddl: Ddl, role: Oid): ObjectAddress[] {
  const { editor } = ddl
  const found: ObjectAddress[] = []
  const add = (classOid: Oid, object: Oid): void => {
    found.push({ classOid, object, sub: 0 })
  }
  for (const row of editor.ownAll('namespace')) if (row.owner === role) add(CLASS_OF.namespace, row.oid)
  for (const row of editor.ownAll('relation'))
    if (row.owner === role && standsAlone.relation(row)) add(CLASS.relation, row.oid)
  for (const row of editor.ownAll('type'))
    if (row.owner === role && standsAlone.type(row, ddl)) add(CLASS.type, row.oid)
  for (const row of editor.ownAll('function')) if (row.owner === role) add(CLASS.function, row.oid)
  return found
}

function reassign(ddl: Ddl, role: Oid, owner: Oid): void {
  const { editor } = ddl
  for (const row of [...editor.ownAll('namespace')]) if (row.owner === role) editor.put('namespace', owned(row, owner))
  for (const row of [...editor.ownAll('relation')])
    if (row.owner === role && standsAlone.relation(row)) giveTo(ddl, current(ddl, row.oid), owner)
  for (const row of [...editor.ownAll('type')]) {
    if (row.owner !== role || !standsAlone.type(row, ddl)) continue
    const relation = row.kind === 'c' ? editor.relation(row.relation) : undefined
    if (relation !== undefined) update(ddl, owned(relation, owner))
    changeType(ddl, row.oid, { owner })
  }
  for (const row of [...editor.ownAll('function')]) if (row.owner === role) editor.put('function', owned(row, owner))
  for (const row of [...editor.databases()]) if (row.owner === role) editor.put('database', owned(row, owner))
}

type Granted = RelationRow | TypeRow | FunctionRow | NamespaceRow | DatabaseRow

/** Takes away what the role was granted on anything here, and what it has granted on. */
function revokeAll(ddl: Ddl, role: Oid): void {
  const { editor } = ddl
  const without = <T extends { readonly acl?: readonly string[] }>(row: T): T => {
    if (row.acl === undefined) return row
    const acl = row.acl.filter((text) => {
      const item = parseAclItem(text)
      return item.grantee !== role && item.grantor !== role
    })
    return acl.length === row.acl.length ? row : { ...row, acl }
  }
  const cleared = (row: RelationRow): RelationRow => {
    const columns = row.columns.map((column): ColumnRow => {
      const { acl, ...rest } = without(column)
      return acl === undefined || acl.length === 0 ? rest : { ...rest, acl }
    })
    const changed = columns.some((column, i) => (column.acl ?? []).length !== (row.columns[i]!.acl ?? []).length)
    return changed ? { ...without(row), columns } : without(row)
  }
  const put = (kind: 'relation' | 'type' | 'function' | 'namespace' | 'database', rows: Iterable<Granted>): void => {
    for (const row of [...rows]) {
      // What is the role's own goes or stays with its owner.
      if (row.owner === role) continue
      const next = 'columns' in row ? cleared(row) : without(row)
      if (next !== row) editor.put(kind, next)
    }
  }
  put('relation', editor.ownAll('relation'))
  put('type', editor.ownAll('type'))
  put('function', editor.ownAll('function'))
  put('namespace', editor.ownAll('namespace'))
  forgetDefaults(editor, role)
  const database = editor.database(editor.databaseOid)
  if (database !== undefined) put('database', [database])
}
