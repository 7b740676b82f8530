/**
 * pg_identify_object_as_address: an object as a list of names, unquoted, and a list of arguments, from which
 * pg_get_object_address of any PostgreSQL would find it again (manual, 9.26.4 Object Information and Addressing).
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { FunctionTable } from '../types/function.ts'
import { OID } from '../types/oids.ts'
import { ArrayValue, RecordValue, type Value } from '../types/value.ts'
import { type CatalogCallContext, fromCatalog } from './call-context.ts'
import type { RelationRow } from './catalog.ts'
import { CLASS } from './classes.ts'
import { describe, familyOf, findDefault, readRow, ruleOwner } from './functions-describe.ts'
import { findConstraint, findDomainConstraint } from './functions-show.ts'
import { formatType } from './names.ts'
import { columnOf, dataTable, fields } from './tsv.ts'

interface Address {
  readonly names: readonly string[]
  readonly args?: readonly string[]
}
type AddressOf = (c: CatalogCallContext, object: Oid, sub: number) => Address | undefined

const schemaOf = (c: CatalogCallContext, row: { readonly namespace: Oid }): string =>
  c.catalog.namespace(row.namespace)?.name ?? ''
const qualified = (c: CatalogCallContext, row: { readonly namespace: Oid; readonly name: string }): string[] => [
  schemaOf(c, row),
  row.name,
]
const typeText = (c: CatalogCallContext, type: Oid): string => formatType(c, type, undefined, true)
const columnNames = (c: CatalogCallContext, row: RelationRow, sub: number): string[] =>
  sub === 0 ? qualified(c, row) : [...qualified(c, row), row.columns[sub - 1]?.name ?? '']

/** Objects that the data files alone have: a name, in a schema or in none. */
const fromData =
  (table: string, nameColumn: string, namespaceColumn?: string): AddressOf =>
  (c, object) => {
    const data = dataTable(table)
    const line = data.lines.find((each) => each.startsWith(`${object}\t`))
    if (line === undefined) return undefined
    const row = fields(line)
    const name = row[columnOf(data, nameColumn)]!
    if (namespaceColumn === undefined) return { names: [name] }
    const namespace = oid(Number(row[columnOf(data, namespaceColumn)]))
    return { names: [c.catalog.namespace(namespace)?.name ?? '', name] }
  }
const plain = (name: string | undefined): Address | undefined => (name === undefined ? undefined : { names: [name] })

const ADDRESSES: ReadonlyMap<Oid, AddressOf> = new Map<Oid, AddressOf>([
  [
    CLASS.relation,
    (c, object, sub) => {
      const row = c.catalog.relation(object)
      return row && { names: columnNames(c, row, sub) }
    },
  ],
  [CLASS.type, (c, object) => plain(typeText(c, object))],
  [
    CLASS.function,
    (c, object) => {
      const row = c.catalog.function(object)
      return row && { names: qualified(c, row), args: row.argTypes.map((type) => typeText(c, type)) }
    },
  ],
  [
    CLASS.operator,
    (c, object) => {
      const row = c.catalog.operator(object)
      const side = (type: Oid): string => (type === 0 ? '-' : typeText(c, type))
      return row && { names: qualified(c, row), args: [side(row.left), side(row.right)] }
    },
  ],
  [CLASS.namespace, (c, object) => plain(c.catalog.namespace(object)?.name)],
  [CLASS.role, (c, object) => plain(c.catalog.role(object)?.name)],
  [CLASS.database, (c, object) => plain(c.catalog.database(object)?.name)],
  [
    CLASS.extension,
    (c, object) => {
      for (const row of c.catalog.extensions()) if (row.oid === object) return { names: [row.name] }
      return undefined
    },
  ],
  [
    CLASS.collation,
    (c, object) => {
      const row = c.catalog.collation(object)
      return row && { names: qualified(c, row) }
    },
  ],
  [
    CLASS.constraint,
    (c, object) => {
      const found = findConstraint(c, object)
      if (found !== undefined) return { names: [...qualified(c, found.table), found.constraint.name] }
      const domain = findDomainConstraint(c, object)
      return domain && { names: [typeText(c, domain.type.oid)], args: [domain.check.name] }
    },
  ],
  [
    CLASS.attrdef,
    (c, object) => {
      const found = findDefault(c, object)
      return found && { names: columnNames(c, found.row, found.column.number) }
    },
  ],
  [
    CLASS.rewrite,
    (c, object) => {
      const row = ruleOwner(c, object)
      return row && { names: [...qualified(c, row), '_RETURN'] }
    },
  ],
  [
    CLASS.cast,
    (c, object) => {
      const line = dataTable('pg_cast').lines.find((each) => each.startsWith(`${object}\t`))
      if (line === undefined) return undefined
      const [, source, target] = fields(line)
      return { names: [typeText(c, oid(Number(source)))], args: [typeText(c, oid(Number(target)))] }
    },
  ],
  [
    CLASS.opclass,
    (c, object) => {
      const row = c.catalog.opclass(object)
      return row && { names: [row.method, ...qualified(c, row)] }
    },
  ],
  [
    CLASS.opfamily,
    (c, object) => {
      const row = familyOf(c, object)
      return row && { names: [row.method, ...qualified(c, row)] }
    },
  ],
  [CLASS.familyOperator, (c, object) => familyMember(c, object, 'pg_amop', 'amop', 'strategy')],
  [CLASS.familyFunction, (c, object) => familyMember(c, object, 'pg_amproc', 'amproc', 'num')],
  [CLASS.language, fromData('pg_language', 'lanname')],
  [CLASS.accessMethod, fromData('pg_am', 'amname')],
  [CLASS.tablespace, fromData('pg_tablespace', 'spcname')],
  [CLASS.conversion, fromData('pg_conversion', 'conname', 'connamespace')],
  [CLASS.tsConfig, fromData('pg_ts_config', 'cfgname', 'cfgnamespace')],
  [CLASS.tsDict, fromData('pg_ts_dict', 'dictname', 'dictnamespace')],
  [CLASS.tsParser, fromData('pg_ts_parser', 'prsname', 'prsnamespace')],
  [CLASS.tsTemplate, fromData('pg_ts_template', 'tmplname', 'tmplnamespace')],
])

function familyMember(c: CatalogCallContext, object: Oid, table: string, prefix: string, number: string) {
  const row = readRow(table, object)
  const family = row && familyOf(c, oid(row.number(`${prefix}family`)))
  if (row === undefined || family === undefined) return undefined
  return {
    names: [family.method, ...qualified(c, family), row.text(`${prefix}${number}`)],
    args: ['left', 'right'].map((side) => typeText(c, oid(row.number(`${prefix}${side}type`)))),
  }
}

const TEXT_ARRAY = oid(1009)
const FIELDS = [OID.text, TEXT_ARRAY, TEXT_ARRAY]

export const ADDRESS_FUNCTIONS: FunctionTable = {
  pg_identify_object_as_address: fromCatalog((c, classOid: number, object: number, sub: number): Value => {
    const type = describe(c, classOid, object, sub)?.type
    const address = type === undefined ? undefined : ADDRESSES.get(oid(classOid))?.(c, oid(object), sub)
    if (address === undefined) return new RecordValue([type ?? null, null, null], FIELDS)
    return new RecordValue([type!, ArrayValue.of(address.names), ArrayValue.of(address.args ?? [])], FIELDS)
  }),
}
