/** Rows of the system catalogs. */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Value } from '../types/value.ts'
import type { Catalog, VirtualContext } from './catalog.ts'
import { dataTable, decodeRow } from './tsv.ts'

export function* virtualRows(catalog: Catalog, relation: Oid, _context: VirtualContext): Iterable<readonly Value[]> {
  const row = catalog.relation(relation)
  if (row === undefined) return
  const table = dataTable(row.name)
  for (const line of table.lines) yield decodeRow(table, line)
}
