/**
 * Making an index: its columns with their operator classes, collations and order; its place in the table's list; its
 * entries for the rows that are there. Constraints (PRIMARY KEY, UNIQUE) and CREATE INDEX meet here.
 */
import type { IndexElem, Node } from '@pgsql/types'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import {
  bindTableCondition,
  bindTableExpression,
  columnName,
  errorAt,
  findCollation,
  namesOf,
  settle,
  typeName,
} from '../../binder/binder.ts'
import type { ColumnRow, IndexKey, IndexRow, RelationRow } from '../../catalog/catalog.ts'
import type { Expression } from '../../plan/expression.ts'
import { sqlError } from '../../types/error.ts'
import { isImmutable } from './columns.ts'
import { binder, current, type Ddl, update } from './context.ts'
import { checkVectorKeys } from './index-vector.ts'
import { indexColumnNames } from './names.ts'

/** The access methods there are. */
export type IndexMethod = 'btree' | 'hash' | 'hnsw' | 'ivfflat'

/** What no order of rows comes from cannot be clustered by. Throws 0A000. */
export function checkClusterable({ name, index }: RelationRow): void {
  if (index!.method !== 'btree')
    throw sqlError('0A000', `cannot cluster on index "${name}" because access method does not support clustering`)
  if (index!.predicate !== undefined) throw sqlError('0A000', `cannot cluster on partial index "${name}"`)
}

export interface KeySpec extends IndexKey {
  /** For the index's name and its own columns; undefined: 'expr'. */
  readonly name: string | undefined
}

export interface IndexSpec {
  readonly name: string
  readonly method: IndexMethod
  readonly keys: readonly KeySpec[]
  readonly include: readonly number[]
  readonly unique: boolean
  readonly nullsNotDistinct: boolean
  readonly primary: boolean
  readonly predicate: Expression | undefined
  readonly clustered: boolean
  readonly immediate: boolean
  readonly options: readonly string[] | undefined
  /** false: only maintained, until it has been filled. Absent: true. */
  readonly valid?: boolean
}

export function findColumn(table: RelationRow, name: string): ColumnRow | undefined {
  return table.columns.find((column) => !column.dropped && column.name === name)
}

const SYSTEM_COLUMNS = new Set(['tableoid', 'cmax', 'xmax', 'cmin', 'xmin', 'ctid'])

export function keyOfColumn(ddl: Ddl, column: ColumnRow, method: IndexMethod = 'btree'): KeySpec {
  return {
    name: column.name,
    column: column.number,
    type: column.type,
    typmod: column.typmod,
    opclass: defaultOpclass(ddl, column.type, method),
    collation: column.collation,
    descending: false,
    nullsFirst: false,
  }
}

/** Throws 42704. */
export function defaultOpclass(ddl: Ddl, type: Oid, method: IndexMethod): Oid {
  const found = ddl.editor.defaultOpclass(method, type)
  if (found === undefined) {
    throw sqlError(
      '42704',
      `data type ${typeName(binder(ddl), type)} has no default operator class for access method "${method}"`,
      {
        hint: 'You must specify an operator class for the index or define a default operator class for the data type.',
      },
    )
  }
  return found.oid
}

/** One column or expression of CREATE INDEX. */
export function keyOfElement(ddl: Ddl, table: RelationRow, element: IndexElem, method: IndexMethod): KeySpec {
  const b = binder(ddl)
  let key: Pick<KeySpec, 'name' | 'column' | 'expression' | 'type' | 'typmod' | 'collation'>
  if (element.name !== undefined && element.name !== '') {
    const column = findColumn(table, element.name)
    if (column === undefined) {
      if (SYSTEM_COLUMNS.has(element.name)) throw sqlError('0A000', 'index creation on system columns is not supported')
      throw sqlError('42703', `column "${element.name}" does not exist`)
    }
    key = {
      name: column.name,
      column: column.number,
      type: column.type,
      typmod: column.typmod,
      collation: column.collation,
    }
  } else {
    const e = settle(b, bindTableExpression(b, table, element.expr!, 'index expression'))
    const name = columnName(element.expr!)
    const bare = e.kind === 'var' && e.column > 0 ? table.columns[e.column - 1] : undefined
    if (bare !== undefined)
      key = { name: bare.name, column: bare.number, type: bare.type, typmod: bare.typmod, collation: bare.collation }
    else {
      if (!isImmutable(ddl, e)) throw sqlError('42P17', 'functions in index expression must be marked IMMUTABLE')
      key = {
        name: name === '?column?' ? undefined : name,
        column: 0,
        expression: e,
        type: e.type,
        typmod: e.typmod,
        collation: e.collation ?? ddl.editor.typeRow(e.type)?.collation ?? oid(0),
      }
    }
  }
  let { collation } = key
  if (element.collation !== undefined && element.collation.length > 0) {
    if ((ddl.editor.typeRow(key.type)?.collation ?? 0) === 0)
      throw sqlError('42804', `collations are not supported by type ${typeName(b, key.type)}`)
    collation = findCollation(b, namesOf(element.collation))
  }
  if (element.opclassopts !== undefined && element.opclassopts.length > 0)
    throw sqlError('22023', `operator class options are not supported by access method "${method}"`)
  const descending = element.ordering === 'SORTBY_DESC'
  if (method !== 'btree' && element.ordering !== undefined && element.ordering !== 'SORTBY_DEFAULT')
    throw sqlError('0A000', `access method "${method}" does not support ASC/DESC options`)
  if (method !== 'btree' && element.nulls_ordering !== undefined && element.nulls_ordering !== 'SORTBY_NULLS_DEFAULT')
    throw sqlError('0A000', `access method "${method}" does not support NULLS FIRST/LAST options`)
  const nullsFirst =
    element.nulls_ordering === 'SORTBY_NULLS_FIRST' || (element.nulls_ordering !== 'SORTBY_NULLS_LAST' && descending)
  return { ...key, collation, opclass: opclassOf(ddl, key.type, element.opclass, method), descending, nullsFirst }
}

function opclassOf(ddl: Ddl, type: Oid, names: readonly Node[] | undefined, method: IndexMethod): Oid {
  if (names === undefined || names.length === 0) return defaultOpclass(ddl, type, method)
  const parts = namesOf(names)
  const namespace = parts.length > 1 ? ddl.editor.namespaceByName(parts.at(-2)!)?.oid : undefined
  const found = ddl.editor.opclassByName(method, namespace, parts.at(-1)!)
  if (found === undefined)
    throw sqlError('42704', `operator class "${parts.join('.')}" does not exist for access method "${method}"`)
  if (!ddl.editor.binaryCoercible(type, found.inputType)) {
    throw sqlError(
      '42804',
      `operator class "${parts.join('.')}" does not accept data type ${typeName(binder(ddl), type)}`,
    )
  }
  return found.oid
}

export function bindPredicate(ddl: Ddl, table: RelationRow, node: Node): Expression {
  const predicate = bindTableCondition(binder(ddl), table, node, 'index predicate', 'WHERE')
  if (!isImmutable(ddl, predicate)) throw sqlError('42P17', 'functions in index predicate must be marked IMMUTABLE')
  return predicate
}

export function includeColumns(
  ddl: Ddl,
  table: RelationRow,
  nodes: readonly Node[] | undefined,
  named: (node: Node) => string | undefined,
): number[] {
  return (nodes ?? []).map((node) => {
    const name = named(node)
    if (name === undefined) throw errorAt(binder(ddl), '0A000', 'expressions are not supported in included columns')
    const column = findColumn(table, name)
    if (column === undefined)
      throw sqlError('42703', `column "${name}" ${'IndexElem' in node ? '' : 'named in key '}does not exist`)
    return column.number
  })
}

/** Puts the index and adds it to its table; no entries are made. */
export function putIndex(ddl: Ddl, tableOid: Oid, spec: IndexSpec): RelationRow {
  const table = current(ddl, tableOid)
  if (spec.keys.length + spec.include.length > 32)
    throw sqlError('54011', 'cannot use more than 32 columns in an index')
  if (spec.method !== 'btree') {
    const refuse = (what: string) => sqlError('0A000', `access method "${spec.method}" does not support ${what}`)
    if (spec.unique) throw refuse('unique indexes')
    if (spec.include.length > 0) throw refuse('included columns')
    if (spec.method === 'hash' && spec.keys.length > 1) throw refuse('multicolumn indexes')
    if (spec.method !== 'hash') checkVectorKeys(ddl, spec, spec.method)
  }
  const names = indexColumnNames([
    ...spec.keys.map((key) => key.name),
    ...spec.include.map((number) => table.columns[number - 1]!.name),
  ])
  const columns: ColumnRow[] = names.map((name, i) => {
    const key = spec.keys[i]
    const included = key === undefined ? table.columns[spec.include[i - spec.keys.length]! - 1]! : undefined
    return {
      number: i + 1,
      name,
      type: key?.type ?? included!.type,
      typmod: key?.typmod ?? included!.typmod,
      collation: key?.collation ?? included!.collation,
      notNull: false,
      dropped: false,
    }
  })
  const index: IndexRow = {
    table: tableOid,
    method: spec.method,
    keys: spec.keys.map(({ name: _, ...key }) => key),
    include: spec.include,
    unique: spec.unique,
    nullsNotDistinct: spec.nullsNotDistinct,
    primary: spec.primary,
    ...(spec.predicate === undefined ? {} : { predicate: spec.predicate }),
    valid: spec.valid ?? true,
    clustered: spec.clustered,
    immediate: spec.immediate,
  }
  const row: RelationRow = {
    oid: ddl.editor.nextOid(),
    name: spec.name,
    namespace: table.namespace,
    owner: table.owner,
    kind: 'i',
    persistence: table.persistence,
    rowType: oid(0),
    storageId: spec.clustered ? 0 : ddl.editor.nextStorageId(),
    columns,
    constraints: [],
    indexes: [],
    index,
    ...(spec.options === undefined || spec.options.length === 0 ? {} : { options: spec.options }),
    ...(table.session === undefined ? {} : { session: table.session }),
  }
  update(ddl, row)
  update(ddl, { ...table, indexes: [...table.indexes, row.oid] })
  return row
}
