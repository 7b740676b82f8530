/**
 * FROM: tables, views, CTE references, subqueries, functions, VALUES, joins with ON, USING and NATURAL, LATERAL.
 * Each item adds to the query's relations and to the names in scope.
 */
import type {
  Alias,
  FuncCall,
  JoinExpr,
  Node,
  RangeFunction,
  RangeSubselect,
  RangeTableSample,
  RangeVar,
} from '@pgsql/types'
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { ColumnInfo, FromItem, FunctionSource, JoinType, Query, Relation } from '../plan/query.ts'
import { notSupported } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { canCoerce, coerceTo, coerceToBoolean, coerceToCommon, commonTypeOf, settleUnknown } from './coerce.ts'
import { type BindContext, errorAt, findRelation, placeOf, typeName, wantAccess } from './context.ts'
import { bindExpression } from './expression.ts'
import { hybridSearch } from './hybrid-search.ts'
import { bindBinary } from './resolve.ts'
import { outColumns, rowFields } from './row.ts'
import { createScope, findCte, type Item, itemOf, type Scope, within } from './scope.ts'
import { namesOf, resolveTypeName } from './typename.ts'
import { readThrough } from './view-options.ts'

/** Bound by select.ts; views and subqueries need it. */
export type QueryBinder = (b: BindContext, parent: Scope | undefined, node: Node) => Query
/** A view's definition as a bound query. */
export type ViewBinder = (b: BindContext, view: RelationRow) => Query

export interface FromBinders {
  readonly query: QueryBinder
  readonly view: ViewBinder
}

export function bindFrom(b: BindContext, scope: Scope, nodes: readonly Node[], binders: FromBinders): FromItem[] {
  const result: FromItem[] = []
  for (const node of nodes) {
    const { item, names } = bindFromItem(b, scope, node, binders)
    addItems(b, scope, names)
    result.push(item)
  }
  for (const item of scope.items) {
    item.lateralOnly = false
    item.lateralOk = true
  }
  return result
}

interface Bound {
  readonly item: FromItem
  readonly names: Item[]
}

/** Earlier items are visible to LATERAL ones only until FROM is done. */
function addItems(b: BindContext, scope: Scope, names: readonly Item[]): void {
  for (const item of names) {
    if (
      item.qualified &&
      scope.items.some(
        (other) =>
          other.qualified &&
          other.target !== 'merge' &&
          other.alias === item.alias &&
          (other.schema === item.schema || other.schema === undefined || item.schema === undefined),
      )
    ) {
      throw errorAt(b, '42712', `table name "${item.alias}" specified more than once`)
    }
    scope.items.push(item)
  }
}

function bindFromItem(b: BindContext, scope: Scope, node: Node, binders: FromBinders): Bound {
  if ('RangeVar' in node) return bindTable(b, scope, node.RangeVar, binders)
  if ('RangeSubselect' in node) return bindSubselect(b, scope, node.RangeSubselect, binders)
  if ('RangeFunction' in node) {
    const search = hybridSearch(b, node.RangeFunction)
    return search === undefined ? bindFunction(b, scope, node.RangeFunction) : bindSubselect(b, scope, search, binders)
  }
  if ('JoinExpr' in node) return bindJoin(b, scope, node.JoinExpr, binders)
  if ('RangeTableSample' in node) return bindSample(b, scope, node.RangeTableSample, binders)
  if ('RangeTableFunc' in node) throw notSupported('XMLTABLE')
  if ('JsonTable' in node) throw notSupported('JSON_TABLE')
  throw notSupported('this FROM item')
}

const single = (scope: Scope, relation: Relation, item: (index: number) => Item): Bound => {
  const index = scope.relations.push(relation) - 1
  return { item: { kind: 'relation', relation: index }, names: [item(index)] }
}

/** Renames columns by an alias's column list: `t(a, b)`. */
function renamed(
  b: BindContext,
  columns: readonly ColumnInfo[],
  alias: Alias | undefined,
  tableName: string,
): ColumnInfo[] {
  const names = namesOf(alias?.colnames)
  const live = columns.filter((column) => column.type !== 0)
  if (names.length > live.length) {
    throw errorAt(
      b,
      '42P10',
      `table "${tableName}" has ${live.length} columns available but ${names.length} columns specified`,
    )
  }
  let next = 0
  return columns.map((column) => (column.type === 0 ? column : { ...column, name: names[next++] ?? column.name }))
}

export const columnsOf = (row: RelationRow): ColumnInfo[] =>
  row.columns.map((column) => ({
    name: column.name,
    type: column.dropped ? oid(0) : column.type,
    typmod: column.typmod,
    ...(column.collation !== 0 && column.collation !== 100 ? { collation: column.collation } : {}),
  }))

/** 42P01 unless the table is there; notes that the statement uses it. */
export function requireRelation(b: BindContext, node: RangeVar): RelationRow {
  if (node.catalogname !== undefined && node.catalogname !== '' && node.catalogname !== b.catalog.databaseName) {
    throw errorAt(
      b,
      '0A000',
      `cross-database references are not implemented: "${node.catalogname}.${node.schemaname}.${node.relname}"`,
      node.location,
    )
  }
  const row = findRelation(b, node.schemaname, node.relname!)
  if (row === undefined) {
    const shown = node.schemaname === undefined ? node.relname : `${node.schemaname}.${node.relname}`
    throw errorAt(b, '42P01', `relation "${shown}" does not exist`, node.location)
  }
  b.relationsUsed.add(row.oid)
  return row
}

function bindTable(b: BindContext, scope: Scope, node: RangeVar, binders: FromBinders): Bound {
  const alias = node.alias?.aliasname
  if (node.schemaname === undefined) {
    const found = findCte(scope, node.relname!)
    if (found !== undefined) return bindCteReference(b, scope, node, found)
  }
  refuseFutureCte(b, scope, node)
  const row = requireRelation(b, node)
  wantAccess(b, row.oid, 'r')
  return bindRelation(b, scope, row, node.alias, alias, node.inh !== true, binders, node)
}

/** TABLESAMPLE method (percent) [REPEATABLE (seed)]. */
function bindSample(b: BindContext, scope: Scope, node: RangeTableSample, binders: FromBinders): Bound {
  const bound = bindFromItem(b, scope, node.relation!, binders)
  const place = bound.item.kind === 'relation' ? bound.item.relation : -1
  const relation = scope.relations[place]
  if (relation?.kind !== 'table') {
    const at = 'RangeVar' in node.relation! ? node.relation.RangeVar.location : undefined
    throw errorAt(b, '0A000', 'TABLESAMPLE clause can only be applied to tables and materialized views', at)
  }
  const names = namesOf(node.method)
  const method = names.at(-1)!
  if ((method !== 'system' && method !== 'bernoulli') || (names.length > 1 && names[0] !== 'pg_catalog'))
    throw errorAt(b, '42704', `tablesample method ${names.join('.')} does not exist`, node.location)
  const args = node.args ?? []
  if (args.length !== 1)
    throw errorAt(b, '2202H', `tablesample method ${method} requires 1 argument, not ${args.length}`, node.location)
  const number = (each: Node, type: Oid, what: string): Expression => {
    const e = bindExpression(b, createScope(undefined, 'from'), each)
    if (e.type !== OID.unknown && !canCoerce(b, [e.type], [type], 'assignment')) {
      const words = `argument of ${what} must be type ${typeName(b, type)}, not type ${typeName(b, e.type)}`
      throw errorAt(b, '42804', words, placeOf(e))
    }
    return coerceTo(b, e, type, -1, 'assignment', 'implicit')
  }
  const percent = number(args[0]!, OID.float4, 'TABLESAMPLE')
  const seed = node.repeatable && number(node.repeatable, OID.float8, 'REPEATABLE')
  scope.relations[place] = { ...relation, sample: { method, percent, seed } }
  return bound
}

/** A name that only a later query of the same WITH has. */
function refuseFutureCte(b: BindContext, scope: Scope, node: RangeVar): void {
  const name = node.relname!
  if (node.schemaname !== undefined || findRelation(b, undefined, name) !== undefined) return
  for (let s: Scope | undefined = scope; s !== undefined; s = s.parent) {
    if (!s.futureCtes.includes(name)) continue
    throw errorAt(b, '42P01', `relation "${name}" does not exist`, node.location, {
      detail: `There is a WITH item named "${name}", but it cannot be referenced from this part of the query.`,
      hint: 'Use WITH RECURSIVE, or re-order the WITH items to remove forward references.',
    })
  }
}

function bindCteReference(
  b: BindContext,
  scope: Scope,
  node: RangeVar,
  found: NonNullable<ReturnType<typeof findCte>>,
): Bound {
  const { cte, level } = found
  cte.references++
  const source = cte.query?.query
  if (source !== undefined && source.command !== 'select' && outputColumns(source).length === 0) {
    throw errorAt(b, '0A000', `WITH query "${cte.name}" does not have a RETURNING clause`, node.location)
  }
  if (cte.self) cte.recursive = true
  const alias = node.alias?.aliasname ?? cte.name
  const columns = renamed(b, cte.columns, node.alias, alias)
  return single(
    scope,
    {
      kind: 'cte',
      name: cte.name,
      level,
      self: cte.self,
      alias,
      aliased: node.alias !== undefined,
      columns,
      lateral: false,
    },
    (index) => {
      const item = itemOf(index, scope.relations[index]!)
      // What SEARCH and CYCLE add is not part of `*` in queries inside.
      return cte.added > 0 && level > 0 ? { ...item, starred: columns.length - cte.added } : item
    },
  )
}

function bindRelation(
  b: BindContext,
  scope: Scope,
  row: RelationRow,
  aliasNode: Alias | undefined,
  alias: string | undefined,
  only: boolean,
  binders: FromBinders,
  node: RangeVar,
): Bound {
  const name = alias ?? row.name
  const columns = renamed(b, columnsOf(row), aliasNode, name)
  const schema = alias === undefined ? b.catalog.namespace(row.namespace)?.name : undefined
  const extra = { ...(schema === undefined ? {} : { schema }), rowType: row.rowType }
  switch (row.kind) {
    case 'r':
    case 'p':
    case 'm':
    case 't':
      return single(
        scope,
        { kind: 'table', oid: row.oid, only, alias: name, aliased: alias !== undefined, columns, lateral: false },
        (index) => itemOf(index, scope.relations[index]!, extra),
      )
    case 'S':
      return single(
        scope,
        { kind: 'table', oid: row.oid, only, alias: name, aliased: alias !== undefined, columns, lateral: false },
        (index) => itemOf(index, scope.relations[index]!, extra),
      )
    case 'v': {
      const query = readThrough(b, row, binders.view(b, row))
      return single(
        scope,
        {
          kind: 'subquery',
          query,
          viewOid: row.oid,
          alias: name,
          aliased: alias !== undefined,
          columns,
          lateral: false,
        },
        (index) => itemOf(index, scope.relations[index]!, extra),
      )
    }
    case 'i':
      throw errorAt(b, '42809', `"${row.name}" is an index`, node.location)
    case 'c':
      throw errorAt(b, '42809', `"${row.name}" is a composite type`, node.location)
  }
}

/** What a LATERAL item may see: this level's earlier items too. A plain subquery sees only the enclosing levels. */
function lateralScope(scope: Scope, lateral: boolean): Scope {
  if (lateral) return scope
  return { ...scope, items: [] }
}

/** The columns a bound query gives. */
export const outputColumns = (query: Query): ColumnInfo[] =>
  (query.modify === undefined || query.command === 'select' ? query.targets : query.modify.returning)
    .filter((target) => !target.junk)
    .map((target) => ({
      name: target.name,
      type: target.expression.type,
      typmod: target.expression.typmod,
      ...(target.expression.collation === undefined ? {} : { collation: target.expression.collation }),
    }))

function bindSubselect(b: BindContext, scope: Scope, node: RangeSubselect, binders: FromBinders): Bound {
  const lateral = node.lateral === true
  const query = within(scope, 'from', () => binders.query(b, lateralScope(scope, lateral), node.subquery!))
  const alias = node.alias?.aliasname
  if (alias === undefined) throw withoutAlias(b, node.subquery!)
  const name = alias
  const columns = renamed(b, outputColumns(query), node.alias, name)
  const values = valuesRows(query)
  const relation: Relation =
    values === undefined || lateral
      ? { kind: 'subquery', query, alias: name, aliased: true, columns, lateral }
      : { kind: 'values', rows: values, alias: name, aliased: true, columns, lateral: false }
  return single(scope, relation, (index) => itemOf(index, relation))
}

/** PostgreSQL 15's grammar wants an alias; the place is the parenthesis before the query. */
function withoutAlias(b: BindContext, subquery: Node) {
  const select = 'SelectStmt' in subquery ? subquery.SelectStmt : undefined
  const values = select?.valuesLists !== undefined && select.valuesLists.length > 0
  const first = firstLocation(subquery)
  const bytes = Buffer.from(b.source)
  const at = first === undefined ? undefined : bytes.subarray(0, first).lastIndexOf('(')
  return errorAt(b, '42601', `${values ? 'VALUES' : 'subquery'} in FROM must have an alias`, at, {
    hint: `For example, FROM (${values ? 'VALUES' : 'SELECT'} ...) [AS] foo.`,
  })
}
function firstLocation(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  let first: number | undefined
  for (const [name, value] of Object.entries(node)) {
    const at = name === 'location' && typeof value === 'number' ? value : firstLocation(value)
    if (at !== undefined && at >= 0 && (first === undefined || at < first)) first = at
  }
  return first
}

/** A bare VALUES list inside a subquery: its rows, when nothing else is around it. */
function valuesRows(query: Query): readonly (readonly Expression[])[] | undefined {
  const only = query.relations.length === 1 ? query.relations[0] : undefined
  if (query.command !== 'select' || only?.kind !== 'values' || query.targets.length !== only.columns.length)
    return undefined
  const bare =
    query.orderBy.length === 0 &&
    query.limit === undefined &&
    query.offset === undefined &&
    query.ctes.length === 0 &&
    query.where === undefined &&
    query.groupBy.length === 0 &&
    query.groupingSets === undefined &&
    !query.hasAggregates &&
    query.windows.length === 0 &&
    query.distinct.kind === 'none' &&
    query.targets.every(({ expression: e }, i) => e.kind === 'var' && e.level === 0 && e.column === i + 1)
  if (!bare || only.rows.some((row) => row.some((e) => e.kind !== 'const'))) return undefined
  return only.rows
}

// ── Functions ────────────────────────────────────────────────────────────────────────────────────────────────────

function bindFunction(b: BindContext, scope: Scope, node: RangeFunction): Bound {
  const calls: FunctionSource[] = []
  const columns: ColumnInfo[] = []
  const functions = (node.functions ?? []).map((each) => ('List' in each ? (each.List.items ?? []) : []))
  const alias = node.alias?.aliasname
  let firstName = ''
  for (const [fn, definitions] of functions.flatMap(unnestEach)) {
    const before = scope.hasSetReturning
    // Functions in FROM are always LATERAL.
    const depth = scope.insideFunctionArguments
    scope.insideFunctionArguments = 0
    const call = within(scope, 'function in from', () => bindExpression(b, scope, fn!))
    scope.insideFunctionArguments = depth
    scope.hasSetReturning = before
    const name = fn !== undefined && 'FuncCall' in fn ? namesOf(fn.FuncCall.funcname).at(-1)! : callName(fn!)
    firstName ||= name
    const coldefs =
      definitions !== undefined && 'List' in definitions
        ? (definitions.List.items ?? [])
        : functions.length === 1
          ? (node.coldeflist ?? [])
          : []
    const source = functionColumns(
      b,
      call,
      coldefs,
      functions.length === 1 &&
        !manyArrays(functions[0]![0]) &&
        alias !== undefined &&
        namesOf(node.alias?.colnames).length === 0
        ? alias
        : name,
    )
    calls.push({ call, columns: source.columns.length, composite: source.composite })
    columns.push(...source.columns)
  }
  const ordinality = node.ordinality === true
  if (ordinality) columns.push({ name: 'ordinality', type: OID.int8, typmod: -1 })
  const name = alias ?? firstName
  const named = renamed(b, columns, node.alias, name)
  // A function of one scalar column takes the alias as the column's name.
  const relation: Relation = {
    kind: 'function',
    calls,
    ordinality,
    alias: name,
    aliased: alias !== undefined,
    columns: named,
    lateral: true,
  }
  const rowType =
    calls.length === 1 && calls[0]!.composite && b.catalog.typeRow(calls[0]!.call.type)?.kind === 'c'
      ? calls[0]!.call.type
      : oid(0)
  return single(scope, relation, (index) => itemOf(index, relation, { rowType }))
}

/** unnest(a, b) in FROM is ROWS FROM (unnest(a), unnest(b)). */
const manyArrays = (fn: Node | undefined): fn is Node & { FuncCall: FuncCall } =>
  fn !== undefined &&
  'FuncCall' in fn &&
  namesOf(fn.FuncCall.funcname).at(-1) === 'unnest' &&
  (fn.FuncCall.args?.length ?? 0) > 1 &&
  !fn.FuncCall.func_variadic
function unnestEach(source: Node[]): Node[][] {
  const fn = source[0]
  if (!manyArrays(fn)) return [source]
  return fn.FuncCall.args!.map((arg) => [{ FuncCall: { ...fn.FuncCall, args: [arg] } }])
}

const callName = (node: Node): string =>
  'SQLValueFunction' in node ? (node.SQLValueFunction.op ?? '').replace(/^SVFOP_/, '').toLowerCase() : 'coalesce'

function functionColumns(
  b: BindContext,
  call: Expression,
  definitions: readonly Node[],
  name: string,
): { readonly columns: readonly ColumnInfo[]; readonly composite: boolean } {
  if (definitions.length > 0) {
    if (call.type !== OID.record)
      throw errorAt(b, '42601', 'a column definition list is only allowed for functions returning "record"')
    if (call.kind === 'call' && outColumns(b, call.function, call.type) !== undefined)
      throw errorAt(b, '42601', 'a column definition list is redundant for a function with OUT parameters')
    const columns = definitions.map((definition) => {
      if (!('ColumnDef' in definition)) throw notSupported('this column definition')
      const { type, typmod } = resolveTypeName(b, definition.ColumnDef.typeName!)
      return { name: definition.ColumnDef.colname!, type, typmod }
    })
    return { columns, composite: true }
  }
  const kind = b.catalog.typeRow(call.type)?.kind
  if (kind === 'c' || call.type === OID.record) {
    const fields = rowFields(b, call)
    if (fields === undefined)
      throw errorAt(b, '42601', 'a column definition list is required for functions returning "record"', placeOf(call))
    return { columns: fields, composite: true }
  }
  const settled = settleUnknown(b, call)
  const out = call.kind === 'call' ? singleOutName(b, call.function) : undefined
  return { columns: [{ name: out ?? name, type: settled.type, typmod: settled.typmod }], composite: false }
}

function singleOutName(b: BindContext, fn: Oid): string | undefined {
  const row = b.catalog.function(fn)
  if (row?.argModes === undefined) return undefined
  const at = row.argModes.findIndex((mode) => 'obt'.includes(mode))
  return at < 0 ? undefined : row.argNames?.[at] || undefined
}

// ── Joins ────────────────────────────────────────────────────────────────────────────────────────────────────────

const JOIN_TYPES: Readonly<Record<string, JoinType>> = {
  JOIN_INNER: 'inner',
  JOIN_LEFT: 'left',
  JOIN_RIGHT: 'right',
  JOIN_FULL: 'full',
}

function bindJoin(b: BindContext, scope: Scope, node: JoinExpr, binders: FromBinders): Bound {
  const type = JOIN_TYPES[node.jointype!]!
  const left = bindFromItem(b, scope, node.larg!, binders)
  // The left side is visible to a LATERAL right side; not from the nullable side of a right or full join.
  const before = scope.items
  const lateralOk = type === 'inner' || type === 'left'
  scope.items = [...before, ...left.names.map((item) => ({ ...item, lateralOnly: !lateralOk, lateralOk }))]
  const right = bindFromItem(b, scope, node.rarg!, binders)
  scope.items = before
  const clash = right.names.find(
    (item) =>
      item.qualified &&
      left.names.some((other) => other.qualified && other.alias === item.alias && other.schema === item.schema),
  )
  if (clash !== undefined) throw errorAt(b, '42712', `table name "${clash.alias}" specified more than once`)

  let using = namesOf(node.usingClause)
  if (node.isNatural) {
    const rightNames = new Set(visibleColumns(right.names).map((column) => column.name))
    using = visibleColumns(left.names)
      .map((column) => column.name)
      .filter((name) => rightNames.has(name))
  }
  const merged: { name: string; expression: Expression }[] = []
  const equalities: Expression[] = []
  for (const name of using) {
    const l = usingColumn(b, left.names, name, 'left')
    const r = usingColumn(b, right.names, name, 'right')
    const common = commonTypeOf(b, [l, r], 'JOIN/USING')
    const equality = bindBinary(b, { schema: undefined, name: '=' }, l, r, undefined)
    equalities.push(coerceToBoolean(b, equality, 'JOIN/USING'))
    const lc = coerceToCommon(b, l, common, 'JOIN/USING')
    const rc = coerceToCommon(b, r, common, 'JOIN/USING')
    const expression: Expression =
      type === 'full' ? { kind: 'coalesce', args: [lc, rc], type: common, typmod: -1 } : type === 'right' ? rc : lc
    merged.push({ name, expression })
  }
  let on: Expression | undefined
  if (using.length > 0)
    on = equalities.length === 1 ? equalities[0] : { kind: 'and', args: equalities, type: OID.bool, typmod: -1 }
  else if (node.quals !== undefined) {
    scope.items = [...left.names, ...right.names].map((item) => ({ ...item, lateralOnly: false, lateralOk: true }))
    on = within(scope, 'join', () => coerceToBoolean(b, bindExpression(b, scope, node.quals!), 'JOIN/ON'))
    scope.items = before
  }
  const item: FromItem = {
    kind: 'join',
    type,
    left: left.item,
    right: right.item,
    on,
    using: node.usingClause === undefined ? undefined : using,
    natural: node.isNatural === true,
    alias: node.alias?.aliasname,
  }
  const hide = (items: readonly Item[]): Item[] =>
    items.map((each) => ({ ...each, hidden: new Set([...each.hidden, ...using]) }))
  const joined: Item[] = [...hide(left.names), ...hide(right.names)]
  if (merged.length > 0) {
    const all = node.alias !== undefined
    const face: Item = {
      alias: node.join_using_alias?.aliasname ?? '',
      schema: undefined,
      relation: -1,
      columns: merged,
      rowType: oid(0),
      hidden: new Set(),
      qualified: node.join_using_alias !== undefined,
      unqualified: true,
      lateralOnly: false,
      lateralOk: true,
    }
    // The merged columns come first in `*`.
    joined.unshift(all ? { ...face, qualified: false } : face)
  }
  if (node.alias === undefined) return { item, names: joined }
  // An alias on the join hides its inputs.
  const columns = visibleColumns(joined)
  const names = namesOf(node.alias.colnames)
  if (names.length > columns.length)
    throw errorAt(
      b,
      '42P10',
      `join expression "${node.alias.aliasname}" has ${columns.length} columns available but ${names.length} columns specified`,
    )
  const named = columns.map((column, i) => ({ name: names[i] ?? column.name, expression: column.expression }))
  const aliased: Item = {
    alias: node.alias.aliasname!,
    schema: undefined,
    relation: -1,
    columns: named,
    rowType: oid(0),
    hidden: new Set(),
    qualified: true,
    unqualified: true,
    lateralOnly: false,
    lateralOk: true,
  }
  return { item, names: [aliased] }
}

const visibleColumns = (items: readonly Item[]): { readonly name: string; readonly expression: Expression }[] =>
  items
    .filter((item) => item.unqualified)
    .flatMap((item) => item.columns.filter((column) => !item.hidden.has(column.name)))

function usingColumn(b: BindContext, items: readonly Item[], name: string, side: 'left' | 'right'): Expression {
  const found = visibleColumns(items).filter((column) => column.name === name)
  if (found.length === 0)
    throw errorAt(b, '42703', `column "${name}" specified in USING clause does not exist in ${side} table`)
  if (found.length > 1)
    throw errorAt(b, '42702', `common column name "${name}" appears more than once in ${side} table`)
  return found[0]!.expression
}
