/** GRANT and REVOKE of privileges on tables, columns, sequences, schemas, databases, types and functions. */
import type { GrantStmt, Node } from '@pgsql/types'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import {
  ACL_RIGHTS,
  type AclObject,
  aclAllows,
  defaultAcl,
  grantAcl,
  PRIVILEGE_NAMES,
  parseAclItem,
  revokeAcl,
} from '../../catalog/acl.ts'
import type { ColumnRow, DatabaseRow, FunctionRow, NamespaceRow, RelationRow, TypeRow } from '../../catalog/catalog.ts'
import { memberships } from '../../catalog/privileges.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { withColumn } from './alter-target.ts'
import {
  current,
  type Ddl,
  defineDdl,
  lockObject,
  lookUpRelation,
  noRelation,
  requireSchema,
  roleFrom,
  roleOf,
  stringNode,
  warning,
} from './context.ts'
import { alterDefaultPrivileges } from './default-privileges.ts'
import { findColumn } from './index-make.ts'
import { requireDatabase } from './roles.ts'
import { requireRoutine } from './routine-names.ts'
import { requireType } from './type-statements.ts'

/** Something with an acl: how to read and write it. */
interface Securable {
  readonly oid: Oid
  readonly kind: AclObject
  readonly name: string
  /** For messages: 'table', 'schema' … */
  readonly word: string
  /** For messages, where the name alone is not it. */
  readonly shown?: string
  readonly owner: Oid
  readonly acl: readonly string[] | undefined
  put(acl: readonly string[] | undefined): void
}

const LETTERS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(PRIVILEGE_NAMES).flatMap(([letter, name]) => [
    [name.toLowerCase(), letter],
    ...(name === 'TEMPORARY' ? [['temp', letter]] : []),
  ]),
)
const PLURAL: Partial<Record<AclObject, string>> = {
  relation: 'table',
  sequence: 'sequence',
  database: 'database',
  function: 'function',
  namespace: 'schema',
  type: 'type',
  column: 'column',
  language: 'language',
}

export function registerGrants(): void {
  defineDdl(
    'GrantStmt',
    (node) => (node.is_grant === true ? 'GRANT' : 'REVOKE'),
    async (ddl, node) => {
      await lockTargets(ddl, node)
      grant(ddl, node)
      return node.is_grant === true ? 'GRANT' : 'REVOKE'
    },
  )
  defineDdl('AlterDefaultPrivilegesStmt', 'ALTER DEFAULT PRIVILEGES', (ddl, node) => {
    alterDefaultPrivileges(ddl, node)
    return 'ALTER DEFAULT PRIVILEGES'
  })
}

/** Whoever changes privileges of the same things is waited for. */
async function lockTargets(ddl: Ddl, node: GrantStmt): Promise<void> {
  const names = targetsOf(ddl, node).map((target) => `privileges ${target.kind} ${target.oid}`)
  for (const name of [...new Set(names)].sort()) await lockObject(ddl, name, 'exclusive')
}

function grant(ddl: Ddl, node: GrantStmt): void {
  const grantees = (node.grantees ?? []).flatMap((each) =>
    'RoleSpec' in each ? [roleFrom(ddl, each.RoleSpec, true)] : [],
  )
  if (node.is_grant === true && node.grant_option === true && grantees.includes(oid(0)))
    throw sqlError('0LP01', 'grant options can only be granted to roles')
  if (node.grantor !== undefined && roleFrom(ddl, node.grantor) !== roleOf(ddl))
    throw sqlError('0A000', 'grantor must be current user')
  for (const target of targetsOf(ddl, node)) {
    const whole: string[] = []
    let all = (node.privileges?.length ?? 0) === 0
    for (const each of node.privileges ?? []) {
      if (!('AccessPriv' in each)) continue
      const { priv_name: name, cols } = each.AccessPriv
      if (cols !== undefined && cols.length > 0) {
        columns(ddl, node, target, name, cols, grantees)
        continue
      }
      if (name === undefined || name === '') all = true
      else whole.push(letterOf(name, target.kind))
    }
    if (!all && whole.length === 0) continue
    const letters = all ? ACL_RIGHTS[target.kind].all : whole.join('')
    change(ddl, node, target, letters, all, grantees)
    if (node.is_grant !== true && target.kind === 'relation') fromColumns(ddl, node, target, letters, grantees)
  }
}

/** REVOKE on a table takes the same rights on its columns away as well. */
function fromColumns(
  ddl: Ddl,
  node: GrantStmt,
  target: Securable & { relation?: Oid },
  letters: string,
  grantees: readonly Oid[],
): void {
  const wanted = [...letters].filter((letter) => ACL_RIGHTS.column.all.includes(letter)).join('')
  if (wanted === '' || target.relation === undefined) return
  for (const { number, acl } of current(ddl, target.relation).columns) {
    if (acl === undefined) continue
    const table = current(ddl, target.relation)
    change(ddl, node, columnTarget(ddl, table, table.columns[number - 1]!), wanted, true, grantees, target)
  }
}

function letterOf(name: string, kind: AclObject): string {
  const letter = LETTERS[name.toLowerCase()]
  if (letter === undefined) throw sqlError('42601', `unrecognized privilege type "${name}"`)
  const allowed = ACL_RIGHTS[kind].all
  // GRANT ... ON TABLE takes a sequence too, and then its rights.
  if (!allowed.includes(letter))
    throw sqlError('0LP01', `invalid privilege type ${PRIVILEGE_NAMES[letter]} for ${PLURAL[kind] ?? kind}`)
  return letter
}

function columns(
  ddl: Ddl,
  node: GrantStmt,
  target: Securable & { relation?: Oid },
  name: string | undefined,
  cols: readonly Node[],
  grantees: readonly Oid[],
): void {
  if (target.relation === undefined) throw sqlError('0LP01', 'column privileges are only valid for relations')
  const letters = name === undefined || name === '' ? ACL_RIGHTS.column.all : letterOf(name, 'column')
  for (const col of cols) {
    const table = current(ddl, target.relation)
    const columnName = stringNode(col)!
    const column = findColumn(table, columnName)
    if (column === undefined)
      throw sqlError('42703', `column "${columnName}" of relation "${table.name}" does not exist`)
    change(ddl, node, columnTarget(ddl, table, column), letters, name === undefined || name === '', grantees, target)
  }
}

const columnTarget = (ddl: Ddl, table: RelationRow, column: ColumnRow): Securable => ({
  oid: table.oid,
  kind: 'column',
  name: table.name,
  word: 'column',
  shown: `"${column.name}" of relation "${table.name}"`,
  owner: table.owner,
  acl: column.acl ?? [],
  put(acl) {
    const { acl: _, ...rest } = column
    ddl.editor.put(
      'relation',
      withColumn(current(ddl, table.oid), acl === undefined || acl.length === 0 ? rest : { ...rest, acl }),
    )
  },
})

function change(
  ddl: Ddl,
  node: GrantStmt,
  target: Securable,
  letters: string,
  all: boolean,
  grantees: readonly Oid[],
  whole?: Securable,
): void {
  let acl = target.acl ?? defaultAcl(target.kind, target.owner)
  const { grantor, options } = selectGrantor(ddl, target, acl, whole)
  const usable = [...letters].filter((letter) => options.includes(letter)).join('')
  if (options === '') {
    const roles = memberships(ddl.editor, roleOf(ddl), true)
    if (![...ACL_RIGHTS[target.kind].all].some((letter) => aclAllows(acl, roles, letter)))
      throw sqlError('42501', `permission denied for ${target.word} ${target.shown ?? target.name}`)
  }
  if (usable.length < letters.length && (usable === '' || !all)) {
    const verb = node.is_grant === true ? 'granted' : 'revoked'
    const code = node.is_grant === true ? '01007' : '01006'
    if (usable === '')
      warning(
        ddl,
        code,
        `no privileges ${node.is_grant === true ? 'were granted' : 'could be revoked'} for "${target.name}"`,
      )
    else
      warning(
        ddl,
        code,
        `not all privileges ${node.is_grant === true ? `were ${verb}` : `could be ${verb}`} for "${target.name}"`,
      )
  }
  if (usable === '') return
  const before = acl
  for (const grantee of grantees) {
    if (node.is_grant === true) acl = grantAcl(acl, grantee, grantor, usable, node.grant_option === true)
    else acl = revoke(ddl, acl, grantee, grantor, usable, node.grant_option === true, node.behavior === 'DROP_CASCADE')
  }
  if (acl === before && target.acl !== undefined) return
  target.put(acl)
}

/** REVOKE: what the grantee has granted on with a right it no longer may goes too, or nothing goes. */
function revoke(
  ddl: Ddl,
  acl: readonly string[],
  grantee: Oid,
  grantor: Oid,
  letters: string,
  optionOnly: boolean,
  cascade: boolean,
): string[] {
  const could = new Set(
    [...letters].filter((letter) =>
      acl.map(parseAclItem).some((item) => item.grantee === grantee && item.grantable.includes(letter)),
    ),
  )
  let out = revokeAcl(acl, grantee, grantor, letters, optionOnly)
  if (grantee === 0) return out
  for (const letter of could) {
    if (out.map(parseAclItem).some((item) => item.grantee === grantee && item.grantable.includes(letter))) continue
    for (const dependent of out
      .map(parseAclItem)
      .filter((item) => item.grantor === grantee && item.grantee !== grantee && item.privileges.includes(letter))) {
      if (!cascade) throw sqlError('2BP01', 'dependent privileges exist', { hint: 'Use CASCADE to revoke them too.' })
      out = revoke(ddl, out, dependent.grantee, grantee, letter, false, true)
    }
  }
  return out
}

/** PostgreSQL's select_best_grantor: the owner's rights for who has them, else the role that may grant most. */
function selectGrantor(
  ddl: Ddl,
  target: Securable,
  acl: readonly string[],
  whole: Securable | undefined,
): { readonly grantor: Oid; readonly options: string } {
  const { editor } = ddl
  const me = roleOf(ddl)
  const roles = memberships(editor, me, true)
  const all = ACL_RIGHTS[target.kind].all
  if (editor.role(me)?.superuser === true || roles.has(target.owner)) return { grantor: target.owner, options: all }
  let best = { grantor: me, options: '' }
  const lists = whole === undefined ? [acl] : [acl, whole.acl ?? defaultAcl(whole.kind, whole.owner)]
  for (const role of roles) {
    const options = [...all]
      .filter((letter) => lists.some((list) => aclAllows(list, new Set([role]), letter, true)))
      .join('')
    if (options.length > best.options.length) best = { grantor: role, options }
  }
  return best
}

// ── Targets ────────────────────────────────────────────────────────────────────────────────────────────────────

function targetsOf(ddl: Ddl, node: GrantStmt): (Securable & { relation?: Oid })[] {
  const { editor } = ddl
  const type = node.objtype!
  if (node.targtype === 'ACL_TARGET_ALL_IN_SCHEMA') {
    const namespaces = (node.objects ?? []).map((each) => requireSchema(ddl, stringNode(each)!))
    return namespaces.flatMap((namespace) => {
      if (type === 'OBJECT_FUNCTION' || type === 'OBJECT_PROCEDURE' || type === 'OBJECT_ROUTINE')
        return [...editor.ownAll('function')]
          .filter((row) => row.namespace === namespace.oid)
          .map((row) => functionTarget(ddl, row))
      const kinds = type === 'OBJECT_SEQUENCE' ? ['S'] : ['r', 'v', 'm', 'p']
      return [...editor.ownAll('relation')]
        .filter((row) => row.namespace === namespace.oid && kinds.includes(row.kind))
        .map((row) => relationTarget(ddl, row))
    })
  }
  if (node.targtype === 'ACL_TARGET_DEFAULTS') throw notSupported('ALTER DEFAULT PRIVILEGES')
  return (node.objects ?? []).map((each) => {
    switch (type) {
      case 'OBJECT_TABLE':
      case 'OBJECT_SEQUENCE': {
        if (!('RangeVar' in each)) throw notSupported('this GRANT')
        const row = lookUpRelation(ddl, each.RangeVar)
        if (row === undefined) throw noRelation(each.RangeVar)
        if (row.kind === 'i') throw sqlError('42809', `"${row.name}" is an index`)
        if (row.kind === 'c') throw sqlError('42809', `"${row.name}" is a composite type`)
        if (type === 'OBJECT_SEQUENCE' && row.kind !== 'S') throw sqlError('42809', `"${row.name}" is not a sequence`)
        return relationTarget(ddl, row)
      }
      case 'OBJECT_SCHEMA':
        return namespaceTarget(ddl, requireSchema(ddl, stringNode(each)!))
      case 'OBJECT_DATABASE':
        return databaseTarget(ddl, requireDatabase(ddl, stringNode(each)!))
      case 'OBJECT_TYPE':
      case 'OBJECT_DOMAIN':
        return typeTarget(ddl, requireType(ddl, 'List' in each ? each.List.items : []))
      case 'OBJECT_FUNCTION':
      case 'OBJECT_PROCEDURE':
      case 'OBJECT_ROUTINE': {
        if (!('ObjectWithArgs' in each)) throw notSupported('this GRANT')
        const row = requireRoutine(ddl, type, each.ObjectWithArgs)
        return functionTarget(ddl, row)
      }
      default:
        throw notSupported(`GRANT ON ${type.replace('OBJECT_', '').replaceAll('_', ' ')}`)
    }
  })
}

function relationTarget(ddl: Ddl, row: RelationRow): Securable & { relation: Oid } {
  if (row.oid < 16384) throw notSupported('GRANT on system catalogs')
  return {
    oid: row.oid,
    kind: row.kind === 'S' ? 'sequence' : 'relation',
    name: row.name,
    word: { S: 'sequence', v: 'view' }[row.kind as string] ?? 'table',
    owner: row.owner,
    acl: row.acl,
    relation: row.oid,
    put(acl) {
      const { acl: _, ...rest } = current(ddl, row.oid)
      ddl.editor.put('relation', acl === undefined ? rest : { ...rest, acl })
    },
  }
}

type Kinds = { namespace: NamespaceRow; database: DatabaseRow; type: TypeRow; function: FunctionRow }
const simple =
  <K extends keyof Kinds>(kind: K, word: string) =>
  (ddl: Ddl, row: Kinds[K]): Securable => ({
    oid: row.oid,
    kind,
    name: row.name,
    word,
    owner: row.owner,
    acl: row.acl,
    put(acl) {
      const { acl: _, ...rest } = row
      ddl.editor.put(kind, { ...rest, ...(acl === undefined ? {} : { acl }) } as Kinds[K])
    },
  })
const namespaceTarget = simple('namespace', 'schema')
const databaseTarget = simple('database', 'database')
const typeTarget = simple('type', 'type')
const functionTarget = simple('function', 'function')
