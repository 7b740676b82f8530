/**
 * What every statement that changes the catalog begins with: a transaction that may write, a snapshot, the newest
 * catalog with this transaction's own changes on top. Whatever waits for a lock sees afterwards what others have
 * committed meanwhile.
 *
 *     define('X', command, run) → requireWritable → edit() → names → locks → checks → put / remove → command tag
 */
import type { Node, RangeVar, RoleSpec } from '@pgsql/types'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import type { TableLockMode } from '../../../storage/kv/kv.ts'
import type { BindContext } from '../../binder/binder.ts'
import type { ACL_RIGHTS } from '../../catalog/acl.ts'
import type { DescriptorKind, NamespaceRow, RelationRow, RoleRow } from '../../catalog/catalog.ts'
import { CLASS } from '../../catalog/classes.ts'
import type { Editor } from '../../catalog/editor.ts'
import { DESCRIBE_FUNCTIONS } from '../../catalog/functions-describe.ts'
import { allows, memberships, ownedBy, securable } from '../../catalog/privileges.ts'
import { type ErrorFields, sqlError } from '../../types/error.ts'
import { PG_CATALOG } from '../../types/oids.ts'
import type { Backend } from '../backend.ts'
import { bindContext, type Statement } from '../statement.ts'
import { define, type UtilityCall } from '../utility.ts'
import { grantDefaults } from './default-acl.ts'

export interface Ddl {
  readonly session: Backend
  readonly statement: Statement
  readonly call: UtilityCall
  readonly editor: Editor
}

type Define = typeof define
type TagOf = Parameters<Define>[0]
type BodyOf<K extends TagOf> = Parameters<typeof define<K>>[1] extends (
  s: Backend,
  node: infer B,
  ...rest: never[]
) => unknown
  ? B
  : never

/** Registers a statement that changes the catalog. `command`: what a read-only transaction refuses, by name. */
export function defineDdl<K extends TagOf>(
  tag: K,
  command: string | ((node: BodyOf<K>) => string),
  run: (ddl: Ddl, node: BodyOf<K>) => Promise<string> | string,
): void {
  define(tag, async (session, node, call, statement) => {
    const body = node as BodyOf<K>
    session.requireWritable(typeof command === 'string' ? command : command(body))
    const ddl = beginDdl(session, call, statement)
    const mark = ddl.editor.mark()
    const result = await run(ddl, body)
    grantDefaults(ddl.editor, mark)
    await ddl.editor.settled()
    return result
  })
}

export function beginDdl(session: Backend, call: UtilityCall, statement: Statement): Ddl {
  session.transaction.ensure().beginStatement()
  const editor = session.transaction.edit()
  editor.rebase()
  return { session, statement, call, editor }
}

/** For binding expressions and queries under the catalog as it is now, this statement's changes included. */
export const binder = (ddl: Ddl): BindContext =>
  bindContext(ddl.session, ddl.statement.source, ddl.statement.givenTypes, true)

export function notice(ddl: Ddl, message: string, code = '00000', fields: ErrorFields = {}): void {
  ddl.session.notice({ severity: 'NOTICE', code, message, fields })
}
export function warning(ddl: Ddl, code: string, message: string, fields: ErrorFields = {}): void {
  ddl.session.notice({ severity: 'WARNING', code, message, fields })
}

// ── Locks ──────────────────────────────────────────────────────────────────────────────────────────────────────

export async function lockObject(
  ddl: Ddl,
  target: string,
  mode: TableLockMode,
  policy: 'wait' | 'nowait' = 'wait',
): Promise<void> {
  const granted = ddl.session.transaction.ensure().lockTarget(target, mode, policy)
  if (granted === false) throw sqlError('55P03', 'could not obtain lock')
  if (granted instanceof Promise) await ddl.session.waits.interruptible(granted, 'Lock')
  ddl.editor.rebase()
  ddl.session.transaction.ensure().beginStatement()
}
export const lockRelation = (ddl: Ddl, relation: Oid, mode: TableLockMode): Promise<void> =>
  lockObject(ddl, `relation ${relation}`, mode)

/** Waits for whoever is creating something of that name; afterwards the name is free or visibly taken. */
export async function lockName(
  ddl: Ddl,
  kind: DescriptorKind,
  name: { readonly name: string; readonly namespace?: Oid },
): Promise<void> {
  const granted = ddl.editor.lockName(kind, name as never, 'wait')
  if (granted instanceof Promise) await ddl.session.waits.interruptible(granted, 'Lock')
  ddl.editor.rebase()
}

// ── Names ──────────────────────────────────────────────────────────────────────────────────────────────────────

export const shownName = (name: { readonly schemaname?: string; readonly relname?: string }): string =>
  name.schemaname === undefined || name.schemaname === '' ? name.relname! : `${name.schemaname}.${name.relname}`

/** Without a lock. Throws 3F000 for a schema that is not there unless `missing` says that nothing is an answer. */
export function lookUpRelation(ddl: Ddl, name: RangeVar): RelationRow | undefined {
  const { editor, session } = ddl
  if (name.catalogname !== undefined && name.catalogname !== '' && name.catalogname !== editor.databaseName) {
    throw sqlError(
      '0A000',
      `cross-database references are not implemented: "${name.catalogname}.${name.schemaname}.${name.relname}"`,
    )
  }
  if (name.schemaname !== undefined && name.schemaname !== '') {
    const namespace =
      name.schemaname === 'pg_temp' ? session.tempNamespace : editor.namespaceByName(name.schemaname)?.oid
    return namespace === undefined || namespace === 0 ? undefined : editor.relationByName(namespace, name.relname!)
  }
  for (const namespace of session.searchPath) {
    const found = editor.relationByName(namespace, name.relname!)
    if (found !== undefined) return found
  }
  return undefined
}

/** Looks a relation up and locks it; what it is now, not what it was before the wait. */
export async function openRelation(ddl: Ddl, name: RangeVar, mode: TableLockMode): Promise<RelationRow | undefined> {
  for (;;) {
    const found = lookUpRelation(ddl, name)
    if (found === undefined) return undefined
    await lockRelation(ddl, found.oid, mode)
    const again = lookUpRelation(ddl, name)
    if (again?.oid === found.oid) return again
  }
}
export async function requireOpen(ddl: Ddl, name: RangeVar, mode: TableLockMode): Promise<RelationRow> {
  const row = await openRelation(ddl, name, mode)
  if (row === undefined) throw noRelation(name)
  return row
}
export const noRelation = (name: RangeVar) => sqlError('42P01', `relation "${shownName(name)}" does not exist`)

/** The relation as it stands in this transaction now. */
export function current(ddl: Ddl, relation: Oid): RelationRow {
  const row = ddl.editor.relation(relation)
  if (row === undefined) throw sqlError('XX000', `could not open relation with OID ${relation}`)
  return row
}
export function update(ddl: Ddl, row: RelationRow): RelationRow {
  ddl.editor.put('relation', row)
  return row
}

export const KIND_WORDS: Readonly<Record<RelationRow['kind'], string>> = {
  r: 'table',
  i: 'index',
  S: 'sequence',
  v: 'view',
  m: 'materialized view',
  c: 'composite type',
  t: 'table',
  p: 'table',
} // prettier-ignore

// ── Schemas to create in ─────────────────────────────────────────────────────────────────────────────────────────

export function requireSchema(ddl: Ddl, name: string): NamespaceRow {
  const row = name === 'pg_temp' ? ddl.editor.namespace(temporaryNamespace(ddl)) : ddl.editor.namespaceByName(name)
  if (row === undefined) throw sqlError('3F000', `schema "${name}" does not exist`)
  return row
}

/** Where a new object of that name goes: its own schema, or the first of the path. Checks the right to create there. */
export function creationNamespace(ddl: Ddl, schema: string | undefined): NamespaceRow {
  let row: NamespaceRow | undefined
  if (schema !== undefined && schema !== '') row = requireSchema(ddl, schema)
  else {
    const found = ddl.session.creationNamespace()
    row = found === undefined ? undefined : ddl.editor.namespace(found)
    if (row === undefined) throw sqlError('3F000', 'no schema has been selected to create in')
  }
  requireRight(ddl, 'namespace', row.oid, 'C')
  return row
}
export function relationNamespace(
  ddl: Ddl,
  name: RangeVar,
): { readonly namespace: NamespaceRow; readonly temporary: boolean } {
  const temporary = name.relpersistence === 't'
  if (temporary && name.schemaname !== undefined && name.schemaname !== '' && name.schemaname !== 'pg_temp') {
    if (requireSchema(ddl, name.schemaname).oid !== ddl.session.tempNamespace) {
      throw sqlError('42P16', 'cannot create temporary relation in non-temporary schema')
    }
  }
  const namespace = temporary ? ddl.editor.namespace(temporaryNamespace(ddl))! : creationNamespace(ddl, name.schemaname)
  forbidSystem(ddl, namespace, name.relname!)
  return { namespace, temporary: temporary || namespace.oid === ddl.session.tempNamespace }
}
function forbidSystem(ddl: Ddl, namespace: NamespaceRow, name: string): void {
  if (namespace.oid === PG_CATALOG) {
    throw sqlError('42501', `permission denied to create "${namespace.name}.${name}"`, {
      detail: 'System catalog modifications are currently disallowed.',
    })
  }
  if (namespace.name.startsWith('pg_temp_') && namespace.oid !== ddl.session.tempNamespace) {
    throw sqlError('42P16', 'cannot create relations in temporary schemas of other sessions')
  }
}

/** This session's schema for temporary objects; made when first needed. */
function temporaryNamespace(ddl: Ddl): Oid {
  const { session, editor } = ddl
  const known = session.tempNamespace === 0 ? undefined : editor.namespace(session.tempNamespace)
  if (known !== undefined) return known.oid
  requireRight(
    ddl,
    'database',
    editor.databaseOid,
    'T',
    `permission denied to create temporary tables in database "${editor.databaseName}"`,
  )
  const taken = new Set<Oid>()
  for (const other of session.server.backends.values())
    if (other.databaseOid === session.databaseOid) taken.add(other.tempNamespace)
  let row: NamespaceRow | undefined
  for (let n = 1; row === undefined; n++) {
    const name = `pg_temp_${n}`
    const found = editor.namespaceByName(name)
    if (found === undefined) {
      row = { oid: editor.nextOid(), name, owner: oid(10) }
      editor.put('namespace', row)
    } else if (!taken.has(found.oid)) row = found
  }
  session.tempNamespace = row.oid
  const made = row.oid
  session.hooks.ended.push((committed) => {
    if (
      !committed &&
      session.tempNamespace === made &&
      session.server.catalogs.catalog(session.databaseOid).namespace(made) === undefined
    )
      session.tempNamespace = oid(0)
  })
  return made
}

// ── Rights ─────────────────────────────────────────────────────────────────────────────────────────────────────

export const roleOf = (ddl: Ddl): Oid => ddl.session.userOid

export function requireOwner(ddl: Ddl, owner: Oid, word: string, name: string): void {
  if (!ownedBy(ddl.editor, roleOf(ddl), owner)) throw sqlError('42501', `must be owner of ${word} ${name}`)
}
/** An owner's right over a relation: 42501 for others, and for the system catalogs. */
export function requireRelationOwner(ddl: Ddl, row: RelationRow): void {
  requireOwner(ddl, row.owner, KIND_WORDS[row.kind], row.name)
  forbidSystemCatalog(row)
}
export function forbidSystemCatalog(row: RelationRow): void {
  if (row.virtual === true || row.oid < 16384)
    throw sqlError('42501', `permission denied: "${row.name}" is a system catalog`)
}
export function hasRight(ddl: Ddl, kind: keyof typeof ACL_RIGHTS, object: Oid, letter: string): boolean {
  const found = securable(ddl.editor, kind, object)
  return found !== undefined && allows(ddl.editor, roleOf(ddl), found, letter)
}
export function requireRight(
  ddl: Ddl,
  kind: keyof typeof ACL_RIGHTS,
  object: Oid,
  letter: string,
  message?: string,
): void {
  if (hasRight(ddl, kind, object, letter)) return
  if (message !== undefined) throw sqlError('42501', message)
  const row =
    kind === 'namespace'
      ? ddl.editor.namespace(object)
      : kind === 'database'
        ? ddl.editor.database(object)
        : kind === 'type'
          ? ddl.editor.typeRow(object)
          : ddl.editor.relation(object)
  throw sqlError(
    '42501',
    `permission denied for ${kind === 'namespace' ? 'schema' : kind === 'relation' ? KIND_WORDS[(row as RelationRow).kind] : kind} ${row?.name}`,
  )
}

export function requireRole(ddl: Ddl, name: string): RoleRow {
  const row = ddl.editor.roleByName(name)
  if (row === undefined) throw sqlError('42704', `role "${name}" does not exist`)
  return row
}
/** A role as statements name it; PUBLIC only where it may stand (oid 0). */
export function roleFrom(ddl: Ddl, spec: RoleSpec, publicAllowed = false): Oid {
  switch (spec.roletype ?? 'ROLESPEC_CSTRING') {
    case 'ROLESPEC_CSTRING':
      return requireRole(ddl, spec.rolename!).oid
    case 'ROLESPEC_CURRENT_ROLE':
    case 'ROLESPEC_CURRENT_USER':
      return ddl.session.userOid
    case 'ROLESPEC_SESSION_USER':
      return ddl.session.sessionUser
    case 'ROLESPEC_PUBLIC':
      if (publicAllowed) return oid(0)
      throw sqlError('42704', 'role "public" does not exist')
  }
}
/** 42501 unless the current user could SET ROLE to it. */
export function requireMember(ddl: Ddl, role: Oid): void {
  const { editor } = ddl
  if (editor.role(roleOf(ddl))?.superuser === true || memberships(editor, roleOf(ddl), false).has(role)) return
  throw sqlError('42501', `must be member of role "${editor.role(role)?.name}"`)
}

// ── Words ──────────────────────────────────────────────────────────────────────────────────────────────────────

const describeBody = DESCRIBE_FUNCTIONS['pg_describe_object']!
/** 'table t', 'column a of table t', 'constraint c on table t'. */
export function describe(ddl: Ddl, classOid: Oid, object: Oid, sub = 0): string {
  if (describeBody.kind !== 'bound') throw sqlError('XX000', 'objects cannot be described')
  const body = describeBody.bind({
    argTypes: [],
    argTypmods: [],
    returnType: oid(25),
    variadic: false,
    context: ddl.session.context,
  }) as unknown as (...args: number[]) => string | null
  return body(classOid, object, sub) ?? `object ${object} of class ${classOid}`
}
export { CLASS }

export const stringNode = (node: Node | undefined): string | undefined =>
  node !== undefined && 'String' in node ? (node.String.sval ?? '') : undefined

/** A list node's items. */
export const itemsOf = (node: Node | undefined): readonly Node[] =>
  node !== undefined && 'List' in node ? (node.List.items ?? []) : []

/** A qualified name in a list of strings, as far as it goes: [schema, name]. */
export function qualifiedName(nodes: readonly Node[]): { readonly schema: string | undefined; readonly name: string } {
  const names = nodes.map((node) => stringNode(node) ?? '')
  return { schema: names.length > 1 ? names.at(-2) : undefined, name: names.at(-1)! }
}
/** A qualified name in a list as a RangeVar. */
export function rangeVarOf(nodes: readonly Node[]): RangeVar {
  const { schema, name } = qualifiedName(nodes)
  return { relname: name, ...(schema === undefined ? {} : { schemaname: schema }), inh: true, relpersistence: 'p' }
}
