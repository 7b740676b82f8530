/**
 * has_table_privilege and its many kin, pg_has_role, and functions over acls. The variants differ in how the role is
 * given (not at all, by name, by oid) and how the object is (by name, by oid): prosrc says both.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { sqlError } from '../types/error.ts'
import { type FunctionBody, type FunctionTable, set } from '../types/function.ts'
import { OID } from '../types/oids.ts'
import { ArrayValue, RecordValue, type Value } from '../types/value.ts'
import {
  ACL_LETTERS,
  type AclObject,
  aclFromText,
  defaultAcl,
  PRIVILEGE_NAMES,
  parseAclItem,
  printAclItem,
} from './acl.ts'
import { type CatalogCallContext, contextOf, fromCatalog } from './call-context.ts'
import type { ColumnRow } from './catalog.ts'
import { nameLookup } from './lookup.ts'
import { allows, columnAllows, isSuperuser, memberships, type Securable, securable } from './privileges.ts'
import { dataTable, fields } from './tsv.ts'
import { aclItemText } from './virtual-source.ts'

const PUBLIC = oid(0)

/** Throws 42704. Name 'public' is every role. */
function roleNamed(c: CatalogCallContext, name: string): Oid {
  if (name === 'public') return PUBLIC
  const row = c.catalog.roleByName(name)
  if (row === undefined) throw sqlError('42704', `role "${name}" does not exist`)
  return row.oid
}

interface Asked {
  readonly letter: string
  readonly grantOption: boolean
}

/** 'SELECT, UPDATE WITH GRANT OPTION' to letters. Throws 22023. */
function privilegesOf(text: string, letters: string): Asked[] {
  return text.split(',').map((part) => {
    const name = part.trim().toUpperCase()
    const grantOption = name.endsWith(' WITH GRANT OPTION')
    const plain = grantOption ? name.slice(0, -' WITH GRANT OPTION'.length).trim() : name
    const wanted = plain === 'TEMP' ? 'TEMPORARY' : plain
    const letter = [...letters].find((each) => PRIVILEGE_NAMES[each] === wanted)
    if (letter === undefined) throw sqlError('22023', `unrecognized privilege type: "${part.trim()}"`)
    return { letter, grantOption }
  })
}

interface PrivilegeKind {
  readonly object: AclObject
  readonly letters: string
  readonly find: (c: CatalogCallContext, name: string) => Oid
}

const inData =
  (table: string, what: string) =>
  (_: CatalogCallContext, name: string): Oid => {
    const line = dataTable(table)
      .lines.map(fields)
      .find((row) => row[1] === name)
    if (line === undefined) throw sqlError('42704', `${what} "${name}" does not exist`)
    return oid(Number(line[0]))
  }
const noSuch =
  (what: string) =>
  (_: CatalogCallContext, name: string): Oid => {
    throw sqlError('42704', `${what} "${name}" does not exist`)
  }

const KINDS: Readonly<Record<string, PrivilegeKind>> = {
  table: { object: 'relation', letters: 'arwdDxt', find: (c, name) => nameLookup(c).findRelation(name) },
  sequence: { object: 'sequence', letters: 'Urw', find: (c, name) => nameLookup(c).findRelation(name) },
  database: {
    object: 'database',
    letters: 'CTc',
    find: (c, name) => {
      const row = c.catalog.databaseByName(name)
      if (row === undefined) throw sqlError('3D000', `database "${name}" does not exist`)
      return row.oid
    },
  },
  schema: { object: 'namespace', letters: 'CU', find: (c, name) => nameLookup(c).findNamespace(name) },
  function: { object: 'function', letters: 'X', find: (c, name) => nameLookup(c).findFunction(name, true) },
  type: { object: 'type', letters: 'U', find: (c, name) => nameLookup(c).findType(name).oid },
  language: { object: 'language', letters: 'U', find: inData('pg_language', 'language') },
  tablespace: { object: 'tablespace', letters: 'C', find: inData('pg_tablespace', 'tablespace') },
  foreign_data_wrapper: { object: 'foreign-data-wrapper', letters: 'U', find: noSuch('foreign-data wrapper') },
  server: { object: 'foreign-server', letters: 'U', find: noSuch('server') },
}

/** PUBLIC has what is granted to everyone, and no memberships. */
function mayUse(c: CatalogCallContext, role: Oid, object: Securable, asked: readonly Asked[]): boolean {
  return asked.some(({ letter, grantOption }) => allows(c.catalog, role, object, letter, grantOption))
}

function hasPrivilege(c: CatalogCallContext, kind: PrivilegeKind, role: Oid, object: Oid, privilege: string): Value {
  const asked = privilegesOf(privilege, kind.letters)
  const target = securable(c.catalog, kind.object, object)
  if (target === undefined) return kind.object === 'language' || kind.object === 'tablespace' ? true : null
  if (kind.object === 'sequence' && c.catalog.relation(object)?.kind !== 'S') {
    throw sqlError('42809', `"${c.catalog.relation(object)?.name}" is not a sequence`)
  }
  return mayUse(c, role, target, asked)
}

function objectFunctions(): Record<string, FunctionBody> {
  const out: Record<string, FunctionBody> = {}
  for (const [word, kind] of Object.entries(KINDS)) {
    const base = `has_${word}_privilege`
    out[`${base}_name`] = fromCatalog((c, object: string, p: string) =>
      hasPrivilege(c, kind, c.userOid, kind.find(c, object), p),
    )
    out[`${base}_id`] = fromCatalog((c, object: number, p: string) => hasPrivilege(c, kind, c.userOid, oid(object), p))
    out[`${base}_name_name`] = fromCatalog((c, role: string, object: string, p: string) =>
      hasPrivilege(c, kind, roleNamed(c, role), kind.find(c, object), p),
    )
    out[`${base}_name_id`] = fromCatalog((c, role: string, object: number, p: string) =>
      hasPrivilege(c, kind, roleNamed(c, role), oid(object), p),
    )
    out[`${base}_id_name`] = fromCatalog((c, role: number, object: string, p: string) =>
      hasPrivilege(c, kind, oid(role), kind.find(c, object), p),
    )
    out[`${base}_id_id`] = fromCatalog((c, role: number, object: number, p: string) =>
      hasPrivilege(c, kind, oid(role), oid(object), p),
    )
  }
  return out
}

const COLUMN_LETTERS = 'arwx'
type ColumnOf = (c: CatalogCallContext, table: Oid) => ColumnRow | undefined

function columnNamed(name: string): ColumnOf {
  return (c, table) => {
    const row = c.catalog.relation(table)
    const column = row?.columns.find((each) => each.name === name && !each.dropped)
    if (row !== undefined && column === undefined)
      throw sqlError('42703', `column "${name}" of relation "${row.name}" does not exist`)
    return column
  }
}
const columnNumbered =
  (number: number): ColumnOf =>
  (c, table) => {
    const column = c.catalog.relation(table)?.columns[number - 1]
    return column?.dropped === true ? undefined : column
  }

function hasColumnPrivilege(c: CatalogCallContext, role: Oid, table: Oid, find: ColumnOf, privilege: string): Value {
  const asked = privilegesOf(privilege, COLUMN_LETTERS)
  const target = securable(c.catalog, 'relation', table)
  const column = find(c, table)
  if (target === undefined || column === undefined) return null
  return asked.some(({ letter, grantOption }) => columnAllows(c.catalog, role, target, column, letter, grantOption))
}

function hasAnyColumnPrivilege(c: CatalogCallContext, role: Oid, table: Oid, privilege: string): Value {
  const asked = privilegesOf(privilege, COLUMN_LETTERS)
  const target = securable(c.catalog, 'relation', table)
  if (target === undefined) return null
  if (mayUse(c, role, target, asked)) return true
  const columns = c.catalog.relation(table)?.columns ?? []
  return columns.some(
    (column) =>
      !column.dropped &&
      asked.some(({ letter, grantOption }) => columnAllows(c.catalog, role, target, column, letter, grantOption)),
  )
}

/** Each way to give the role, the table and the column. */
function columnFunctions(): Record<string, FunctionBody> {
  const out: Record<string, FunctionBody> = {}
  const tables = {
    name: (c: CatalogCallContext, table: Value) => nameLookup(c).findRelation(table as string),
    id: (_: CatalogCallContext, table: Value) => oid(table as number),
  }
  const columns = {
    name: (column: Value) => columnNamed(column as string),
    attnum: (column: Value) => columnNumbered(column as number),
  }
  const roles = {
    name: (c: CatalogCallContext, role: Value) => roleNamed(c, role as string),
    id: (_: CatalogCallContext, role: Value) => oid(role as number),
  }
  for (const [tableWay, table] of Object.entries(tables)) {
    out[`has_any_column_privilege_${tableWay}`] = fromCatalog((c, t: Value, p: string) =>
      hasAnyColumnPrivilege(c, c.userOid, table(c, t), p),
    )
    for (const [roleWay, role] of Object.entries(roles)) {
      out[`has_any_column_privilege_${roleWay}_${tableWay}`] = fromCatalog((c, r: Value, t: Value, p: string) =>
        hasAnyColumnPrivilege(c, role(c, r), table(c, t), p),
      )
    }
    for (const [columnWay, column] of Object.entries(columns)) {
      out[`has_column_privilege_${tableWay}_${columnWay}`] = fromCatalog((c, t: Value, n: Value, p: string) =>
        hasColumnPrivilege(c, c.userOid, table(c, t), column(n), p),
      )
      for (const [roleWay, role] of Object.entries(roles)) {
        out[`has_column_privilege_${roleWay}_${tableWay}_${columnWay}`] = fromCatalog(
          (c, r: Value, t: Value, n: Value, p: string) => hasColumnPrivilege(c, role(c, r), table(c, t), column(n), p),
        )
      }
    }
  }
  return out
}

/** MEMBER: may SET ROLE; USAGE: has the privileges at once. */
function hasRole(c: CatalogCallContext, member: Oid, role: Oid, privilege: string): boolean {
  return privilege.split(',').some((part) => {
    const word = part.trim().toUpperCase()
    const admin = /^(USAGE|MEMBER) WITH (ADMIN|GRANT) OPTION$/.test(word)
    if (!admin && word !== 'USAGE' && word !== 'MEMBER')
      throw sqlError('22023', `unrecognized privilege type: "${part.trim()}"`)
    if (isSuperuser(c.catalog, member)) return true
    if (!admin) return memberships(c.catalog, member, word === 'USAGE').has(role)
    return [...memberships(c.catalog, member, false)].some(
      (each) => c.catalog.role(each)?.memberOf.some((group) => group.role === role && group.admin) === true,
    )
  })
}

function roleFunctions(): Record<string, FunctionBody> {
  const ways = {
    name: (c: CatalogCallContext, role: Value) => roleNamed(c, role as string),
    id: (_: CatalogCallContext, role: Value) => oid(role as number),
  }
  const out: Record<string, FunctionBody> = {}
  for (const [roleWay, role] of Object.entries(ways)) {
    out[`pg_has_role_${roleWay}`] = fromCatalog((c, r: Value, p: string) => hasRole(c, c.userOid, role(c, r), p))
    for (const [memberWay, member] of Object.entries(ways)) {
      out[`pg_has_role_${memberWay}_${roleWay}`] = fromCatalog((c, m: Value, r: Value, p: string) =>
        hasRole(c, member(c, m), role(c, r), p),
      )
    }
  }
  return out
}

/** acldefault's letters for kinds of object. */
const DEFAULT_KINDS: Readonly<Record<string, AclObject>> = {
  c: 'column',
  r: 'relation',
  s: 'sequence',
  d: 'database',
  f: 'function',
  l: 'language',
  L: 'largeobject',
  n: 'namespace',
  p: 'parameter',
  t: 'tablespace',
  F: 'foreign-data-wrapper',
  S: 'foreign-server',
  T: 'type',
} // prettier-ignore

const unquote = (name: string): string => (name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name)
/** A printed item with its roles as oids. */
function itemOf(c: CatalogCallContext, text: string) {
  const [plain] = aclFromText(
    [text],
    (name) => c.catalog.roleByName(unquote(name))?.oid ?? (/^\d+$/.test(name) ? oid(Number(name)) : undefined),
  )
  if (plain === undefined) throw sqlError('42704', `role "${text.slice(0, text.indexOf('='))}" does not exist`)
  return parseAclItem(plain)
}

const EXPLODED = [OID.oid, OID.oid, OID.text, OID.bool]

export const PRIVILEGE_FUNCTIONS: FunctionTable = {
  ...objectFunctions(),
  ...columnFunctions(),
  ...roleFunctions(),
  /** Settings have no acls here: only superusers may change those that users may not. */
  has_parameter_privilege_name: fromCatalog((c) => isSuperuser(c.catalog, c.userOid)),
  has_parameter_privilege_name_name: fromCatalog((c, role: string) => isSuperuser(c.catalog, roleNamed(c, role))),
  has_parameter_privilege_id_name: fromCatalog((c, role: number) => isSuperuser(c.catalog, oid(role))),
  aclexplode: set((call) => (acl: ArrayValue) => {
    const c = contextOf(call)
    const rows: RecordValue[] = []
    for (const text of acl.elements) {
      const item = itemOf(c, text as string)
      for (const letter of ACL_LETTERS) {
        if (!item.privileges.includes(letter)) continue
        rows.push(
          new RecordValue(
            [item.grantor, item.grantee, PRIVILEGE_NAMES[letter]!, item.grantable.includes(letter)],
            EXPLODED,
          ),
        )
      }
    }
    return rows
  }),
  acldefault_sql: fromCatalog((c, kind: string, owner: number) => {
    const object = DEFAULT_KINDS[kind]
    if (object === undefined) throw sqlError('XX000', `unrecognized object type abbreviation: ${kind}`)
    return ArrayValue.of(defaultAcl(object, oid(owner)).map((item) => aclItemText(c.catalog, item)))
  }),
  makeaclitem: fromCatalog((c, grantee: number, grantor: number, privilege: string, grantable: boolean) => {
    const letters = privilegesOf(privilege, ACL_LETTERS)
      .map(({ letter }) => letter)
      .join('')
    return aclItemText(
      c.catalog,
      printAclItem({
        grantee: oid(grantee),
        grantor: oid(grantor),
        privileges: letters,
        grantable: grantable ? letters : '',
      }),
    )
  }),
  aclitem_eq: fromCatalog((_, a: string, b: string) => a === b),
  aclcontains: fromCatalog((c, acl: ArrayValue, text: string) => {
    const wanted = itemOf(c, text)
    return acl.elements.some((each) => {
      const item = itemOf(c, each as string)
      return (
        item.grantee === wanted.grantee &&
        item.grantor === wanted.grantor &&
        [...wanted.privileges].every((letter) => item.privileges.includes(letter))
      )
    })
  }),
}
