/**
 * Functions that PostgreSQL itself writes in SQL and that ask the catalog: comments, information_schema's helpers. Found
 * by their signature, as every built-in of language SQL.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { notSupported } from '../types/error.ts'
import { type FunctionBody, type FunctionTable, functionBodies, scalar, set } from '../types/function.ts'
import { OID } from '../types/oids.ts'
import { type ArrayValue, type Interval, RecordValue, type Value } from '../types/value.ts'
import { type CatalogCallContext, contextOf, fromCatalog } from './call-context.ts'
import { CLASS } from './classes.ts'
import { formatType } from './names.ts'

const comment = (c: CatalogCallContext, classOid: Oid, object: number, sub = 0): Value =>
  c.catalog.comment(classOid, oid(object), sub) ?? null

/** The comment on an object of any class: oids are unique enough for the old one-argument form. */
function anyComment(c: CatalogCallContext, object: number): Value {
  for (const classOid of Object.values(CLASS)) {
    const text = c.catalog.comment(classOid, oid(object), 0)
    if (text !== undefined) return text
  }
  return null
}
const catalogTable = (c: CatalogCallContext, name: string): Oid | undefined =>
  c.catalog.relationByName(PG_CATALOG, name)?.oid
const PG_CATALOG = oid(11)

const commentIn: FunctionBody = fromCatalog((c, object: number, table: string) => {
  const classOid = catalogTable(c, table)
  return classOid === undefined ? null : comment(c, classOid, object)
})

const characterLength = (type: number, typmod: number): number | null =>
  typmod === -1
    ? null
    : type === OID.bpchar || type === OID.varchar
      ? typmod - 4
      : type === OID.bit || type === OID.varbit
        ? typmod
        : null
const UTF8_MAX_BYTES = 4
const ONE_GIGABYTE = 2 ** 30
const TIMES: readonly number[] = [OID.time, OID.timestamp, OID.timestamptz, OID.timetz]
const NUMERIC_PRECISION: ReadonlyMap<number, number> = new Map([
  [OID.int2, 16],
  [OID.int4, 32],
  [OID.int8, 64],
  [OID.float4, 24],
  [OID.float8, 53],
])
const INTEGERS: readonly number[] = [OID.int2, OID.int4, OID.int8]
const FULL_INTERVAL_PRECISION = 65535

/** Positions of columns of pg_attribute and pg_type in a whole-row value. */
const field = (c: CatalogCallContext, table: Oid, column: string, row: RecordValue): Value => {
  const columns = c.catalog.relation(table)?.columns ?? []
  return row.values[columns.findIndex((each) => each.name === column)] ?? null
}
const throughDomain = (attribute: string, base: string): FunctionBody =>
  fromCatalog((c, a: RecordValue, t: RecordValue) =>
    field(c, CLASS.type, 'typtype', t) === 'd'
      ? field(c, CLASS.type, base, t)
      : field(c, CLASS.attribute, attribute, a),
  )

/** The body of another function, when the session has put it there. */
function call(prosrc: string, c: CatalogCallContext, args: readonly Value[]): Value {
  const body = functionBodies.get(prosrc)
  if (body === undefined || body.kind === 'set') throw notSupported(`function ${prosrc}`)
  const run =
    body.kind === 'scalar'
      ? body.run
      : body.bind({ argTypes: [OID.float8], argTypmods: [-1], returnType: OID.void, variadic: false, context: c })
  return run(...(args as never[]))
}
const MICROS = 1e6
const DAY_SECONDS = 86_400
const seconds = (i: Interval): number => Number(i.micros) / MICROS + (i.days + i.months * 30) * DAY_SECONDS

export const SQL_FUNCTIONS: FunctionTable = {
  'obj_description(oid)': fromCatalog(anyComment),
  'obj_description(oid,name)': commentIn,
  'shobj_description(oid,name)': commentIn,
  'col_description(oid,int4)': fromCatalog((c, table: number, column: number) =>
    column === 0 ? null : comment(c, CLASS.relation, table, column),
  ),
  'pg_relation_size(regclass)': fromCatalog((c, table: number) => call('pg_relation_size', c, [table, 'main'])),

  'pg_sleep_for(interval)': fromCatalog((c, length: Interval) => call('pg_sleep', c, [seconds(length)])),
  'pg_sleep_until(timestamptz)': fromCatalog((c, until: number) =>
    call('pg_sleep', c, [(Number(until) - c.clockTimestamp()) / MICROS]),
  ),

  /** The elements with their numbers from 1, whatever the array's own bounds. */
  '_pg_expandarray(anyarray)': set((each) => {
    const element = contextOf(each).catalog.typeRow(each.argTypes[0]!)?.element ?? OID.anyelement
    return (array: ArrayValue) =>
      array.elements.map((x, i) => new RecordValue([x, i + 1], [element, OID.int4], ['x', 'n']))
  }),
  '_pg_index_position(oid,int2)': fromCatalog((c, index: number, column: number) => {
    const keys = c.catalog.relation(oid(index))?.index
    const at = keys === undefined ? -1 : [...keys.keys.map((key) => key.column), ...keys.include].indexOf(column)
    return at < 0 ? null : at + 1
  }),
  '_pg_truetypid(pg_attribute,pg_type)': throughDomain('atttypid', 'typbasetype'),
  '_pg_truetypmod(pg_attribute,pg_type)': throughDomain('atttypmod', 'typtypmod'),
  '_pg_char_max_length(oid,int4)': scalar(characterLength),
  '_pg_char_octet_length(oid,int4)': scalar((type: number, typmod: number) => {
    if (type !== OID.text && type !== OID.bpchar && type !== OID.varchar) return null
    const length = characterLength(type, typmod)
    return typmod === -1 ? ONE_GIGABYTE : length === null ? null : length * UTF8_MAX_BYTES
  }),
  '_pg_numeric_precision(oid,int4)': scalar((type: number, typmod: number) =>
    type === OID.numeric
      ? typmod === -1
        ? null
        : ((typmod - 4) >> 16) & 0xffff
      : (NUMERIC_PRECISION.get(type) ?? null),
  ),
  '_pg_numeric_precision_radix(oid,int4)': scalar((type: number, _: number) =>
    type === OID.numeric ? 10 : NUMERIC_PRECISION.has(type) ? 2 : null,
  ),
  '_pg_numeric_scale(oid,int4)': scalar((type: number, typmod: number) =>
    INTEGERS.includes(type) ? 0 : type === OID.numeric && typmod !== -1 ? (typmod - 4) & 0xffff : null,
  ),
  '_pg_datetime_precision(oid,int4)': scalar((type: number, typmod: number) => {
    if (type === OID.date) return 0
    if (TIMES.includes(type)) return typmod < 0 ? 6 : typmod
    if (type !== OID.interval) return null
    const precision = typmod & FULL_INTERVAL_PRECISION
    return typmod < 0 || precision === FULL_INTERVAL_PRECISION ? 6 : precision
  }),
  '_pg_interval_type(oid,int4)': fromCatalog((c, type: number, typmod: number) =>
    type === OID.interval
      ? (/^interval[()0-9]* (.*)$/s.exec(formatType(c, oid(type), typmod))?.[1]?.toUpperCase() ?? null)
      : null,
  ),
  pg_relation_filepath: fromCatalog((c, table: number) => {
    const row = c.catalog.relation(oid(table))
    return row === undefined || row.storageId === 0 ? null : `base/${c.catalog.databaseOid}/${row.storageId}`
  }),
  pg_filenode_relation: fromCatalog((c, _tablespace: number, storage: number) => {
    for (const row of c.catalog.relations()) if (row.storageId !== 0 && row.storageId === storage) return row.oid
    return null
  }),
}
