/**
 * Rows of the system catalogs: PostgreSQL's own from the data files, then one a descriptor. A built-in object that a
 * descriptor replaces (its privileges were changed) keeps its row with the owner and privileges of the descriptor.
 *
 * A lookup by one column reads only what can match: built-in rows through an index on that column, made on first use;
 * descriptors by their oid where the column is one.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Value } from '../types/value.ts'
import type { DescriptorKind, VirtualContext, VirtualLookup } from './catalog.ts'
import { dataTable, decodeRow } from './tsv.ts'
import type { CatalogView } from './view.ts'
import { DEPENDENCY_ROWS } from './virtual-depend.ts'
import { OBJECT_ROWS } from './virtual-objects.ts'
import { RELATION_ROWS } from './virtual-relations.ts'
import { aclValue, type RowSource } from './virtual-source.ts'

export type Row = readonly Value[]

const DESCRIPTOR_ROWS: Readonly<Record<string, RowSource>> = { ...RELATION_ROWS, ...OBJECT_ROWS, ...DEPENDENCY_ROWS }

/** Tables whose rows can be replaced by a descriptor, and the columns that it changes. */
const REPLACED: Readonly<
  Record<string, { readonly kind: DescriptorKind; readonly owner?: string; readonly acl?: string }>
> = {
  pg_class: { kind: 'relation', owner: 'relowner', acl: 'relacl' },
  pg_type: { kind: 'type', owner: 'typowner', acl: 'typacl' },
  pg_proc: { kind: 'function', owner: 'proowner', acl: 'proacl' },
  pg_namespace: { kind: 'namespace', owner: 'nspowner', acl: 'nspacl' },
  pg_operator: { kind: 'operator', owner: 'oprowner' },
}

/** Tables of which every row is a descriptor: the data file only says what a new store begins with. */
const DESCRIPTORS_ONLY = new Set(['pg_authid', 'pg_auth_members', 'pg_database'])
const PUBLIC = 2200

const decoded = new Map<string, readonly Row[]>()
function builtinRows(name: string): readonly Row[] {
  let rows = decoded.get(name)
  if (rows === undefined) {
    const table = dataTable(name)
    const width = visibleColumns(name)
    rows = table.lines.map((line) => decodeRow(table, line).slice(0, width))
    if (name === 'pg_namespace') rows = rows.filter((row) => row[0] !== PUBLIC)
    decoded.set(name, rows)
  }
  return rows
}

/** Data files may hold columns of their own after the table's. */
const EXTRA_COLUMNS: Readonly<Record<string, number>> = { pg_proc: 1, pg_type: 1 }
const visibleColumns = (name: string): number => dataTable(name).columns.length - (EXTRA_COLUMNS[name] ?? 0)

const indexes = new Map<string, ReadonlyMap<Value, readonly Row[]>>()
function builtinLookup(name: string, { column, value }: VirtualLookup): readonly Row[] {
  const key = `${name} ${column}`
  let index = indexes.get(key)
  if (index === undefined) {
    const made = new Map<Value, Row[]>()
    for (const row of builtinRows(name)) {
      const at = row[column - 1]!
      const same = made.get(at)
      if (same === undefined) made.set(at, [row])
      else same.push(row)
    }
    index = made
    indexes.set(key, index)
  }
  return index.get(value) ?? []
}

export function* virtualRows(
  view: CatalogView,
  relation: Oid,
  context: VirtualContext,
  lookup?: VirtualLookup,
): Iterable<Row> {
  const target = view.relation(relation)
  if (target === undefined) return
  const { name } = target
  if (!DESCRIPTORS_ONLY.has(name)) yield* ownBuiltinRows(view, name, lookup)
  const source = DESCRIPTOR_ROWS[name]
  if (source === undefined) {
    if (SESSION_TABLES.has(name)) yield* matching(context.sessionRows(name), lookup)
    return
  }
  const columns = target.columns.map((column) => column.name)
  for (const record of source(
    view,
    lookup === undefined ? undefined : { column: columns[lookup.column - 1]!, value: lookup.value },
  )) {
    const row = columns.map((column) => record[column] ?? null)
    if (lookup === undefined || row[lookup.column - 1] === lookup.value) yield row
  }
}

/** Tables whose rows the session has: none of a fresh database's are built in. */
const SESSION_TABLES = new Set(['pg_largeobject', 'pg_largeobject_metadata'])

function* matching(rows: Iterable<Row>, lookup: VirtualLookup | undefined): Iterable<Row> {
  for (const row of rows) if (lookup === undefined || row[lookup.column - 1] === lookup.value) yield row
}

function* ownBuiltinRows(view: CatalogView, name: string, lookup: VirtualLookup | undefined): Iterable<Row> {
  const rows = lookup === undefined ? builtinRows(name) : builtinLookup(name, lookup)
  const replaced = REPLACED[name]
  if (name === 'pg_attribute') return yield* attributeRows(view, rows)
  if (replaced === undefined || view.ownCount(replaced.kind) === 0) return yield* rows
  const columns = dataTable(name).columns
  for (const row of rows) {
    const own = view.own(replaced.kind, oid(row[0] as number)) as { owner: Oid; acl?: readonly string[] } | undefined
    if (own === undefined) {
      yield row
      continue
    }
    const copy = [...row]
    if (replaced.owner !== undefined) copy[columns.indexOf(replaced.owner)] = own.owner
    if (replaced.acl !== undefined) copy[columns.indexOf(replaced.acl)] = aclValue(view, own.acl)
    yield copy
  }
}

/** Privileges on the columns of a system table. */
function* attributeRows(view: CatalogView, rows: readonly Row[]): Iterable<Row> {
  if (view.ownCount('relation') === 0) return yield* rows
  const columns = dataTable('pg_attribute').columns
  const [number, acl] = [columns.indexOf('attnum'), columns.indexOf('attacl')]
  for (const row of rows) {
    const own = view.own('relation', oid(row[0] as number))
    const column = own?.columns[(row[number] as number) - 1]
    if (column === undefined) {
      yield row
      continue
    }
    const copy = [...row]
    copy[acl] = aclValue(view, column.acl)
    yield copy
  }
}
