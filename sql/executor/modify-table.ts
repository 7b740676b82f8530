/**
 * What a table asks of those who change its rows: where they lie, what must hold, which entries follow them. Made once a
 * descriptor and catalog version; one execution binds it (modify-rows.ts).
 *
 * Rows here are rows of values of the table's live columns, in attribute order; expressions that the catalog keeps over
 * vars of relation 0 become expressions over such a row.
 */
import type { Key } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import { clusteredIndex, entryPrefix, type KeySpace, keyColumn, leftOutPrefix, rowPrefix } from '../access/keys.ts'
import { layoutOf, type RowLayout, type RowReader, type RowWriter, rowWriter, wholeRowReader } from '../access/row.ts'
import { isVectorIndex, vectorIndexSpec } from '../access/vector-spec.ts'
import type { Catalog, ColumnRow, ConstraintRow, IndexRow, RelationRow } from '../catalog/catalog.ts'
import { indexText } from '../catalog/deparse.ts'
import { SYSTEM_PATH } from '../catalog/names.ts'
import type { Expression } from '../plan/expression.ts'
import { forEachChild, mapChildren } from '../plan/walk.ts'
import { type ErrorFields, type SqlError, sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import type { TypeContext } from '../types/type.ts'
import type { Row, Value } from '../types/value.ts'
import { type VectorEntry, vectorEntry } from '../vector/entry.ts'
import { compilePredicate, compileRow, compileValue } from './compile.ts'
import type { Compiled, CompileEnv } from './env.ts'
import type { MutableRow } from './operator.ts'

export interface IndexWriter {
  readonly relation: RelationRow
  readonly info: IndexRow
  readonly space: KeySpace
  /** Where the key columns stand in the row `source` gives. */
  readonly positions: readonly number[]
  /** Expression indexes: the key's values. undefined: the row itself. */
  readonly source: Compiled<MutableRow> | undefined
  readonly predicate: Compiled<boolean> | undefined
  /** Attribute numbers whose change may change the entry. */
  readonly attributes: ReadonlySet<number>
  /** Equal keys meet in one entry. */
  readonly meets: boolean
  /** Unique, but checked at the end of the statement or transaction. */
  readonly late: boolean
  /** A vector index: the last key column is the entry's value, the others are in its key. undefined for an ordered index. */
  readonly vector: VectorEntry | undefined
  /** Of a vector index: what the keys of rows begin with that it leaves out. */
  readonly leftOut: Key
}

export interface TableWriter {
  readonly table: RelationRow
  readonly env: CompileEnv
  readonly layout: RowLayout
  readonly live: readonly ColumnRow[]
  /** By attribute number: its place among the live columns, or -1. */
  readonly position: readonly number[]
  readonly prefix: Key
  readonly read: RowReader
  readonly write: RowWriter
  /** The clustered primary key. */
  readonly primary:
    | {
        readonly relation: RelationRow
        readonly space: KeySpace
        readonly positions: readonly number[]
        readonly attributes: ReadonlySet<number>
      }
    | undefined
  readonly indexes: readonly IndexWriter[]
  readonly generated: readonly { readonly position: number; readonly value: Compiled<Value> }[]
  readonly notNull: readonly { readonly position: number; readonly column: ColumnRow }[]
  readonly checks: readonly { readonly constraint: ConstraintRow; readonly holds: Compiled<Value> }[]
  /** Columns of unique indexes that foreign keys may point at: changing one takes the stronger row lock. */
  readonly keyAttributes: ReadonlySet<number>
  /** Constraints of type f. */
  readonly foreignKeys: readonly ConstraintRow[]
  /** Foreign keys that point here. */
  readonly referencing: readonly { readonly table: RelationRow; readonly constraint: ConstraintRow }[]
}

const known = new WeakMap<RelationRow, { readonly version: number; readonly writer: TableWriter }>()

export function tableWriter(table: RelationRow, env: CompileEnv): TableWriter {
  const found = known.get(table)
  const { version } = env.catalog
  if (found !== undefined && found.version === version) return found.writer
  const writer = makeWriter(table, env.mode === 'often' ? env : { ...env, mode: 'often' })
  known.set(table, { version, writer })
  return writer
}

function makeWriter(table: RelationRow, env: CompileEnv): TableWriter {
  const { catalog } = env
  const layout = layoutOf(table, catalog)
  const live = table.columns.filter((column) => !column.dropped)
  const position = positionsOf(table)
  const primary = clusteredIndex(catalog, table)
  const indexes = table.indexes.map((oid) => {
    const relation = catalog.relation(oid)
    invariant(relation?.index !== undefined, `index ${oid}`)
    return relation
  })
  const checks = table.constraints.filter((constraint) => constraint.type === 'c' && constraint.check !== undefined)
  return {
    table,
    env,
    layout,
    live,
    position,
    prefix: rowPrefix(catalog.databaseOid, table),
    read: wholeRowReader(layout),
    write: rowWriter(layout),
    primary: primary && {
      relation: primary,
      space: {
        prefix: rowPrefix(catalog.databaseOid, table),
        columns: primary.index!.keys.map((key) => keyColumn(key, catalog)),
      },
      positions: primary.index!.keys.map((key) => position[key.column]!),
      attributes: new Set(primary.index!.keys.map((key) => key.column)),
    },
    indexes: indexes.filter((index) => index.oid !== primary?.oid).map((index) => indexWriter(table, index, env)),
    generated: live.flatMap((column, i) =>
      column.generated === undefined || column.default === undefined
        ? []
        : [{ position: i, value: compileValue(overRow(column.default, table), env) }],
    ),
    notNull: live.flatMap((column, i) => (column.notNull ? [{ position: i, column }] : [])),
    checks: checks
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((constraint) => ({ constraint, holds: compileValue(overRow(constraint.check!, table), env) })),
    keyAttributes: new Set(
      indexes.flatMap(({ index }) =>
        index!.unique &&
        index!.immediate &&
        index!.predicate === undefined &&
        index!.keys.every((key) => key.column > 0)
          ? index!.keys.map((key) => key.column)
          : [],
      ),
    ),
    foreignKeys: table.constraints.filter((constraint) => constraint.type === 'f'),
    referencing: catalog.referencing(table.oid),
  }
}

/** By attribute number: the column's place among the live ones, or -1. */
export function positionsOf(table: RelationRow): number[] {
  const position = [-1]
  let next = 0
  for (const column of table.columns) position.push(column.dropped ? -1 : next++)
  return position
}

export function indexWriter(table: RelationRow, relation: RelationRow, env: CompileEnv): IndexWriter {
  const info = relation.index!
  const { catalog } = env
  const position = positionsOf(table)
  const vector = isVectorIndex(relation)
  const withExpressions = info.keys.some((key) => key.column === 0)
  const attributes = new Set<number>()
  const collect = (e: Expression): void => {
    if (e.kind === 'var') {
      if (e.column > 0) attributes.add(e.column)
      else for (const column of table.columns) attributes.add(column.number)
    }
    forEachChild(e, collect)
  }
  for (const key of info.keys) {
    if (key.column > 0) attributes.add(key.column)
    else collect(key.expression!)
  }
  if (info.predicate !== undefined) collect(info.predicate)
  return {
    relation,
    info,
    space: {
      prefix: entryPrefix(catalog.databaseOid, relation),
      columns: (vector ? info.keys.slice(0, -1) : info.keys).map((key) => keyColumn(key, catalog)),
    },
    positions: info.keys.map((key, i) => (withExpressions ? i : position[key.column]!)),
    source: withExpressions
      ? compileRow(
          info.keys.map(
            (key): Expression =>
              key.column === 0
                ? overRow(key.expression!, table)
                : { kind: 'column', index: position[key.column]!, type: key.type, typmod: key.typmod },
          ),
          env,
        )
      : undefined,
    predicate: info.predicate && compilePredicate(overRow(info.predicate, table), env),
    attributes,
    meets: info.unique && info.immediate,
    late: info.unique && !info.immediate,
    vector: vector ? vectorEntry(vectorIndexSpec(catalog, table, relation)) : undefined,
    leftOut: leftOutPrefix(catalog.databaseOid, relation),
  }
}

/** An expression the catalog keeps over vars of relation 0, as one over rows of live columns. */
export function overRow(e: Expression, table: RelationRow): Expression {
  const position = positionsOf(table)
  const lower = (node: Expression): Expression => {
    if (node.kind !== 'var') return mapChildren(node, lower)
    if (node.column === 0) {
      const live = table.columns.filter((column) => !column.dropped)
      const fields = live.map(
        (column, index): Expression => ({ kind: 'column', index, type: column.type, typmod: column.typmod }),
      )
      return { kind: 'row', fields, names: live.map((column) => column.name), type: node.type, typmod: -1 }
    }
    if (node.column < 0) return { kind: 'const', value: table.oid, type: OID.oid, typmod: -1 }
    return {
      kind: 'column',
      index: position[node.column]!,
      type: node.type,
      typmod: node.typmod,
      ...(node.collation === undefined ? {} : { collation: node.collation }),
    }
  }
  return lower(e)
}

// ---- violations, in PostgreSQL's words

export const tableFields = (catalog: Catalog, table: RelationRow): ErrorFields => ({
  schema: catalog.namespace(table.namespace)?.name,
  table: table.name,
})

export function notNullViolation(
  catalog: Catalog,
  table: RelationRow,
  column: ColumnRow,
  row: Row,
  context: TypeContext,
): SqlError {
  return sqlError(
    '23502',
    `null value in column "${column.name}" of relation "${table.name}" violates not-null constraint`,
    {
      detail: failingRow(table, row, context),
      ...tableFields(catalog, table),
      column: column.name,
    },
  )
}

export function checkViolation(
  catalog: Catalog,
  table: RelationRow,
  constraint: ConstraintRow,
  row: Row,
  context: TypeContext,
): SqlError {
  return sqlError('23514', `new row for relation "${table.name}" violates check constraint "${constraint.name}"`, {
    detail: failingRow(table, row, context),
    ...tableFields(catalog, table),
    constraint: constraint.name,
  })
}

/** A view's WITH CHECK OPTION is not kept. */
export function viewViolation(view: string, table: RelationRow, row: Row, context: TypeContext): SqlError {
  return sqlError('44000', `new row violates check option for view "${view}"`, {
    detail: failingRow(table, row, context),
  })
}

/** PostgreSQL's limit on each value in a failing row's description. */
const FIELD_BYTES_MAX = 64

function failingRow(table: RelationRow, row: Row, context: TypeContext): string {
  const live = table.columns.filter((column) => !column.dropped)
  const values = live.map((column, i) => {
    const value = row[i]!
    if (value === null) return 'null'
    const text = context.type(column.type).output(value, context)
    return Buffer.byteLength(text) <= FIELD_BYTES_MAX ? text : `${clipped(text)}...`
  })
  return `Failing row contains (${values.join(', ')}).`
}

/** As many whole characters as fit. */
function clipped(text: string): string {
  let bytes = 0
  let end = 0
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > FIELD_BYTES_MAX) break
    end += character.length
  }
  return text.slice(0, end)
}

/** The constraint that an index belongs to has the index's name in messages. */
export function uniqueViolation(
  catalog: Catalog,
  table: RelationRow,
  index: RelationRow,
  key: Row,
  context: TypeContext,
): SqlError {
  return sqlError('23505', `duplicate key value violates unique constraint "${index.name}"`, {
    detail: `Key ${keyDescription(catalog, index, key, context)} already exists.`,
    ...tableFields(catalog, table),
    constraint: index.name,
  })
}

/** '(a, lower(b))=(1, x)' */
export function keyDescription(catalog: Catalog, index: RelationRow, key: Row, context: TypeContext): string {
  const scope = { catalog, searchPath: SYSTEM_PATH }
  const { keys } = index.index!
  const names = keys.map((_, i) => indexText(scope, index, i + 1))
  const values = keys.map(({ type }, i) => (key[i] === null ? 'null' : context.type(type).output(key[i]!, context)))
  return `(${names.join(', ')})=(${values.join(', ')})`
}

export const constraintOf = (table: RelationRow, index: RelationRow): ConstraintRow | undefined =>
  table.constraints.find((constraint) => constraint.index === index.oid && constraint.type !== 'f')
