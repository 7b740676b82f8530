/** System tables about relations: pg_class, pg_attribute, pg_attrdef, pg_index, pg_constraint, pg_rewrite, pg_sequence, pg_statistic. */
import type { Oid } from '../../storage/keys/brand.ts'
import { ArrayValue, type Value } from '../types/value.ts'
import type { ColumnRow, ConstraintRow, ForeignKeyAction, RelationRow } from './catalog.ts'
import { storedText, systemScope, viewText } from './deparse.ts'
import { valueText } from './deparse-expression.ts'
import type { NameScope } from './names.ts'
import type { CatalogView } from './view.ts'
import { aclValue, numberArray, type RowRecord, type RowSource, textArray, userRows, vector } from './virtual-source.ts'

const HEAP = 2
const METHOD_OIDS: Readonly<Record<string, number>> = { btree: 403, hash: 405, gist: 783, gin: 2742, brin: 3580 }
/** hnsw and ivfflat have rows of their own in pg_am. */
function methodOid(view: CatalogView, name: string): number {
  return METHOD_OIDS[name] ?? view.accessMethod(name) ?? 0
}

const PAGE_BYTES = 8192
const hasRows = (row: RelationRow): boolean => row.kind === 'r' || row.kind === 'm' || row.kind === 't'

function* classRows(view: CatalogView, lookup: Parameters<RowSource>[1]): Iterable<RowRecord> {
  for (const row of userRows(view, 'relation', lookup, 'oid')) {
    const statistics = view.statistics(row.kind === 'i' ? row.index!.table : row.oid)
    const stored = hasRows(row) || row.kind === 'i' || row.kind === 'S'
    const pages = statistics === undefined ? 0 : Math.ceil(statistics.bytes / PAGE_BYTES)
    yield {
      oid: row.oid,
      relname: row.name,
      relnamespace: row.namespace,
      reltype: row.rowType,
      reloftype: 0,
      relowner: row.owner,
      relam: row.kind === 'i' ? methodOid(view, row.index!.method) : hasRows(row) ? HEAP : 0,
      relfilenode: stored ? row.storageId || row.oid : 0,
      reltablespace: 0,
      relpages: row.kind === 'S' || row.kind === 'i' ? Math.max(1, pages) : pages,
      reltuples: row.kind === 'S' ? 1 : (statistics?.rows ?? (row.kind === 'i' ? 0 : -1)),
      relallvisible: 0,
      reltoastrelid: 0,
      relhasindex: row.indexes.length > 0,
      relisshared: false,
      relpersistence: row.persistence,
      relkind: row.kind,
      relnatts: row.kind === 'i' ? row.index!.keys.length + row.index!.include.length : row.columns.length,
      relchecks: row.constraints.filter((constraint) => constraint.type === 'c').length,
      relhasrules: row.kind === 'v' || row.kind === 'm',
      relhastriggers:
        row.constraints.some((constraint) => constraint.type === 'f') || view.referencing(row.oid).length > 0,
      relhassubclass: false,
      relrowsecurity: false,
      relforcerowsecurity: false,
      relispopulated: row.populated !== false,
      relreplident: row.kind === 'r' || row.kind === 'm' ? 'd' : 'n',
      relispartition: false,
      relrewrite: 0,
      relfrozenxid: hasRows(row) ? 3 : 0,
      relminmxid: hasRows(row) ? 1 : 0,
      relacl: aclValue(view, row.acl),
      reloptions: row.options === undefined || row.options.length === 0 ? null : textArray(row.options),
    }
  }
}

/** In every table, before its own columns. */
const SYSTEM_COLUMNS: readonly (readonly [name: string, type: number, number: number])[] = [
  ['tableoid', 26, -6],
  ['cmax', 29, -5],
  ['xmax', 28, -4],
  ['cmin', 29, -3],
  ['xmin', 28, -2],
  ['ctid', 27, -1],
]

/**
 * pg_attribute has the most rows by far: they are made in place, in the order of its columns, and not as records. A lookup
 * is by attrelid.
 */
export function* attributeRows(view: CatalogView, lookup: Parameters<RowSource>[1]): Iterable<readonly Value[]> {
  for (const row of userRows(view, 'relation', lookup, 'attrelid')) {
    if (hasRows(row) || row.kind === 'S')
      for (const [name, type, number] of SYSTEM_COLUMNS) yield systemAttribute(view, row.oid, name, type as Oid, number)
    for (const column of columnsOf(view, row)) yield attribute(view, row, column)
  }
}

/** What a hash index keeps of a key. */
const INT4 = 23 as Oid
/** An index's columns are its keys and what it includes, when its descriptor has none of its own. */
function columnsOf(view: CatalogView, row: RelationRow): readonly ColumnRow[] {
  if (row.kind !== 'i') return row.columns
  const hashed = row.index!.method === 'hash'
  if (row.columns.length > 0) return hashed ? row.columns.map((each) => ({ ...each, type: INT4 })) : row.columns
  const table = view.relation(row.index!.table)
  const column = (number: number, name: string, type: Oid, typmod: number, collation: Oid): ColumnRow => ({
    number,
    name,
    type,
    typmod,
    collation,
    notNull: false,
    dropped: false,
  })
  const keys = row.index!.keys.map((key, i) => {
    const own = table?.columns[key.column - 1]
    const name =
      own?.name ??
      (key.expression?.kind === 'call' ? view.function(key.expression.function)?.name : undefined) ??
      'expr'
    return column(i + 1, name, hashed ? INT4 : key.type, key.typmod, key.collation)
  })
  const included = row.index!.include.map((number, i) => {
    const own = table!.columns[number - 1]!
    return column(keys.length + i + 1, own.name, own.type, own.typmod, own.collation)
  })
  return [...keys, ...included]
}

function systemAttribute(view: CatalogView, relation: Oid, name: string, type: Oid, number: number): readonly Value[] {
  const row = view.typeRow(type)!
  // prettier-ignore
  return [
    relation,
    name,
    type,
    0,
    row.length,
    number,
    0,
    -1,
    -1,
    row.byValue,
    row.align,
    row.storage,
    '',
    true,
    false,
    false,
    '',
    '',
    false,
    true,
    0,
    0,
    null,
    null,
    null,
    null,
  ]
}

/** What a dropped column's type was like. */
const slot = (length: number, align: string) => ({
  length,
  byValue: length > 0,
  align,
  storage: length > 0 ? 'p' : 'x',
})
const SLOTS: Readonly<Record<NonNullable<ColumnRow['storage']>, ReturnType<typeof slot>>> = {
  bool: slot(1, 'c'),
  int16: slot(2, 's'),
  int32: slot(4, 'i'),
  uint32: slot(4, 'i'),
  int64: slot(8, 'd'),
  float32: slot(4, 'i'),
  float64: slot(8, 'd'),
  date: slot(4, 'i'),
  timestamp: slot(8, 'd'),
  text: slot(-1, 'i'),
  bytes: slot(-1, 'i'),
}

/** attrelid, attname, atttypid, attstattarget, attlen, attnum, attndims, attcacheoff, atttypmod, attbyval, attalign, … */
function attribute(view: CatalogView, row: RelationRow, column: ColumnRow): readonly Value[] {
  const { dropped, number } = column
  const type = dropped ? SLOTS[column.storage ?? 'bytes'] : view.typeRow(column.type)
  // prettier-ignore
  return [
    row.oid,
    dropped ? `........pg.dropped.${number}........` : column.name,
    dropped ? 0 : column.type,
    dropped ? 0 : (column.statisticsTarget ?? -1),
    type?.length ?? 0,
    number,
    !dropped && view.typeRow(column.type)?.isArray === true ? 1 : 0,
    -1,
    column.typmod,
    type?.byValue ?? false,
    type?.align ?? 'i',
    column.storageMode ?? type?.storage ?? 'p',
    '',
    column.notNull && !dropped,
    // An identity column's default is its sequence: PostgreSQL keeps none.
    column.default !== undefined && column.identity === undefined,
    column.missing !== undefined,
    column.identity === undefined ? '' : column.identity === 'always' ? 'a' : 'd',
    column.generated === undefined ? '' : 's',
    dropped,
    true,
    0,
    column.collation,
    aclValue(view, column.acl),
    null,
    null,
    column.missing === undefined || column.missing.value === null
      ? null
      : ArrayValue.of([valueText(systemScope(view), column.type, column.missing.value)]),
  ]
}

/** pg_attrdef has an oid of its own a row: made from the column's. */
export const defaultOid = (relation: Oid, column: number): number => (relation * 2048 + column) >>> 0

function* defaultRows(view: CatalogView, lookup: Parameters<RowSource>[1]): Iterable<RowRecord> {
  for (const row of userRows(view, 'relation', lookup, 'adrelid')) {
    for (const column of row.columns) {
      if (column.default === undefined || column.identity !== undefined || column.dropped) continue
      yield {
        oid: defaultOid(row.oid, column.number),
        adrelid: row.oid,
        adnum: column.number,
        adbin: storedText(view, column.default, row),
      }
    }
  }
}
function* indexRows(view: CatalogView, lookup: Parameters<RowSource>[1]): Iterable<RowRecord> {
  for (const row of indexesOf(view, lookup)) {
    const index = row.index
    if (index === undefined) continue
    const table = view.relation(index.table)
    const expressions = index.keys.flatMap((key) =>
      key.expression === undefined ? [] : [storedText(view, key.expression, table)],
    )
    yield {
      indexrelid: row.oid,
      indrelid: index.table,
      indnatts: index.keys.length + index.include.length,
      indnkeyatts: index.keys.length,
      indisunique: index.unique,
      indnullsnotdistinct: index.nullsNotDistinct,
      indisprimary: index.primary,
      indisexclusion: false,
      indimmediate: index.immediate,
      indisclustered: false,
      indisvalid: index.valid,
      indcheckxmin: false,
      indisready: true,
      indislive: true,
      indisreplident: false,
      indkey: vector([...index.keys.map((key) => key.column), ...index.include]),
      indcollation: vector(index.keys.map((key) => key.collation)),
      indclass: vector(index.keys.map((key) => key.opclass)),
      indoption: vector(index.keys.map((key) => (key.descending ? 1 : 0) + (key.nullsFirst ? 2 : 0))),
      indexprs: expressions.length === 0 ? null : expressions.join(', '),
      indpred: index.predicate === undefined ? null : storedText(view, index.predicate, table),
    }
  }
}

function indexesOf(view: CatalogView, lookup: Parameters<RowSource>[1]): Iterable<RelationRow> {
  if (lookup?.column !== 'indrelid') return userRows(view, 'relation', lookup, 'indexrelid')
  const indexes = view.own('relation', lookup.value as Oid)?.indexes ?? []
  return indexes.flatMap((index) => view.own('relation', index) ?? [])
}

const ACTION_LETTERS: Readonly<Record<ForeignKeyAction, string>> = {
  'no-action': 'a',
  restrict: 'r',
  cascade: 'c',
  'set-null': 'n',
  'set-default': 'd',
}

function* constraintRows(view: CatalogView, lookup: Parameters<RowSource>[1]): Iterable<RowRecord> {
  if (lookup?.column !== 'contypid') {
    for (const row of userRows(view, 'relation', lookup, 'conrelid')) {
      for (const constraint of row.constraints) yield constraintRecord(view, row, constraint)
    }
  }
  if (lookup?.column === 'conrelid') return
  for (const type of userRows(view, 'type', lookup, 'contypid')) {
    for (const check of type.domain?.checks ?? []) {
      yield {
        ...constraintBase(check.oid, check.name, 'c', type.namespace),
        convalidated: check.validated,
        contypid: type.oid,
        connoinherit: false,
        conbin: storedText(view, check.check, undefined),
      }
    }
  }
}

const constraintBase = (self: Oid, name: string, type: string, namespace: Oid): RowRecord => ({
  oid: self,
  conname: name,
  connamespace: namespace,
  contype: type,
  condeferrable: false,
  condeferred: false,
  convalidated: true,
  conrelid: 0,
  contypid: 0,
  conindid: 0,
  conparentid: 0,
  confrelid: 0,
  confupdtype: ' ',
  confdeltype: ' ',
  confmatchtype: ' ',
  conislocal: true,
  coninhcount: 0,
})

/** The '=' that an equality function is behind. */
const equalityOf = (view: CatalogView, fn: Oid): number =>
  view.operatorsByName('=').find((operator) => operator.function === fn)?.oid ?? 0

function constraintRecord(view: CatalogView, row: RelationRow, constraint: ConstraintRow): RowRecord {
  const key = constraint.foreignKey
  const check = constraint.type === 'c'
  return {
    ...constraintBase(constraint.oid, constraint.name, constraint.type, row.namespace),
    condeferrable: constraint.deferrable,
    condeferred: constraint.initiallyDeferred,
    convalidated: constraint.validated,
    conrelid: row.oid,
    conindid: constraint.index ?? 0,
    connoinherit: check ? constraint.noInherit === true : true,
    conkey: constraint.columns.length === 0 ? null : numberArray(constraint.columns),
    ...(key === undefined
      ? {}
      : {
          confrelid: key.table,
          confupdtype: ACTION_LETTERS[key.onUpdate],
          confdeltype: ACTION_LETTERS[key.onDelete],
          confmatchtype: key.match === 'full' ? 'f' : 's',
          confkey: numberArray(key.columns),
          conpfeqop: numberArray(key.operators.map((fn) => equalityOf(view, fn))),
          conppeqop: numberArray(key.operators.map((fn) => equalityOf(view, fn))),
          conffeqop: numberArray(key.operators.map((fn) => equalityOf(view, fn))),
          confdelsetcols: key.onDeleteColumns.length === 0 ? null : numberArray(key.onDeleteColumns),
        }),
    conbin: constraint.check === undefined ? null : storedText(view, constraint.check, row),
  }
}

/** A view's rule has its view's oid: unique in pg_rewrite. */
function* rewriteRows(view: CatalogView, lookup: Parameters<RowSource>[1]): Iterable<RowRecord> {
  const scope = systemScope(view)
  for (const row of userRows(view, 'relation', lookup, 'oid', 'ev_class')) {
    if (row.view === undefined) continue
    yield {
      oid: row.oid,
      rulename: '_RETURN',
      ev_class: row.oid,
      ev_type: '1',
      ev_enabled: 'O',
      is_instead: true,
      ev_qual: '<>',
      ev_action: viewText(scope, row),
    }
  }
}

function* sequenceRows(view: CatalogView, lookup: Parameters<RowSource>[1]): Iterable<RowRecord> {
  for (const row of userRows(view, 'relation', lookup, 'seqrelid')) {
    const { sequence } = row
    if (sequence === undefined) continue
    yield {
      seqrelid: row.oid,
      seqtypid: sequence.type,
      seqstart: sequence.start,
      seqincrement: sequence.increment,
      seqmax: sequence.max,
      seqmin: sequence.min,
      seqcache: sequence.cache,
      seqcycle: sequence.cycle,
    }
  }
}

const MCV = 1
const HISTOGRAM = 2
const CORRELATION = 3

/** Values of a column of any type as anyarray: shown as text. */
const texts = (scope: NameScope, type: Oid, values: readonly Value[]): Value =>
  ArrayValue.of(values.map((value) => (value === null ? null : valueText(scope, type, value))))

function* statisticRows(view: CatalogView, lookup: Parameters<RowSource>[1]): Iterable<RowRecord> {
  const scope = systemScope(view)
  for (const statistics of userRows(view, 'statistics', lookup, 'starelid')) {
    const table = view.relation(statistics.oid)
    for (const column of statistics.columns) {
      const of = table?.columns[column.column - 1]
      if (of === undefined || of.dropped) continue
      const order = view.btree(of.type)
      const slots: { kind: number; operator: number; numbers: Value; values: Value }[] = []
      if (column.commonValues.length > 0) {
        slots.push({
          kind: MCV,
          operator: order?.eq ?? 0,
          numbers: ArrayValue.of(column.commonFrequencies),
          values: texts(scope, of.type, column.commonValues),
        })
      }
      if (column.histogram.length > 0) {
        slots.push({
          kind: HISTOGRAM,
          operator: order?.lt ?? 0,
          numbers: null,
          values: texts(scope, of.type, column.histogram),
        })
      }
      if (order !== undefined)
        slots.push({
          kind: CORRELATION,
          operator: order.lt,
          numbers: ArrayValue.of([column.correlation]),
          values: null,
        })
      const record: Record<string, Value> = {
        starelid: statistics.oid,
        staattnum: column.column,
        stainherit: false,
        stanullfrac: column.nullFraction,
        stawidth: column.averageWidth,
        stadistinct: column.distinct,
      }
      for (let n = 1; n <= 5; n++) {
        const slot = slots[n - 1]
        record[`stakind${n}`] = slot?.kind ?? 0
        record[`staop${n}`] = slot?.operator ?? 0
        record[`stacoll${n}`] = slot === undefined ? 0 : of.collation
        record[`stanumbers${n}`] = slot?.numbers ?? null
        record[`stavalues${n}`] = slot?.values ?? null
      }
      yield record
    }
  }
}

export const RELATION_ROWS: Readonly<Record<string, RowSource>> = {
  pg_class: classRows,
  pg_attrdef: defaultRows,
  pg_index: indexRows,
  pg_constraint: constraintRows,
  pg_rewrite: rewriteRows,
  pg_sequence: sequenceRows,
  pg_statistic: statisticRows,
}
