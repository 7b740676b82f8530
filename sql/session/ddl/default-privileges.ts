/** ALTER DEFAULT PRIVILEGES: what objects that a role will make are granted (PostgreSQL 15 manual). */
import type { AlterDefaultPrivilegesStmt, GrantStmt } from '@pgsql/types'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { ACL_RIGHTS, defaultAcl, grantAcl, PRIVILEGE_NAMES, revokeAcl } from '../../catalog/acl.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { type Ddl, requireMember, requireRight, requireSchema, roleFrom, roleOf, stringNode } from './context.ts'
import { ANYWHERE, find, KINDS, same } from './default-acl.ts'

export function alterDefaultPrivileges(ddl: Ddl, node: AlterDefaultPrivilegesStmt): void {
  let roles: readonly Oid[] | undefined
  let schemas: readonly Oid[] | undefined
  for (const option of node.options ?? []) {
    if (!('DefElem' in option)) continue
    const { defname, arg } = option.DefElem
    const items = arg !== undefined && 'List' in arg ? (arg.List.items ?? []) : []
    if (defname === 'schemas') schemas = items.map((each) => requireSchema(ddl, stringNode(each)!).oid)
    else roles = items.flatMap((each) => ('RoleSpec' in each ? [roleFrom(ddl, each.RoleSpec)] : []))
  }
  const action = node.action!
  const kind = KINDS[action.objtype ?? '']
  if (kind === undefined) throw notSupported('these default privileges')
  if (kind.letter === 'n' && schemas !== undefined)
    throw sqlError('0LP01', 'cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS')
  for (const role of roles ?? [roleOf(ddl)]) {
    requireMember(ddl, role)
    for (const schema of schemas ?? [ANYWHERE]) {
      if (schema !== ANYWHERE && ddl.editor.role(role)?.superuser !== true) requireRight(ddl, 'namespace', schema, 'C')
      change(ddl, action, kind, role, schema)
    }
  }
}

function change(ddl: Ddl, node: GrantStmt, kind: (typeof KINDS)[string], role: Oid, namespace: Oid): void {
  const { editor } = ddl
  const grantees = (node.grantees ?? []).flatMap((each) =>
    'RoleSpec' in each ? [roleFrom(ddl, each.RoleSpec, true)] : [],
  )
  if (node.is_grant === true && node.grant_option === true && grantees.includes(oid(0)))
    throw sqlError('0LP01', 'grant options can only be granted to roles')
  const letters = lettersOf(node, kind)
  const known = find(editor, role, namespace, kind.letter)
  const builtIn = namespace === ANYWHERE ? defaultAcl(kind.kind, role) : []
  let acl: readonly string[] = known?.acl ?? builtIn
  for (const grantee of grantees) {
    acl =
      node.is_grant === true
        ? grantAcl(acl, grantee, role, letters, node.grant_option === true)
        : revokeAcl(acl, grantee, role, letters, node.grant_option === true)
  }
  if (same(acl, builtIn)) {
    if (known !== undefined) editor.remove('default-acl', known.oid)
    return
  }
  editor.put('default-acl', { oid: known?.oid ?? editor.nextOid(), role, namespace, objects: kind.letter, acl })
}

function lettersOf(node: GrantStmt, { kind, word }: (typeof KINDS)[string]): string {
  const { all } = ACL_RIGHTS[kind]
  if ((node.privileges?.length ?? 0) === 0) return all
  return (node.privileges ?? [])
    .map((each) => {
      const name = 'AccessPriv' in each ? each.AccessPriv.priv_name : undefined
      if ('AccessPriv' in each && (each.AccessPriv.cols?.length ?? 0) > 0)
        throw sqlError('0LP01', 'default privileges cannot be set for columns')
      if (name === undefined || name === '') return all
      const letter = Object.entries(PRIVILEGE_NAMES).find(([, full]) => full === name.toUpperCase())?.[0]
      if (letter === undefined) throw sqlError('42601', `unrecognized privilege type "${name}"`)
      if (!all.includes(letter))
        throw sqlError('0LP01', `invalid privilege type ${PRIVILEGE_NAMES[letter]} for ${word}`)
      return letter
    })
    .join('')
}
