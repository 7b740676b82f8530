/** Functions that print what the catalog holds: format_type, pg_get_*def, sizes, comments, keywords, encodings. */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import { sqlError } from '../types/error.ts'
import { FUNCTION_EXTENSIONS } from '../types/extension/extensions.ts'
import { type FunctionTable, set } from '../types/function.ts'
import { OID } from '../types/oids.ts'
import { ArrayValue, RecordValue, type Value } from '../types/value.ts'
import { EXTENSION as VECTOR_EXTENSION } from '../types/vector/catalog-rows.ts'
import { supportFunction } from './builtin.ts'
import { type CatalogCallContext, contextOf, fromCatalog } from './call-context.ts'
import type { Catalog, ConstraintRow, FunctionRow, RelationRow } from './catalog.ts'
import {
  constraintText,
  defaultText,
  domainCheckText,
  expressionText,
  indexText,
  storedText,
  viewText,
} from './deparse.ts'
import { nameLookup } from './lookup.ts'
import { formatType, qualifiedRelationName, quoteIdentifier, quoteQualified, relationName } from './names.ts'
import { dataTable, fields } from './tsv.ts'

const relationOf = (c: CatalogCallContext, wanted: number): RelationRow | undefined => c.catalog.relation(oid(wanted))
const named = (c: CatalogCallContext, name: string): RelationRow => relationOf(c, nameLookup(c).findRelation(name))!

function view(c: CatalogCallContext, wanted: number, pretty: boolean): Value {
  const row = relationOf(c, wanted)
  if (row === undefined) return null
  return row.view === undefined ? 'Not a view' : viewText(c, row, pretty)
}

function indexDefinition(c: CatalogCallContext, wanted: number, column: number, pretty: boolean): Value {
  const row = relationOf(c, wanted)
  return row?.index === undefined ? null : indexText(c, row, column, pretty)
}

interface FoundConstraint {
  readonly table: RelationRow
  readonly constraint: ConstraintRow
}
/** Tables' constraints by oid, of one version of a catalog. */
const constraintIndexes = new WeakMap<Catalog, { version: number; byOid: ReadonlyMap<Oid, FoundConstraint> }>()

/** By pg_constraint.oid: a table's. */
export function findConstraint({ catalog }: CatalogCallContext, wanted: number): FoundConstraint | undefined {
  let kept = constraintIndexes.get(catalog)
  if (kept?.version !== catalog.version) {
    const byOid = new Map<Oid, FoundConstraint>()
    for (const table of catalog.relations())
      for (const constraint of table.constraints) byOid.set(constraint.oid, { table, constraint })
    constraintIndexes.set(catalog, (kept = { version: catalog.version, byOid }))
  }
  return kept.byOid.get(oid(wanted))
}
function constraintDefinition(c: CatalogCallContext, wanted: number, pretty: boolean): Value {
  const found = findConstraint(c, wanted)
  if (found !== undefined) return constraintText(c, found.table, found.constraint, pretty)
  const domain = findDomainConstraint(c, wanted)
  return domain === undefined ? null : domainCheckText(c, domain.check, pretty)
}
/** By pg_constraint.oid: a domain's check. */
export function findDomainConstraint(c: CatalogCallContext, wanted: number) {
  for (const type of c.catalog.types()) {
    const check = type.domain?.checks.find((each) => each.oid === wanted)
    if (check !== undefined) return { type, check }
  }
  return undefined
}

/**
 * pg_get_expr: a pg_node_tree column holds the text of an expression of that relation; the expression is found again by
 * it, and printed as this session's search path needs. Text of another relation comes back as it is.
 */
function expression(c: CatalogCallContext, text: string, relation: number, pretty: boolean): string {
  const row = relationOf(c, relation)
  if (row === undefined) return text
  for (const e of expressionsOf(c, row))
    if (storedText(c.catalog, e, row) === text) return expressionText(c, e, row, pretty)
  return text
}

function* expressionsOf(c: CatalogCallContext, row: RelationRow): Iterable<Expression> {
  for (const column of row.columns) if (column.default !== undefined) yield column.default
  for (const constraint of row.constraints) if (constraint.check !== undefined) yield constraint.check
  for (const self of row.indexes) {
    const index = c.catalog.relation(self)?.index
    if (index?.predicate !== undefined) yield index.predicate
    for (const key of index?.keys ?? []) if (key.expression !== undefined) yield key.expression
  }
}

const MODE_WORDS: Readonly<Record<string, string>> = { i: '', o: 'OUT ', b: 'INOUT ', v: 'VARIADIC ', t: '' }

/** A function's parameters as CREATE FUNCTION lists them. */
function functionArguments(c: CatalogCallContext, row: FunctionRow, defaults: boolean): string {
  const types = row.allArgTypes ?? row.argTypes
  const parts: string[] = []
  let input = 0
  const firstDefault = row.argTypes.length - row.argDefaults
  types.forEach((type, i) => {
    const mode = row.argModes?.[i] ?? 'i'
    const isInput = mode === 'i' || mode === 'b' || mode === 'v'
    const position = isInput ? input++ : -1
    if (mode === 't') return
    const name = row.argNames?.[i] ?? ''
    let text = `${row.kind === 'p' && mode === 'i' ? 'IN ' : MODE_WORDS[mode]}${name === '' ? '' : `${quoteIdentifier(name)} `}${formatType(c, type)}`
    const fallback =
      defaults && position >= firstDefault && row.argDefaults > 0 ? row.defaults?.[position - firstDefault] : undefined
    if (fallback !== undefined) text += ` DEFAULT ${defaultText(c, fallback)}`
    parts.push(text)
  })
  const aggregate = row.kind === 'a' ? c.catalog.aggregate(row.oid) : undefined
  if (aggregate === undefined || aggregate.kind === 'n') return parts.join(', ')
  const direct = parts.slice(0, aggregate.directArgs)
  const ordered = parts.slice(aggregate.directArgs)
  const rest = ordered.length > 0 ? ordered : direct.slice(-1)
  return `${direct.join(', ')}${direct.length > 0 ? ' ' : ''}ORDER BY ${rest.join(', ')}`
}

function functionResult(c: CatalogCallContext, row: FunctionRow): string | null {
  if (row.kind === 'p') return null
  const table = (row.argModes ?? []).flatMap((mode, i) =>
    mode === 't' ? [`${quoteIdentifier(row.argNames?.[i] ?? '')} ${formatType(c, row.allArgTypes![i]!)}`] : [],
  )
  if (table.length > 0) return `TABLE(${table.join(', ')})`
  return `${row.returnsSet ? 'SETOF ' : ''}${formatType(c, row.returnType)}`
}

const VOLATILITY: Readonly<Record<string, string>> = { i: ' IMMUTABLE', s: ' STABLE', v: '' }
const PARALLEL: Readonly<Record<string, string>> = { s: ' PARALLEL SAFE', r: ' PARALLEL RESTRICTED', u: '' }

function languageName(language: Oid): string {
  const line = dataTable('pg_language')
    .lines.map(fields)
    .find((row) => Number(row[0]) === language)
  return line?.[1] ?? String(language)
}

const functionReference = (c: CatalogCallContext, row: FunctionRow): string =>
  nameLookup(c).functionName(row.oid, false) ?? row.name

const LIST_SETTINGS = new Set([
  'search_path',
  'temp_tablespaces',
  'session_preload_libraries',
  'local_preload_libraries',
])
/** 'a, "B"' as SET has it: 'a', 'B'. */
const listOf = (value: string): string =>
  value.trim() === ''
    ? "''"
    : value
        .split(',')
        .map(
          (each) =>
            `'${each
              .trim()
              .replace(/^"(.*)"$/, '$1')
              .replaceAll('""', '"')
              .replaceAll("'", "''")}'`,
        )
        .join(', ')

function functionDefinition(c: CatalogCallContext, row: FunctionRow): string {
  if (row.kind === 'a') throw sqlError('42809', `"${row.name}" is an aggregate function`)
  const procedure = row.kind === 'p'
  const name = quoteQualified(c.catalog.namespace(row.namespace)?.name, row.name)
  let text = `CREATE OR REPLACE ${procedure ? 'PROCEDURE' : 'FUNCTION'} ${name}(${functionArguments(c, row, true)})\n`
  if (!procedure) text += ` RETURNS ${functionResult(c, row)}\n`
  text += ` LANGUAGE ${quoteIdentifier(languageName(row.language))}\n`
  let options = `${row.kind === 'w' ? ' WINDOW' : ''}${VOLATILITY[row.volatility]}${PARALLEL[row.parallel] ?? ''}${row.strict ? ' STRICT' : ''}`
  if (row.securityDefiner) options += ' SECURITY DEFINER'
  if (row.leakproof) options += ' LEAKPROOF'
  const internal = row.language === 12 || row.language === 13
  if (row.cost !== (internal ? 1 : 100)) options += ` COST ${row.cost}`
  if (row.rows > 0 && row.rows !== 1000) options += ` ROWS ${row.rows}`
  const support = supportFunction(row.oid)
  if (support !== undefined) options += ` SUPPORT ${functionReference(c, support)}`
  if (options !== '') text += `${options}\n`
  for (const setting of row.config ?? []) {
    const equals = setting.indexOf('=')
    const value = setting.slice(equals + 1)
    const list = LIST_SETTINGS.has(setting.slice(0, equals))
    text += ` SET ${setting.slice(0, equals)} TO ${list ? listOf(value) : `'${value.replaceAll("'", "''")}'`}\n`
  }
  const body = row.body ?? row.source
  if (body.startsWith('RETURN ') || body.startsWith('BEGIN ATOMIC')) return `${text}${body}\n`
  let quote = `$${procedure ? 'procedure' : 'function'}`
  while (body.includes(quote)) quote += 'x'
  return `${text}AS ${quote}$${body}${quote}$\n`
}

const forFunction = (body: (c: CatalogCallContext, row: FunctionRow) => Value) =>
  fromCatalog((c, wanted: number) => {
    const row = c.catalog.function(oid(wanted))
    return row === undefined ? null : body(c, row)
  })

function serialSequence(c: CatalogCallContext, table: string, column: string): Value {
  const row = named(c, table)
  const number = row.columns.find((each) => each.name === column && !each.dropped)?.number
  if (number === undefined) throw sqlError('42703', `column "${column}" of relation "${row.name}" does not exist`)
  for (const sequence of c.catalog.relations()) {
    const owner = sequence.sequence?.ownedBy
    if (owner?.table === row.oid && owner.column === number) return qualifiedRelationName(c, sequence)
  }
  return null
}

const ENCODINGS = [
  'SQL_ASCII',
  'EUC_JP',
  'EUC_CN',
  'EUC_KR',
  'EUC_TW',
  'EUC_JIS_2004',
  'UTF8',
  'MULE_INTERNAL',
  'LATIN1',
  'LATIN2',
  'LATIN3',
  'LATIN4',
  'LATIN5',
  'LATIN6',
  'LATIN7',
  'LATIN8',
  'LATIN9',
  'LATIN10',
  'WIN1256',
  'WIN1258',
  'WIN866',
  'WIN874',
  'KOI8R',
  'WIN1251',
  'WIN1252',
  'ISO_8859_5',
  'ISO_8859_6',
  'ISO_8859_7',
  'ISO_8859_8',
  'WIN1250',
  'WIN1253',
  'WIN1254',
  'WIN1255',
  'WIN1257',
  'KOI8U',
  'SJIS',
  'BIG5',
  'GBK',
  'UHC',
  'GB18030',
  'JOHAB',
  'SHIFT_JIS_2004',
] // prettier-ignore
const MAX_LENGTHS: Readonly<Record<number, number>> = {
  0: 1,
  1: 3,
  2: 2,
  3: 3,
  4: 4,
  5: 3,
  6: 4,
  7: 4,
  35: 2,
  36: 2,
  37: 2,
  38: 2,
  39: 4,
  40: 3,
  41: 2,
}

/** A table with its indexes; an index or other relation alone. */
const indexBytes = (c: CatalogCallContext, row: RelationRow): number =>
  row.indexes.reduce((sum, index) => sum + c.relationBytes(index), 0)
const sizeOf = (size: (c: CatalogCallContext, row: RelationRow) => number) =>
  fromCatalog((c, wanted: number) => {
    const row = relationOf(c, wanted)
    return row === undefined ? null : size(c, row)
  })
const ownBytes = (c: CatalogCallContext, row: RelationRow): number =>
  row.storageId === 0 && row.index === undefined ? 0 : c.relationBytes(row.oid)
const FORKS = ['main', 'fsm', 'vm', 'init']

function databaseNamed(c: CatalogCallContext, name: string): Oid {
  const row = c.catalog.databaseByName(name)
  if (row === undefined) throw sqlError('3D000', `database "${name}" does not exist`)
  return row.oid
}

/** Bits of pg_relation_is_updatable: 1 << 2 update, 3 insert, 4 delete (CmdType numbers). */
const ALL_EVENTS = (1 << 2) | (1 << 3) | (1 << 4)
/** A view that takes INSERT, UPDATE and DELETE: of one table, plain columns, nothing that gathers rows. */
function simplyUpdatable(c: CatalogCallContext, row: RelationRow): boolean {
  if (row.kind === 'r' || row.kind === 'p') return row.virtual !== true
  if (row.kind !== 'v' || row.view === undefined || !('query' in row.view)) return false
  const { query } = row.view
  const source =
    query.from.length === 1 && query.from[0]!.kind === 'relation' ? query.relations[query.from[0]!.relation] : undefined
  const base = source?.kind === 'table' ? source.oid : source?.kind === 'subquery' ? source.viewOid : undefined
  const plain =
    query.distinct.kind === 'none' &&
    query.groupBy.length === 0 &&
    query.having === undefined &&
    !query.hasAggregates &&
    query.windows.length === 0 &&
    query.limit === undefined &&
    query.offset === undefined &&
    query.setOperation === undefined &&
    query.ctes.length === 0 &&
    !query.hasSetReturning
  const target = base === undefined ? undefined : relationOf(c, base)
  return (
    plain &&
    target !== undefined &&
    query.targets.some((each) => each.expression.kind === 'var') &&
    simplyUpdatable(c, target)
  )
}
function updatableColumn(c: CatalogCallContext, row: RelationRow, column: number): boolean {
  if (!simplyUpdatable(c, row) || column < 1) return false
  if (row.kind !== 'v' || row.view === undefined || !('query' in row.view)) return true
  return row.view.query.targets.filter((each) => !each.junk)[column - 1]?.expression.kind === 'var'
}

function sequenceParameters(c: CatalogCallContext, wanted: number): Value {
  const row = relationOf(c, wanted)
  if (row?.sequence === undefined) throw sqlError('42809', `"${row?.name ?? wanted}" is not a sequence`)
  const s = row.sequence
  return new RecordValue(
    [s.start, s.min, s.max, s.increment, s.cycle, s.cache, s.type],
    [OID.int8, OID.int8, OID.int8, OID.int8, OID.bool, OID.int8, OID.oid],
  )
}

/** Properties of the access methods; null for a name that none knows. */
const METHOD_PROPERTIES: Readonly<Record<string, Readonly<Record<string, boolean>>>> = {
  btree: { can_order: true, can_unique: true, can_multi_col: true, can_exclude: true, can_include: true },
  hash: { can_order: false, can_unique: false, can_multi_col: false, can_exclude: true, can_include: false },
  gin: { can_order: false, can_unique: false, can_multi_col: true, can_exclude: false, can_include: false },
  hnsw: { can_order: false, can_unique: false, can_multi_col: false, can_exclude: false, can_include: false },
  ivfflat: { can_order: false, can_unique: false, can_multi_col: false, can_exclude: false, can_include: false },
}
const INDEX_PROPERTIES: Readonly<Record<string, Readonly<Record<string, boolean>>>> = {
  btree: { clusterable: true, index_scan: true, bitmap_scan: true, backward_scan: true },
  hash: { clusterable: false, index_scan: true, bitmap_scan: true, backward_scan: true },
  gin: { clusterable: false, index_scan: false, bitmap_scan: true, backward_scan: false },
  hnsw: { clusterable: false, index_scan: true, bitmap_scan: false, backward_scan: false },
  ivfflat: { clusterable: false, index_scan: true, bitmap_scan: false, backward_scan: false },
}

function columnProperty(c: CatalogCallContext, wanted: number, column: number, property: string): Value {
  const index = relationOf(c, wanted)?.index
  if (index === undefined) return null
  const key = index.keys[column - 1]
  const included = column > index.keys.length && column <= index.keys.length + index.include.length
  if (key === undefined && !included) return null
  const btree = index.method === 'btree'
  const distance = index.method === 'hnsw' || index.method === 'ivfflat'
  switch (property.toLowerCase()) {
    case 'asc':
      return included ? (btree ? null : false) : btree && !key!.descending
    case 'desc':
      return included ? (btree ? null : false) : btree && key!.descending
    case 'nulls_first':
      return included ? (btree ? null : false) : btree && key!.nullsFirst
    case 'nulls_last':
      return included ? (btree ? null : false) : btree && !key!.nullsFirst
    case 'orderable':
      return btree && !included
    case 'distance_orderable':
      return distance
    case 'returnable':
      return btree
    case 'search_array':
    case 'search_nulls':
      return btree && !included
    default:
      return null
  }
}

const property = (
  table: Readonly<Record<string, Readonly<Record<string, boolean>>>>,
  method: string | undefined,
  name: string,
): Value => (method === undefined ? undefined : table[method]?.[name.toLowerCase()]) ?? null

const methodName = (c: CatalogCallContext, wanted: number): string | undefined => {
  for (const line of dataTable('pg_am').lines) {
    const [method, name] = fields(line)
    if (Number(method) === wanted) return name!
  }
  return c.catalog.opclass(oid(wanted))?.method
}

/** What this server does not have: publications, slots, subscriptions, prepared transactions. Their views are empty. */
const NOTHING = set(() => () => [])
const ABSENT = [
  'pg_get_publication_tables',
  'pg_get_replication_slots',
  'pg_show_replication_origin_status',
  'pg_stat_get_subscription',
  'pg_stats_ext_mcvlist_items',
  'pg_prepared_xact',
]

export const SHOW_FUNCTIONS: FunctionTable = {
  ...Object.fromEntries(ABSENT.map((name) => [name, NOTHING])),
  current_database: fromCatalog((c) => c.catalog.databaseName),
  format_type: fromCatalog((c, type: number | null, typmod: number | null) =>
    type === null ? null : formatType(c, oid(type), typmod ?? undefined),
  ),
  pg_get_userbyid: fromCatalog((c, role: number) => c.catalog.role(oid(role))?.name ?? `unknown (OID=${role})`),

  pg_get_viewdef: fromCatalog((c, row: number) => view(c, row, false)),
  pg_get_viewdef_ext: fromCatalog((c, row: number, pretty: boolean) => view(c, row, pretty)),
  pg_get_viewdef_wrap: fromCatalog((c, row: number) => view(c, row, true)),
  pg_get_viewdef_name: fromCatalog((c, name: string) => view(c, named(c, name).oid, false)),
  pg_get_viewdef_name_ext: fromCatalog((c, name: string, pretty: boolean) => view(c, named(c, name).oid, pretty)),
  pg_get_indexdef: fromCatalog((c, row: number) => indexDefinition(c, row, 0, false)),
  pg_get_indexdef_ext: fromCatalog((c, row: number, column: number, pretty: boolean) =>
    indexDefinition(c, row, column, pretty),
  ),
  pg_get_constraintdef: fromCatalog((c, row: number) => constraintDefinition(c, row, false)),
  pg_get_constraintdef_ext: fromCatalog((c, row: number, pretty: boolean) => constraintDefinition(c, row, pretty)),
  pg_get_expr: fromCatalog((c, text: string, relation: number) => expression(c, text, relation, false)),
  pg_get_expr_ext: fromCatalog((c, text: string, relation: number, pretty: boolean) =>
    expression(c, text, relation, pretty),
  ),
  pg_get_ruledef: fromCatalog((c, rule: number) => ruleDefinition(c, rule, false)),
  pg_get_ruledef_ext: fromCatalog((c, rule: number, pretty: boolean) => ruleDefinition(c, rule, pretty)),
  pg_get_serial_sequence: fromCatalog(serialSequence),
  /** No table is partitioned, none has triggers or extended statistics of its own. */
  pg_get_partkeydef: fromCatalog(() => null),
  pg_get_partition_constraintdef: fromCatalog(() => null),
  pg_get_triggerdef: fromCatalog(() => null),
  pg_get_triggerdef_ext: fromCatalog(() => null),
  pg_get_statisticsobjdef: fromCatalog(() => null),
  pg_get_statisticsobjdef_columns: fromCatalog(() => null),
  pg_get_statisticsobjdef_expressions: fromCatalog(() => null),
  pg_partition_root: fromCatalog(() => null),

  pg_get_function_arguments: forFunction((c, row) => functionArguments(c, row, true)),
  pg_get_function_identity_arguments: forFunction((c, row) => functionArguments(c, row, false)),
  pg_get_function_result: forFunction(functionResult),
  pg_get_functiondef: forFunction(functionDefinition),
  pg_get_function_sqlbody: forFunction((_, row) =>
    row.body !== undefined && /^(RETURN |BEGIN ATOMIC)/.test(row.body) ? row.body : null,
  ),
  pg_get_function_arg_default: fromCatalog((c, wanted: number, argument: number) => {
    const row = c.catalog.function(oid(wanted))
    const fallback = row?.defaults?.[argument - 1 - (row.argTypes.length - row.argDefaults)]
    return fallback === undefined ? null : defaultText(c, fallback)
  }),

  pg_get_keywords: set(
    () => () =>
      dataTable('keywords').lines.map((line) => {
        const [word, catcode, barelabel, catdesc, baredesc] = fields(line)
        return new RecordValue(
          [word!, catcode!, barelabel === 't', catdesc!, baredesc!],
          [OID.text, OID.char, OID.bool, OID.text, OID.text],
        )
      }),
  ),
  PG_encoding_to_char: fromCatalog((_, encoding: number) => ENCODINGS[encoding] ?? ''),
  pg_encoding_max_length_sql: fromCatalog((_, encoding: number) =>
    ENCODINGS[encoding] === undefined ? null : (MAX_LENGTHS[encoding] ?? 1),
  ),

  pg_relation_size: fromCatalog((c, wanted: number, fork: string) => {
    if (!FORKS.includes(fork))
      throw sqlError('22023', 'invalid fork name', { hint: 'Valid fork names are "main", "fsm", "vm", and "init".' })
    const row = relationOf(c, wanted)
    return row === undefined ? null : fork === 'main' ? ownBytes(c, row) : 0
  }),
  pg_table_size: sizeOf(ownBytes),
  pg_indexes_size: sizeOf(indexBytes),
  pg_total_relation_size: sizeOf((c, row) => ownBytes(c, row) + indexBytes(c, row)),
  pg_database_size_oid: fromCatalog((c, wanted: number) =>
    c.catalog.database(oid(wanted)) === undefined ? null : c.databaseBytes(oid(wanted)),
  ),
  pg_database_size_name: fromCatalog((c, name: string) => c.databaseBytes(databaseNamed(c, name))),
  pg_tablespace_location: fromCatalog(() => ''),
  pg_relation_filenode: fromCatalog((c, wanted: number) => {
    const row = relationOf(c, wanted)
    return row === undefined || (row.storageId === 0 && row.kind !== 'i' && row.kind !== 'S')
      ? null
      : row.storageId || row.oid
  }),
  pg_sequence_last_value: fromCatalog((c, wanted: number) => c.sequenceLastValue(oid(wanted))),
  pg_sequence_parameters: fromCatalog(sequenceParameters),
  pg_my_temp_schema: fromCatalog((c) => c.tempNamespace),
  pg_is_other_temp_schema: fromCatalog(
    (c, wanted: number) =>
      wanted !== c.tempNamespace && (c.catalog.namespace(oid(wanted))?.name.startsWith('pg_temp_') ?? false),
  ),
  /** Row security policies are not supported: none is active. */
  row_security_active: fromCatalog((c, wanted: number) => (relationOf(c, wanted) === undefined ? null : false)),
  row_security_active_name: fromCatalog((c, name: string) => (named(c, name) === undefined ? null : false)),
  pg_relation_is_updatable: fromCatalog((c, wanted: number) => {
    const row = relationOf(c, wanted)
    return row !== undefined && simplyUpdatable(c, row) ? ALL_EVENTS : 0
  }),
  pg_column_is_updatable: fromCatalog((c, wanted: number, column: number) => {
    const row = relationOf(c, wanted)
    return row !== undefined && updatableColumn(c, row, column)
  }),
  pg_relation_is_publishable: fromCatalog((c, wanted: number) => {
    const row = relationOf(c, wanted)
    return row === undefined ? null : row.kind === 'r' && row.persistence === 'p' && row.virtual !== true
  }),
  pg_options_to_table: set(
    () => (options: ArrayValue) =>
      options.elements.map((option) => {
        const text = String(option)
        const equals = text.indexOf('=')
        const [name, value] = equals < 0 ? [text, null] : [text.slice(0, equals), text.slice(equals + 1)]
        return new RecordValue([name, value], [OID.text, OID.text])
      }),
  ),
  pg_settings_get_flags: fromCatalog((_, name: string) => {
    for (const line of dataTable('settings').lines) {
      const row = fields(line)
      if (row[0] !== name.toLowerCase()) continue
      const flags = row.at(-1) ?? ''
      return ArrayValue.of(flags === '' ? [] : flags.split(' '))
    }
    return null
  }),
  pg_collation_actual_version: fromCatalog(() => null),
  pg_indexam_has_property: fromCatalog((c, method: number, name: string) =>
    property(METHOD_PROPERTIES, methodName(c, method), name),
  ),
  pg_index_has_property: fromCatalog((c, index: number, name: string) =>
    property(INDEX_PROPERTIES, relationOf(c, index)?.index?.method, name),
  ),
  pg_index_column_has_property: fromCatalog(columnProperty),
  pg_available_extensions: set(
    () => () =>
      EXTENSIONS.map(
        ([name, version, comment]) => new RecordValue([name, version, comment], [OID.name, OID.text, OID.text]),
      ),
  ),
  pg_available_extension_versions: set(
    () => () =>
      EXTENSIONS.map(
        ([name, version, comment]) =>
          new RecordValue(
            [name, version, true, false, true, null, null, comment],
            [OID.name, OID.text, OID.bool, OID.bool, OID.bool, OID.name, NAME_ARRAY, OID.text],
          ),
      ),
  ),
  pg_extension_update_paths: set(() => () => []),
  /** The session's: how many partitions, none. */
  pg_partition_ancestors: set(() => () => []),
  pg_partition_tree: set((call) => (wanted: number) => {
    const row = relationOf(contextOf(call), wanted)
    return row?.kind === 'p'
      ? [new RecordValue([wanted, null, true, 0], [OID.regclass, OID.regclass, OID.bool, OID.int4])]
      : []
  }),
}
const NAME_ARRAY = oid(1003)

/** name, version, comment. */
const EXTENSIONS: readonly (readonly [string, string, string])[] = [
  [VECTOR_EXTENSION.name, VECTOR_EXTENSION.version, VECTOR_EXTENSION.comment],
  ...FUNCTION_EXTENSIONS.map(({ name, version, comment }) => [name, version, comment] as const),
]

function ruleDefinition(c: CatalogCallContext, rule: number, pretty: boolean): Value {
  // A user view's rule has its view's oid; a system view's is in the data.
  const line = dataTable('pg_rewrite').lines.find((each) => each.startsWith(`${rule}\t`))
  const row = relationOf(c, line === undefined ? rule : Number(fields(line)[2]))
  if (row?.view === undefined) return null
  const name = pretty ? relationName(c, row) : qualifiedRelationName(c, row)
  return `CREATE RULE "_RETURN" AS\n    ON SELECT TO ${name} DO INSTEAD ${viewText(c, row, pretty)}`
}
