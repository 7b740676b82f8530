/** What makes rows of one system table from descriptors: records by column name; a column left out is NULL. */
import type { Oid } from '../../storage/keys/brand.ts'
import { quoteIdent } from '../types/text/quote.ts'
import { ArrayValue, type Value } from '../types/value.ts'
import { parseAclItem, printAclItem } from './acl.ts'
import type { Catalog, DescriptorKind } from './catalog.ts'
import type { RowOf } from './objects.ts'
import type { CatalogView } from './view.ts'

export type RowRecord = Readonly<Record<string, Value>>
export interface NamedLookup {
  readonly column: string
  readonly value: Value
}
export type RowSource = (view: CatalogView, lookup: NamedLookup | undefined) => Iterable<RowRecord>

/** Descriptors of user objects; with a lookup by the column that holds their oid, that one alone. */
export function* userRows<K extends DescriptorKind>(
  view: CatalogView,
  kind: K,
  lookup: NamedLookup | undefined,
  ...oidColumns: string[]
): Iterable<RowOf[K]> {
  if (lookup !== undefined && oidColumns.includes(lookup.column)) {
    const row = view.own(kind, lookup.value as Oid)
    if (row !== undefined && !view.isBuiltin(kind, row.oid)) yield row
    return
  }
  const name = lookup !== undefined && NAME_COLUMNS.has(lookup.column) ? lookup.value : undefined
  for (const row of view.ownAll(kind)) {
    if (name !== undefined && (row as { readonly name?: string }).name !== name) continue
    if (!view.isBuiltin(kind, row.oid)) yield row
  }
}

/** Columns that hold a descriptor's name: others are not even made into rows. */
const NAME_COLUMNS = new Set(['relname', 'typname', 'proname', 'oprname', 'collname'])

/** Columns by which a table's source finds the descriptor at once. */
const OID_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  pg_class: ['oid'],
  pg_attribute: ['attrelid'],
  pg_attrdef: ['adrelid'],
  pg_index: ['indexrelid', 'indrelid'],
  pg_constraint: ['conrelid', 'contypid'],
  pg_rewrite: ['oid', 'ev_class'],
  pg_sequence: ['seqrelid'],
  pg_statistic: ['starelid'],
  pg_type: ['oid'],
  pg_enum: ['enumtypid'],
  pg_range: ['rngtypid'],
  pg_proc: ['oid'],
  pg_operator: ['oid'],
  pg_cast: ['oid'],
  pg_collation: ['oid'],
}
/** The source makes few rows of a lookup by this column. */
export const isDirect = (table: string, column: string): boolean =>
  NAME_COLUMNS.has(column) || OID_COLUMNS[table]?.includes(column) === true

/** A role's name inside an aclitem. */
const roleText = (catalog: Catalog, role: Oid): string =>
  role === 0 ? '' : quoteIdent(catalog.role(role)?.name ?? String(role))

export const aclItemText = (catalog: Catalog, item: string): string =>
  printAclItem(parseAclItem(item), (role) => roleText(catalog, role))

/** aclitem[] as PostgreSQL shows it: roles by name. */
export const aclValue = (catalog: Catalog, acl: readonly string[] | undefined): Value =>
  acl === undefined ? null : ArrayValue.of(acl.map((item) => aclItemText(catalog, item)))

export const textArray = (texts: readonly string[] | undefined): Value =>
  texts === undefined ? null : ArrayValue.of(texts)
export const numberArray = (numbers: readonly number[]): Value => ArrayValue.of(numbers)
/** int2vector, oidvector: from 0. */
export const vector = (numbers: readonly number[]): Value => new ArrayValue(numbers, [numbers.length], [0])
