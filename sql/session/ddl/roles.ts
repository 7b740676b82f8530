/** Roles: CREATE, ALTER, DROP, membership, settings. Passwords are kept as verifiers only. */
import type { Node, VariableSetStmt } from '@pgsql/types'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import type { RoleRow } from '../../catalog/catalog.ts'
import { CLASS } from '../../catalog/classes.ts'
import { memberships } from '../../catalog/privileges.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { OID } from '../../types/oids.ts'
import { listText } from '../control.ts'
import { isMd5Verifier, makeMd5Verifier, makeScramVerifier, parseScramVerifier } from '../scram-verifier.ts'
import { type Ddl, defineDdl, describe, lockName, notice, requireRole, roleFrom, roleOf, warning } from './context.ts'

const FLAGS = {
  superuser: 'superuser',
  inherit: 'inherit',
  createrole: 'createRole',
  createdb: 'createDatabase',
  canlogin: 'canLogin',
  isreplication: 'replication',
  bypassrls: 'bypassRls',
} as const

const me = (ddl: Ddl): RoleRow => ddl.editor.role(roleOf(ddl))!

function truth(arg: Node | undefined): boolean {
  if (arg === undefined) return true
  if ('Boolean' in arg) return arg.Boolean.boolval === true
  if ('Integer' in arg) return (arg.Integer.ival ?? 0) !== 0
  return true
}

interface RoleOptions {
  readonly change: Partial<RoleRow>
  readonly clearPassword: boolean
  readonly memberOf: readonly Oid[]
  readonly members: readonly Oid[]
  readonly admins: readonly Oid[]
  readonly names: ReadonlySet<string>
}

function roleOptions(ddl: Ddl, nodes: readonly Node[] | undefined, name: string): RoleOptions {
  const change: { -readonly [K in keyof RoleRow]?: RoleRow[K] } = {}
  let clearPassword = false
  const lists = { addroleto: [] as Oid[], rolemembers: [] as Oid[], adminmembers: [] as Oid[] }
  const names = new Set<string>()
  for (const node of nodes ?? []) {
    if (!('DefElem' in node)) continue
    const { defname, arg } = node.DefElem
    const key = defname!
    if (names.has(key)) throw sqlError('42601', 'conflicting or redundant options')
    names.add(key)
    if (key in FLAGS) change[FLAGS[key as keyof typeof FLAGS]] = truth(arg)
    else if (key === 'password') {
      const text = arg !== undefined && 'String' in arg ? (arg.String.sval ?? '') : undefined
      if (text === '') notice(ddl, 'empty string is not a valid password, clearing password')
      if (text === undefined || text === '') clearPassword = true
      else change.password = verifier(ddl, text, name)
    } else if (key === 'connectionlimit') {
      const limit = arg !== undefined && 'Integer' in arg ? (arg.Integer.ival ?? 0) : 0
      if (limit < -1) throw sqlError('22023', `invalid connection limit: ${limit}`)
      change.connectionLimit = limit
    } else if (key === 'validUntil') {
      const text = arg !== undefined && 'String' in arg ? (arg.String.sval ?? '') : ''
      change.validUntil = isoText(ddl, text)
    } else if (key === 'addroleto' || key === 'rolemembers' || key === 'adminmembers') {
      const items = arg !== undefined && 'List' in arg ? (arg.List.items ?? []) : []
      lists[key] = items.map((item) => ('RoleSpec' in item ? roleFrom(ddl, item.RoleSpec) : oid(0)))
    } else if (key === 'sysid') notice(ddl, 'SYSID can no longer be specified')
    else throw sqlError('42601', `unrecognized role option "${key}"`)
  }
  return {
    change,
    clearPassword,
    memberOf: lists.addroleto,
    members: lists.rolemembers,
    admins: lists.adminmembers,
    names,
  }
}

function verifier(ddl: Ddl, password: string, name: string): string {
  if (parseScramVerifier(password) !== undefined || isMd5Verifier(password)) return password
  return ddl.session.settings.get('password_encryption') === 'md5'
    ? makeMd5Verifier(password, name)
    : makeScramVerifier(password)
}

/** VALID UNTIL as ISO text in UTC, or 'infinity'. */
function isoText(ddl: Ddl, text: string): string {
  const value = ddl.editor.type(OID.timestamptz).input(text, -1, ddl.session.context)
  if (value === Number.POSITIVE_INFINITY) return 'infinity'
  return new Date(Number(value) / 1000 + Date.UTC(2000, 0, 1)).toISOString()
}

function mayAlter(ddl: Ddl, role: RoleRow, change: Partial<RoleRow>): void {
  const self = me(ddl)
  if (self.superuser) return
  if (role.superuser || change.superuser !== undefined)
    throw sqlError('42501', 'must be superuser to alter superuser roles or change superuser attribute')
  if (role.replication || change.replication !== undefined)
    throw sqlError('42501', 'must be superuser to alter replication roles or change replication attribute')
  if (change.bypassRls !== undefined) throw sqlError('42501', 'must be superuser to change bypassrls attribute')
  if (!self.createRole) throw sqlError('42501', 'permission denied')
}

function reserved(name: string): void {
  if (name.startsWith('pg_'))
    throw sqlError('42939', `role name "${name}" is reserved`, {
      detail: 'Role names starting with "pg_" are reserved.',
    })
  if (name === 'public' || name === 'none') throw sqlError('42939', `role name "${name}" is reserved`)
}

export function registerRoles(): void {
  defineDdl('CreateRoleStmt', 'CREATE ROLE', async (ddl, node) => {
    const name = node.role!
    const options = roleOptions(ddl, node.options, name)
    const { change } = options
    const self = me(ddl)
    if (change.superuser === true && !self.superuser) throw sqlError('42501', 'must be superuser to create superusers')
    if (change.replication === true && !self.superuser)
      throw sqlError('42501', 'must be superuser to create replication users')
    if (change.bypassRls === true && !self.superuser)
      throw sqlError('42501', 'must be superuser to create bypassrls users')
    if (!self.createRole && !self.superuser) throw sqlError('42501', 'permission denied to create role')
    reserved(name)
    await lockName(ddl, 'role', { name })
    if (ddl.editor.roleByName(name) !== undefined) throw sqlError('42710', `role "${name}" already exists`)
    const grantor = roleOf(ddl)
    const row: RoleRow = {
      oid: ddl.editor.nextOid(),
      name,
      superuser: false,
      inherit: true,
      createRole: false,
      createDatabase: false,
      canLogin: node.stmt_type === 'ROLESTMT_USER',
      replication: false,
      bypassRls: false,
      connectionLimit: -1,
      memberOf: [],
      ...change,
    }
    ddl.editor.put('role', row)
    for (const group of options.memberOf) addMember(ddl, group, row.oid, false, grantor)
    for (const member of options.members) addMember(ddl, row.oid, member, false, grantor)
    for (const member of options.admins) addMember(ddl, row.oid, member, true, grantor)
    return 'CREATE ROLE'
  })

  defineDdl('AlterRoleStmt', 'ALTER ROLE', (ddl, node) => {
    const role = ddl.editor.role(roleFrom(ddl, node.role!))!
    const options = roleOptions(ddl, node.options, role.name)
    const { change } = options
    const onlyPassword = [...options.names].every((each) => each === 'password') && role.oid === roleOf(ddl)
    if (!onlyPassword) mayAlter(ddl, role, change)
    const { password, ...rest } = role
    const kept = options.clearPassword ? rest : { ...rest, ...(password === undefined ? {} : { password }) }
    ddl.editor.put('role', { ...kept, ...change })
    for (const member of options.members) {
      if (node.action === -1) removeMember(ddl, role.oid, member, false)
      else addMember(ddl, role.oid, member, false, roleOf(ddl))
    }
    return 'ALTER ROLE'
  })

  defineDdl('DropRoleStmt', 'DROP ROLE', async (ddl, node) => {
    const self = me(ddl)
    if (!self.superuser && !self.createRole) throw sqlError('42501', 'permission denied to drop role')
    for (const each of node.roles ?? []) {
      if (!('RoleSpec' in each)) continue
      const spec = each.RoleSpec
      if (spec.roletype !== undefined && spec.roletype !== 'ROLESPEC_CSTRING')
        throw sqlError('42602', 'cannot use special role specifier in DROP ROLE')
      const row = ddl.editor.roleByName(spec.rolename!)
      if (row === undefined) {
        const message = `role "${spec.rolename}" does not exist`
        if (node.missing_ok !== true) throw sqlError('42704', message)
        notice(ddl, `${message}, skipping`)
        continue
      }
      if (row.oid === ddl.session.userOid) throw sqlError('55006', 'current user cannot be dropped')
      if (row.oid === ddl.session.sessionUser) throw sqlError('55006', 'session user cannot be dropped')
      if (row.superuser && !self.superuser) throw sqlError('42501', 'must be superuser to drop superusers')
      if (row.oid < 16384)
        throw sqlError('2BP01', `cannot drop role ${row.name} because it is required by the database system`)
      const uses = roleUses(ddl, row.oid)
      if (uses.length > 0)
        throw sqlError('2BP01', `role "${row.name}" cannot be dropped because some objects depend on it`, {
          detail: uses.join('\n'),
        })
      for (const other of [...ddl.editor.roles()]) {
        if (other.memberOf.some((each) => each.role === row.oid))
          ddl.editor.put('role', { ...other, memberOf: other.memberOf.filter((each) => each.role !== row.oid) })
      }
      ddl.editor.remove('role', row.oid)
    }
    return 'DROP ROLE'
  })

  defineDdl(
    'GrantRoleStmt',
    (node) => (node.is_grant === true ? 'GRANT ROLE' : 'REVOKE ROLE'),
    (ddl, node) => {
      const grantor = node.grantor === undefined ? roleOf(ddl) : roleFrom(ddl, node.grantor)
      let admin: boolean | undefined
      for (const option of node.opt ?? []) {
        if (!('DefElem' in option)) continue
        if (option.DefElem.defname !== 'admin') throw notSupported(`the ${option.DefElem.defname} option of GRANT`)
        admin = truth(option.DefElem.arg)
      }
      const members = (node.grantee_roles ?? []).flatMap((each) =>
        'RoleSpec' in each ? [roleFrom(ddl, each.RoleSpec)] : [],
      )
      for (const granted of node.granted_roles ?? []) {
        if (!('AccessPriv' in granted)) continue
        if ((granted.AccessPriv.cols?.length ?? 0) > 0)
          throw sqlError('0LP01', 'column names cannot be included in GRANT/REVOKE ROLE')
        const role = requireRole(ddl, granted.AccessPriv.priv_name!)
        requireAdmin(ddl, role)
        for (const member of members) {
          if (node.is_grant === true) addMember(ddl, role.oid, member, admin === true, grantor)
          else removeMember(ddl, role.oid, member, admin !== undefined)
        }
      }
      return node.is_grant === true ? 'GRANT ROLE' : 'REVOKE ROLE'
    },
  )

  defineDdl('AlterRoleSetStmt', 'ALTER ROLE', (ddl, node) => {
    const self = me(ddl)
    const scope =
      node.database === undefined || node.database === '' ? '0' : String(requireDatabase(ddl, node.database).oid)
    if (node.role === undefined) throw notSupported('ALTER ROLE ALL SET')
    const role = ddl.editor.role(roleFrom(ddl, node.role))!
    if (role.superuser ? !self.superuser : !self.superuser && !self.createRole && role.oid !== self.oid)
      throw sqlError('42501', role.superuser ? 'must be superuser to alter superusers' : 'permission denied')
    const settings = changeSettings(ddl, role.settings?.[scope] ?? [], node.setstmt!)
    const { settings: before, ...rest } = role
    const all = { ...before, [scope]: settings }
    if (settings.length === 0) delete (all as Record<string, unknown>)[scope]
    ddl.editor.put('role', Object.keys(all).length === 0 ? rest : { ...rest, settings: all })
    return 'ALTER ROLE'
  })
}

export function requireDatabase(ddl: Ddl, name: string) {
  const row = ddl.editor.databaseByName(name)
  if (row === undefined) throw sqlError('3D000', `database "${name}" does not exist`)
  return row
}

/** A list of name=value after SET or RESET. */
export function changeSettings(ddl: Ddl, before: readonly string[], node: VariableSetStmt): string[] {
  if (node.kind === 'VAR_RESET_ALL') return []
  const name = node.name!.toLowerCase()
  const others = before.filter((each) => each.slice(0, each.indexOf('=')).toLowerCase() !== name)
  if (node.kind === 'VAR_RESET' || node.kind === 'VAR_SET_DEFAULT') return others
  const value = node.kind === 'VAR_SET_CURRENT' ? ddl.session.settings.get(name) : listText(name, node.args ?? [])
  // What SET would refuse is refused here: it is set and taken back.
  const mark = ddl.session.settings.mark()
  ddl.session.settings.set(name, value, true, ddl.session.isSuperuser)
  ddl.session.settings.undoTo(mark)
  return [...others, `${node.name}=${value}`]
}
function requireAdmin(ddl: Ddl, role: RoleRow): void {
  const self = me(ddl)
  if (self.superuser) return
  if (role.superuser) throw sqlError('42501', 'must be superuser to alter superusers')
  if (self.createRole) return
  const mine = memberships(ddl.editor, self.oid, false)
  for (const each of mine)
    if (ddl.editor.role(each)?.memberOf.some((one) => one.role === role.oid && one.admin) === true) return
  throw sqlError('42501', `must have admin option on role "${role.name}"`)
}

function addMember(ddl: Ddl, group: Oid, member: Oid, admin: boolean, grantor: Oid): void {
  const row = ddl.editor.role(member)!
  const groupName = ddl.editor.role(group)!.name
  if (group === member || memberships(ddl.editor, group, false).has(member)) {
    throw sqlError('0LP01', `role "${groupName}" is a member of role "${row.name}"`)
  }
  const known = row.memberOf.find((each) => each.role === group)
  if (known !== undefined && (known.admin || !admin)) {
    notice(ddl, `role "${row.name}" is already a member of role "${groupName}"`, '00000')
    return
  }
  ddl.editor.put('role', {
    ...row,
    memberOf: [...row.memberOf.filter((each) => each.role !== group), { role: group, admin, grantor }],
  })
}

function removeMember(ddl: Ddl, group: Oid, member: Oid, adminOnly: boolean): void {
  const row = ddl.editor.role(member)!
  const known = row.memberOf.find((each) => each.role === group)
  if (known === undefined) {
    warning(ddl, '01000', `role "${row.name}" is not a member of role "${ddl.editor.role(group)!.name}"`)
    return
  }
  const rest = row.memberOf.filter((each) => each.role !== group)
  ddl.editor.put('role', { ...row, memberOf: adminOnly ? [...rest, { ...known, admin: false }] : rest })
}

/** 'owner of table t', 'privileges for schema s': of this database; for others how many there are. */
const DEFAULT_WORDS = { r: 'relations', S: 'sequences', f: 'functions', T: 'types', n: 'schemas' } as const

function roleUses(ddl: Ddl, role: Oid): string[] {
  const out: string[] = []
  const has = (acl: readonly string[] | undefined): boolean =>
    (acl ?? []).some((item) => item.startsWith(`${role}=`) || item.endsWith(`/${role}`))
  for (const row of ddl.editor.databases()) {
    if (row.owner === role) out.push(`owner of database ${row.name}`)
    else if (has(row.acl)) out.push(`privileges for database ${row.name}`)
  }
  const kinds = [
    ['namespace', CLASS.namespace],
    ['relation', CLASS.relation],
    ['type', CLASS.type],
    ['function', CLASS.function],
  ] as const
  for (const [kind, classOid] of kinds) {
    for (const row of ddl.editor.ownAll(kind)) {
      if (kind === 'relation' && 'index' in row) continue
      if (kind === 'type' && 'relation' in row && (row.isArray || row.relation !== 0)) continue
      if (row.owner === role) out.push(`owner of ${describe(ddl, classOid, row.oid)}`)
      else if (has(row.acl)) out.push(`privileges for ${describe(ddl, classOid, row.oid)}`)
      if (kind === 'relation' && 'columns' in row) {
        for (const column of row.columns)
          if (has(column.acl)) out.push(`privileges for ${describe(ddl, classOid, row.oid, column.number)}`)
      }
    }
  }
  for (const row of ddl.editor.ownAll('default-acl')) {
    const where = row.namespace === 0 ? '' : ` in schema ${ddl.editor.namespace(row.namespace)?.name}`
    const what = `default privileges on new ${DEFAULT_WORDS[row.objects]} belonging to role ${ddl.editor.role(row.role)?.name}${where}`
    if (row.role === role) out.push(`owner of ${what}`)
    else if (has(row.acl)) out.push(`privileges for ${what}`)
  }
  for (const database of ddl.editor.databases()) {
    if (database.oid === ddl.editor.databaseOid) continue
    const other = ddl.session.server.catalogs.catalog(database.oid)
    let count = 0
    for (const [kind] of kinds) for (const row of other.ownAll(kind)) if (row.owner === role || has(row.acl)) count++
    if (count > 0) out.push(`${count} object${count === 1 ? '' : 's'} in database ${database.name}`)
  }
  return out
}
