/**
 * What is stored of a type inside other values. Values of composite types lie in rows as their type was when they were
 * written, and a domain's rules were asked then: what would make them wrong is refused (find_composite_type_dependencies).
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import type { Ddl } from './context.ts'

/**
 * 0A000 when a column of a table holds the type, or an array, domain, range or composite type of it. `words` makes the
 * message of the column's name, 'table.column'.
 */
export function refuseUses(ddl: Ddl, type: Oid, words: (column: string) => string): void {
  const { editor } = ddl
  const row = editor.typeRow(type)
  if (row === undefined) return
  if (row.array !== 0) refuseUses(ddl, row.array, words)
  if (row.range !== undefined) refuseUses(ddl, row.range.multirange, words)
  for (const other of [...editor.ownAll('type')]) {
    if ((other.kind === 'd' && other.baseType === type) || other.range?.subtype === type)
      refuseUses(ddl, other.oid, words)
  }
  for (const relation of [...editor.ownAll('relation')]) {
    if (relation.kind === 'i') continue
    const column = relation.columns.find((each) => !each.dropped && each.type === type)
    if (column === undefined) continue
    if (relation.kind === 'r' || relation.kind === 'm')
      throw sqlError('0A000', words(`${relation.name}.${column.name}`))
    if (relation.rowType !== 0) refuseUses(ddl, relation.rowType, words)
  }
}

/** The same of a composite type or table whose columns are to change. */
export const refuseRowUses = (ddl: Ddl, row: RelationRow): void =>
  refuseUses(ddl, row.rowType, (column) =>
    row.kind === 'c'
      ? `cannot alter type "${row.name}" because column "${column}" uses it`
      : `cannot alter table "${row.name}" because column "${column}" uses its row type`,
  )
