/** What the ALTER statements share: the object they are about, its kind, its columns. */
import type { RangeVar } from '@pgsql/types'
import type { ColumnRow, RelationRow } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import { type Ddl, forbidSystemCatalog, noRelation, notice, shownName } from './context.ts'
import { findColumn } from './index-make.ts'

const TAGS: Readonly<Record<string, string>> = {
  OBJECT_TABLE: 'ALTER TABLE',
  OBJECT_INDEX: 'ALTER INDEX',
  OBJECT_VIEW: 'ALTER VIEW',
  OBJECT_SEQUENCE: 'ALTER SEQUENCE',
  OBJECT_MATVIEW: 'ALTER MATERIALIZED VIEW',
  OBJECT_TYPE: 'ALTER TYPE',
  OBJECT_FOREIGN_TABLE: 'ALTER FOREIGN TABLE',
}
export const alterTag = (type: string | undefined): string => TAGS[type ?? 'OBJECT_TABLE'] ?? 'ALTER TABLE'

/** 42P01, or its NOTICE. */
export function missing(ddl: Ddl, name: RangeVar, missingOk: boolean): undefined {
  if (!missingOk) throw noRelation(name)
  notice(ddl, `relation "${shownName(name)}" does not exist, skipping`)
  return undefined
}

export function checkKind(row: RelationRow, type: string): void {
  const refuse = (word: string): never => {
    throw sqlError('42809', `"${row.name}" is not ${word}`)
  }
  if (type === 'OBJECT_INDEX' && row.kind !== 'i') refuse('an index')
  if (type === 'OBJECT_VIEW' && row.kind !== 'v') refuse('a view')
  if (type === 'OBJECT_SEQUENCE' && row.kind !== 'S') refuse('a sequence')
  if (type === 'OBJECT_MATVIEW' && row.kind !== 'm') refuse('a materialized view')
  if (type === 'OBJECT_TYPE' && row.kind !== 'c') refuse('a composite type')
  if (type !== 'OBJECT_TYPE' && row.kind === 'c')
    throw sqlError('42809', `"${row.name}" is a composite type`, { hint: 'Use ALTER TYPE instead.' })
  forbidSystemCatalog(row)
}

export function requireColumn(table: RelationRow, name: string): ColumnRow {
  const column = findColumn(table, name)
  if (column === undefined) {
    if (['tableoid', 'cmax', 'xmax', 'cmin', 'xmin', 'ctid'].includes(name))
      throw sqlError('0A000', `cannot alter system column "${name}"`)
    throw sqlError('42703', `column "${name}" of relation "${table.name}" does not exist`)
  }
  return column
}
export const withColumn = (table: RelationRow, column: ColumnRow): RelationRow => ({
  ...table,
  columns: table.columns.map((each) => (each.number === column.number ? column : each)),
})
