/**
 * Privileges on what a statement names: SELECT, INSERT, UPDATE, DELETE on tables and views, USAGE on their schemas. Checked each time
 * a statement is made ready, for the role of that moment; what a view reads is its owner's business.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { ViewAccess } from '../binder/binder.ts'
import type { Catalog, ColumnRow, RelationRow } from '../catalog/catalog.ts'
import { allows, columnAllows, isSuperuser, type Securable, securable } from '../catalog/privileges.ts'
import type { Query } from '../plan/query.ts'
import { sqlError } from '../types/error.ts'
import { PG_CATALOG } from '../types/oids.ts'

export type { ViewAccess } from '../binder/binder.ts'

/** Letters of acl.ts wanted, by relation: 'r' select, 'a' insert, 'w' update, 'd' delete. */
export type Accesses = ReadonlyMap<Oid, string>

const WORDS: Readonly<Record<string, string>> = { v: 'view', m: 'materialized view', S: 'sequence' }

/** What a statement wants of what it names, and of what its views are made of. */
export interface Wanted {
  readonly accesses: Accesses
  readonly viewAccesses: readonly ViewAccess[]
}

/** Throws 42501 `permission denied for table x`. A view's query is checked for its owner, whoever runs the statement. */
export function checkAccess(catalog: Catalog, role: Oid, { accesses, viewAccesses }: Wanted, query: Query): void {
  if (accesses.size > 0 && !isSuperuser(catalog, role)) {
    for (const [relation, letters] of accesses) checkRelation(catalog, role, { relation, letters, query })
  }
  for (const wanted of viewAccesses) {
    const of = wanted.role ?? role
    if (!isSuperuser(catalog, of)) checkRelation(catalog, of, wanted)
  }
}

/**
 * Where the table as a whole is not granted, the columns that the query names are asked for one by one (PostgreSQL's
 * ExecCheckRTEPerms).
 */
function checkRelation(catalog: Catalog, role: Oid, wanted: Omit<ViewAccess, 'role'>): void {
  const row = catalog.relation(wanted.relation)
  if (row === undefined) return
  checkSchema(catalog, role, row)
  const object = securable(catalog, row.kind === 'S' ? 'sequence' : 'relation', row.oid)
  if (object === undefined) return
  for (const letter of wanted.letters) {
    if (allows(catalog, role, object, letter)) continue
    if (letter !== 'd' && columnsAllow(catalog, role, row, object, letter, wanted.query)) continue
    throw sqlError('42501', `permission denied for ${WORDS[row.kind] ?? 'table'} ${row.name}`)
  }
}

function columnsAllow(
  catalog: Catalog,
  role: Oid,
  row: RelationRow,
  object: Securable,
  letter: string,
  query: Query,
): boolean {
  const live = row.columns.filter((column) => !column.dropped)
  const may = (column: ColumnRow): boolean => columnAllows(catalog, role, object, column, letter)
  if (!live.some(may)) return false
  const uses = usesOf(query, row.oid, catalog)
  if (uses.length === 0) return live.every(may)
  return uses.every((use) => {
    const columns = letter === 'r' ? use.selected : letter === 'a' ? use.inserted : use.updated
    if (columns === undefined) return true
    // None by name, as in count(*) and FOR UPDATE: any will do.
    if (columns.size === 0) return letter !== 'r' || !use.isTarget ? live.some(may) : true
    if (columns.has(0)) return live.every(may)
    return [...columns].every((number) => number > 0 && may(row.columns[number - 1]!))
  })
}

/** What a query does with one appearance of a table; undefined: it does not read, fill or change it. */
interface TableUse {
  readonly selected: Set<number> | undefined
  readonly inserted: ReadonlySet<number> | undefined
  readonly updated: ReadonlySet<number> | undefined
  readonly isTarget: boolean
}

/** Each place where the query has the table (or view). What is inside a view is its owner's business. */
function usesOf(query: Query, table: Oid, catalog: Catalog): TableUse[] {
  const found: TableUse[] = []
  const visit = (node: unknown, uses: readonly (readonly (TableUse | undefined)[])[]): void => {
    if (typeof node !== 'object' || node === null) return
    if (Array.isArray(node)) {
      for (const each of node) visit(each, uses)
      return
    }
    if (Object.getPrototypeOf(node) !== Object.prototype) return
    const { kind, level, relation, column, viewOid } = node as Record<string, unknown>
    if (kind === 'subquery' && viewOid !== undefined) return
    if (kind === 'var') {
      uses[level as number]?.[relation as number]?.selected?.add(column as number)
      return
    }
    if (!('command' in node && 'relations' in node)) {
      for (const value of Object.values(node)) visit(value, uses)
      return
    }
    const inner = node as unknown as Query
    const own = inner.relations.map((each, i): TableUse | undefined => {
      const oid = each.kind === 'table' ? each.oid : each.kind === 'subquery' ? each.viewOid : undefined
      return oid === table ? useOf(inner, i, catalog) : undefined
    })
    // What is read of EXCLUDED are the target's columns.
    const excluded = inner.relations.findIndex((each) => each.kind === 'excluded')
    if (excluded >= 0 && inner.modify !== undefined) own[excluded] = own[inner.modify.relation]
    for (const use of own) if (use !== undefined) found.push(use)
    for (const value of Object.values(inner)) visit(value, [own, ...uses])
  }
  visit(query, [])
  return found
}

function useOf(query: Query, relation: number, catalog: Catalog): TableUse {
  const { modify } = query
  if (modify === undefined || modify.relation !== relation) {
    const locked = query.rowLocks.some((lock) => lock.relation === relation)
    return { selected: new Set(), inserted: undefined, updated: locked ? new Set() : undefined, isTarget: false }
  }
  const { onConflict } = modify
  const arbiters = (onConflict?.indexes ?? []).flatMap((index) =>
    (catalog.relation(index)?.index?.keys ?? []).map((key) => key.column),
  )
  const merge = modify.merge ?? []
  const assigned =
    onConflict?.kind === 'update'
      ? onConflict.assignments
      : [...modify.assignments, ...merge.flatMap((action) => (action.kind === 'update' ? action.assignments : []))]
  const inserted = merge.flatMap((action) => (action.kind === 'insert' ? action.columns : []))
  return {
    selected: new Set(arbiters.filter((column) => column > 0)),
    inserted:
      query.command === 'insert' ? new Set(modify.insertColumns) : inserted.length > 0 ? new Set(inserted) : undefined,
    updated: new Set(assigned.map((each) => each.column)),
    isTarget: true,
  }
}

function checkSchema(catalog: Catalog, role: Oid, row: RelationRow): void {
  if (row.namespace === PG_CATALOG || row.session !== undefined) return
  const schema = securable(catalog, 'namespace', row.namespace)
  if (schema === undefined || allows(catalog, role, schema, 'U')) return
  throw sqlError('42501', `permission denied for schema ${catalog.namespace(row.namespace)?.name ?? ''}`)
}
