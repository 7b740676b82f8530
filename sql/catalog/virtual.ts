/**
 * Rows of the system catalogs: PostgreSQL's own from the data files, then one a descriptor. A built-in object that a
 * descriptor replaces (its privileges were changed) keeps its row with the owner and privileges of the descriptor.
 *
 * A lookup by one column reads only what can match: built-in rows through an index on that column, made on first use;
 * descriptors by their oid or name where the column is one, else also through an index, of one version of the catalog.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Value } from '../types/value.ts'
import type { DescriptorKind, RelationRow, VirtualContext, VirtualLookup } from './catalog.ts'
import { type HomedKind, isOfExtension, SCHEMA_COLUMNS } from './extension-home.ts'
import { dataTable, decodeRow } from './tsv.ts'
import type { CatalogView } from './view.ts'
import { DEPENDENCY_ROWS } from './virtual-depend.ts'
import { OBJECT_ROWS } from './virtual-objects.ts'
import { attributeRows, RELATION_ROWS } from './virtual-relations.ts'
import { aclValue, isDirect, type RowRecord, type RowSource } from './virtual-source.ts'

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
    index = indexed(builtinRows(name), column)
    indexes.set(key, index)
  }
  return index.get(value) ?? NO_ROWS
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
  if (target.sequence !== undefined) {
    const { value, called } = context.sequenceState(target)
    // No log of its own runs ahead of it: log_cnt is 0.
    yield [value, 0, called]
    return
  }
  if (!DESCRIPTORS_ONLY.has(name)) yield* ownBuiltinRows(view, name, lookup)
  if (name === 'pg_attribute') return yield* attributesOf(view, lookup)
  const source = DESCRIPTOR_ROWS[name]
  if (source === undefined) return
  const columns = columnNames(target)
  if (lookup === undefined) return yield* madeRows(source(view, undefined), columns)
  const column = columns[lookup.column - 1]!
  if (!isDirect(name, column)) return yield* userLookup(view, name, source, columns, lookup)
  for (const row of madeRows(source(view, { column, value: lookup.value }), columns))
    if (row[lookup.column - 1] === lookup.value) yield row
}

const ATTRELID = 1
function* attributesOf(view: CatalogView, lookup: VirtualLookup | undefined): Iterable<Row> {
  if (lookup === undefined) return yield* attributeRows(view, undefined)
  const byRelation = lookup.column === ATTRELID ? { column: 'attrelid', value: lookup.value } : undefined
  for (const row of attributeRows(view, byRelation)) if (row[lookup.column - 1] === lookup.value) yield row
}

const names = new WeakMap<RelationRow, readonly string[]>()
function columnNames(relation: RelationRow): readonly string[] {
  let made = names.get(relation)
  if (made === undefined) names.set(relation, (made = relation.columns.map((column) => column.name)))
  return made
}

function* madeRows(records: Iterable<RowRecord>, columns: readonly string[]): Iterable<Row> {
  for (const record of records) {
    const row = new Array<Value>(columns.length)
    for (let i = 0; i < columns.length; i++) row[i] = record[columns[i]!] ?? null
    yield row
  }
}

/** Rows of descriptors by one column: kept as long as the version of the catalog that they were made from is in use. */
interface UserIndexes {
  readonly version: number
  readonly maps: Map<string, ReadonlyMap<Value, readonly Row[]>>
}
const userIndexes = new WeakMap<CatalogView, UserIndexes>()
function userLookup(
  view: CatalogView,
  name: string,
  source: RowSource,
  columns: readonly string[],
  { column, value }: VirtualLookup,
): readonly Row[] {
  let kept = userIndexes.get(view)
  if (kept?.version !== view.version) userIndexes.set(view, (kept = { version: view.version, maps: new Map() }))
  const key = `${name} ${column}`
  let index = kept.maps.get(key)
  if (index === undefined) kept.maps.set(key, (index = indexed(madeRows(source(view, undefined), columns), column)))
  return index.get(value) ?? NO_ROWS
}
const NO_ROWS: readonly Row[] = []

function indexed(rows: Iterable<Row>, column: number): ReadonlyMap<Value, readonly Row[]> {
  const made = new Map<Value, Row[]>()
  for (const row of rows) {
    const at = row[column - 1]!
    const same = made.get(at)
    if (same === undefined) made.set(at, [row])
    else same.push(row)
  }
  return made
}

/** Rows a descriptor makes in a table, about. */
const PER_DESCRIPTOR: Readonly<Record<string, readonly [kind: DescriptorKind, rows: number]>> = {
  pg_class: ['relation', 1],
  pg_attribute: ['relation', 8],
  pg_attrdef: ['relation', 1],
  pg_index: ['relation', 0.5],
  pg_constraint: ['relation', 1],
  pg_depend: ['relation', 4],
  pg_shdepend: ['relation', 0.1],
  pg_statistic: ['statistics', 5],
  pg_type: ['type', 1],
  pg_enum: ['type', 0.2],
  pg_range: ['type', 0.1],
  pg_proc: ['function', 1],
  pg_description: ['comment', 1],
}
const UNKNOWN_ROWS = 10

export function virtualSize(view: CatalogView, relation: Oid): number {
  const row = view.relation(relation)
  if (row === undefined || row.sequence !== undefined) return 1
  const { name } = row
  const [kind, rows] = PER_DESCRIPTOR[name] ?? [undefined, 0]
  const own = kind === undefined ? UNKNOWN_ROWS : view.ownCount(kind) * rows
  return Math.max(1, dataTable(name).lines.length + own)
}

/** Built-in rows as the view sees them: what is the extension's is in its schema. */
function* seenRows(
  name: string,
  lookup: VirtualLookup | undefined,
  [kind, column]: readonly [HomedKind, string],
  home: Oid,
): Iterable<Row> {
  const schema = dataTable(name).columns.indexOf(column)
  const bySchema = lookup?.column === schema + 1
  for (const row of lookup === undefined || bySchema ? builtinRows(name) : builtinLookup(name, lookup)) {
    let seen = row
    if (isOfExtension(kind, row[0] as number)) seen = row.with(schema, home)
    if (!bySchema || seen[schema] === lookup.value) yield seen
  }
}

function* ownBuiltinRows(view: CatalogView, name: string, lookup: VirtualLookup | undefined): Iterable<Row> {
  const homed = SCHEMA_COLUMNS[name]
  const home = homed && view.extensionHome
  const rows =
    homed !== undefined && home !== undefined
      ? seenRows(name, lookup, homed, home)
      : lookup === undefined
        ? builtinRows(name)
        : builtinLookup(name, lookup)
  const replaced = REPLACED[name]
  if (name === 'pg_attribute') return yield* builtinAttributes(view, rows)
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
function* builtinAttributes(view: CatalogView, rows: Iterable<Row>): Iterable<Row> {
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
