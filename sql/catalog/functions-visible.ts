/** pg_table_is_visible and its kin: would the name alone, without a schema, find this object? */
import { oid } from '../../storage/keys/brand.ts'
import type { FunctionBody, FunctionTable } from '../types/function.ts'
import { type CatalogCallContext, fromCatalog } from './call-context.ts'
import { familyOf } from './functions-describe.ts'
import { collationVisible, functionVisible, operatorVisible, relationVisible, typeVisible } from './names.ts'
import { columnOf, dataTable, fields } from './tsv.ts'

/** null when there is no such object. */
const visible = <T>(
  find: (c: CatalogCallContext, object: number) => T | undefined,
  test: (c: CatalogCallContext, row: T) => boolean,
): FunctionBody =>
  fromCatalog((c, object: number) => {
    const row = find(c, object)
    return row === undefined ? null : test(c, row)
  })

/** Objects without descriptors: their schema is in the data file. */
const inData = (table: string, namespaceColumn: string): FunctionBody =>
  visible(
    (_, object) => {
      const data = dataTable(table)
      const line = data.lines.find((each) => each.startsWith(`${object}\t`))
      return line === undefined ? undefined : oid(Number(fields(line)[columnOf(data, namespaceColumn)]))
    },
    (c, namespace) => c.searchPath.includes(namespace),
  )

export const VISIBLE_FUNCTIONS: FunctionTable = {
  pg_table_is_visible: visible((c, object) => c.catalog.relation(oid(object)), relationVisible),
  pg_type_is_visible: visible((c, object) => c.catalog.typeRow(oid(object)), typeVisible),
  pg_function_is_visible: visible((c, object) => c.catalog.function(oid(object)), functionVisible),
  pg_operator_is_visible: visible((c, object) => c.catalog.operator(oid(object)), operatorVisible),
  pg_collation_is_visible: visible((c, object) => c.catalog.collation(oid(object)), collationVisible),
  pg_opclass_is_visible: visible(
    (c, object) => c.catalog.opclass(oid(object)),
    (c, row) => c.searchPath.includes(row.namespace),
  ),
  pg_opfamily_is_visible: visible(
    (c, object) => familyOf(c, oid(object)),
    (c, { namespace }) => c.searchPath.includes(namespace),
  ),
  pg_conversion_is_visible: inData('pg_conversion', 'connamespace'),
  pg_ts_config_is_visible: inData('pg_ts_config', 'cfgnamespace'),
  pg_ts_dict_is_visible: inData('pg_ts_dict', 'dictnamespace'),
  pg_ts_parser_is_visible: inData('pg_ts_parser', 'prsnamespace'),
  pg_ts_template_is_visible: inData('pg_ts_template', 'tmplnamespace'),
  /** There are none. */
  pg_statistics_obj_is_visible: fromCatalog(() => null),
}
