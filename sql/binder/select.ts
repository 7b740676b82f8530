/**
 * SELECT, VALUES, set operations and WITH: a parse tree to a bound Query.
 *
 *   WITH → FROM → targets (stars expanded) → WHERE → ORDER BY, GROUP BY, DISTINCT (find or add targets) → HAVING → windows
 *   → LIMIT → locks → is every column grouped?
 */
import type { Node, SelectStmt } from '@pgsql/types'
import { oid } from '../../storage/keys/brand.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import {
  type ColumnInfo,
  type Distinct,
  EMPTY_QUERY,
  type GroupKey,
  type OrderKey,
  type Query,
  type Relation,
  type SetOperation,
  type Target,
} from '../plan/query.ts'
import { sameExpression } from '../plan/walk.ts'
import { notSupported } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { bindWindow, sortDirection } from './call.ts'
import {
  coerceTo,
  coerceToBoolean,
  coerceToCommon,
  coerceToSpecific,
  commonTypeOf,
  commonTypmod,
  selectCommonType,
  settleUnknown,
} from './coerce.ts'
import { type BindContext, errorAt, located, ownPlace, placeOf, typeName } from './context.ts'
import { bindExpression, bindWithStars, expandStar, locationOf, starOf } from './expression.ts'
import { bindFrom, outputColumns } from './from.ts'
import { checkGrouped, resolveGrouping } from './grouping.ts'
import { bindLocks, lockName } from './locks.ts'
import { firstAggregate, requireNoVariables, windowIn } from './placement.ts'
import { type CteScope, createScope, itemOf, type Scope, within } from './scope.ts'
import { namesOf, stringOf } from './typename.ts'
import { bindWith, finishCte, type WithBinders } from './with.ts'

/** Statements that may stand inside WITH besides SELECT; and views' definitions. Given by binder.ts. */
export interface QueryBinders {
  modify(b: BindContext, parent: Scope | undefined, node: Node): Query
  view(b: BindContext, view: RelationRow): Query
}
let binders: QueryBinders | undefined
export const provideQueryBinders = (given: QueryBinders): void => {
  binders = given
}

/** A view's definition. */
export const viewQuery = (b: BindContext, view: RelationRow): Query => binders!.view(b, view)

/** Any query that gives rows. `wanted`: types its columns would like to have (INSERT … SELECT, UNION), applied to unknown literals only. */
export function bindQuery(b: BindContext, parent: Scope | undefined, node: Node): Query {
  if ('SelectStmt' in node) return bindSelect(b, parent, node.SelectStmt)
  return binders!.modify(b, parent, node)
}

export const WITH_BINDERS: WithBinders = {
  select: (b, parent, node) => bindSelect(b, parent, node),
  query: (b, parent, node) => bindQuery(b, parent, node),
}

export function bindSelect(
  b: BindContext,
  parent: Scope | undefined,
  node: SelectStmt,
  options: { readonly keepUnknown?: boolean } = {},
): Query {
  if (node.intoClause !== undefined) throw errorAt(b, '42601', 'SELECT ... INTO is not allowed here')
  if (node.op !== undefined && node.op !== 'SETOP_NONE') return bindSetOperation(b, parent, node)
  const scope = createScope(parent)
  const ctes = bindWith(b, scope, node.withClause, WITH_BINDERS)
  if (node.valuesLists !== undefined && node.valuesLists.length > 0) return bindValues(b, scope, node, ctes)

  const from = within(scope, 'from', () =>
    bindFrom(b, scope, node.fromClause ?? [], {
      query: bindQuery,
      view: (context, row) => binders!.view(context, row),
    }),
  )
  bindWindowClause(b, scope, node.windowClause ?? [])
  const targets = new TargetList(b, scope)
  for (const target of node.targetList ?? []) targets.add(target)
  const where =
    node.whereClause &&
    within(scope, 'where', () =>
      coerceToBoolean(b, bindExpression(b, scope, node.whereClause!), 'WHERE', locationOf(node.whereClause!)),
    )
  const having =
    node.havingClause &&
    within(scope, 'having', () =>
      coerceToBoolean(b, bindExpression(b, scope, node.havingClause!), 'HAVING', locationOf(node.havingClause!)),
    )
  const orderBy = bindOrderBy(b, scope, targets, node.sortClause ?? [])
  const grouping = bindGroupBy(b, scope, targets, node.groupClause ?? [], node.groupDistinct === true)
  const distinct = bindDistinct(b, scope, targets, node.distinctClause, orderBy)
  const { limit, offset, withTies } = bindLimit(b, scope, node)
  if (withTies && orderBy.length === 0)
    throw errorAt(b, '42601', 'WITH TIES cannot be specified without ORDER BY clause')
  if (options.keepUnknown !== true) targets.settle()
  if (targets.list.length > TARGETS_MAX)
    throw errorAt(b, '54011', `target lists can have at most ${TARGETS_MAX} entries`)
  const hasAggregates = scope.hasAggregates || having !== undefined
  const list = resolveGrouping(b, targets.list, targets.list, grouping.groupBy)
  const resolvedHaving = resolveGrouping(b, having, targets.list, grouping.groupBy)
  if (hasAggregates || grouping.groupBy.length > 0 || grouping.groupingSets !== undefined) {
    const above = scope.windows.map((window) => [window.partitionBy, window.orderBy])
    checkGrouped(b, scope, list, [above, resolvedHaving], grouping)
    if (scope.hasAggregates && scope.relations.some((relation) => relation.kind === 'cte' && relation.self)) {
      const place = firstAggregate([list, resolvedHaving])
      throw errorAt(b, '42P19', `aggregate functions are not allowed in a recursive query's recursive term`, place)
    }
  }
  const shape = {
    ...grouping,
    setOperation: undefined,
    distinct,
    having,
    hasAggregates,
    windows: scope.windows,
    hasSetReturning: scope.hasSetReturning,
  }
  const rowLocks = bindLocks(b, scope, node, shape)
  return {
    ...EMPTY_QUERY,
    ctes: ctes.map(finishCte),
    recursive: node.withClause?.recursive === true,
    relations: scope.relations,
    from,
    where,
    targets: list,
    groupBy: grouping.groupBy,
    groupingSets: grouping.groupingSets,
    hasAggregates,
    having: resolvedHaving,
    windows: scope.windows,
    distinct,
    orderBy,
    limit,
    offset,
    withTies,
    rowLocks,
    hasSetReturning: scope.hasSetReturning,
  }
}

/** PostgreSQL's MaxTupleAttributeNumber; what is sorted and grouped by counts too. */
const TARGETS_MAX = 1664

// ── Targets ──────────────────────────────────────────────────────────────────────────────────────────────────────

export class TargetList {
  readonly list: Target[] = []
  readonly #b: BindContext
  readonly #scope: Scope
  constructor(b: BindContext, scope: Scope) {
    this.#b = b
    this.#scope = scope
  }

  /** A ResTarget; stars become several. */
  add(node: Node): void {
    if (!('ResTarget' in node)) throw notSupported('this output expression')
    const { val, name } = node.ResTarget
    const star = starOf(val!)
    if (star !== undefined) {
      for (const column of expandStar(this.#b, this.#scope, star))
        this.push(column.name, located({ ...column.expression }, star.location))
      return
    }
    this.push(name ?? columnName(val!), bindExpression(this.#b, this.#scope, val!))
  }

  push(name: string, expression: Expression, junk = false): number {
    const origin = originOf(this.#scope, expression)
    return (
      this.list.push({ name, expression, junk, tableOid: origin?.table ?? oid(0), columnNumber: origin?.column ?? 0 }) -
      1
    )
  }

  /** The target that is this expression, added as junk when there is none. */
  find(expression: Expression): number {
    const at = this.list.findIndex((target) => sameExpression(target.expression, expression))
    return at >= 0 ? at : this.push('?column?', expression, true)
  }

  /** Literals that nothing gave a type become text. */
  settle(): void {
    this.list.forEach((target, i) => {
      if (target.expression.type === OID.unknown)
        this.list[i] = { ...target, expression: settleUnknown(this.#b, target.expression) }
    })
  }

  settleAt(at: number): Expression {
    const target = this.list[at]!
    if (target.expression.type === OID.unknown)
      this.list[at] = { ...target, expression: settleUnknown(this.#b, target.expression) }
    return this.list[at]!.expression
  }
}

function originOf(
  scope: Scope,
  e: Expression,
): { readonly table: ReturnType<typeof oid>; readonly column: number } | undefined {
  if (e.kind !== 'var' || e.level !== 0 || e.column <= 0) return undefined
  const relation = scope.relations[e.relation]
  if (relation?.kind === 'table') return { table: relation.oid, column: e.column }
  if (relation?.kind === 'subquery') {
    if (relation.viewOid !== undefined) return { table: relation.viewOid, column: e.column }
    const inner = outputTargets(relation.query)[e.column - 1]
    return inner === undefined || inner.tableOid === 0
      ? undefined
      : { table: inner.tableOid, column: inner.columnNumber }
  }
  return undefined
}
export const outputTargets = (query: Query): readonly Target[] =>
  (query.command === 'select' ? query.targets : (query.modify?.returning ?? [])).filter((target) => !target.junk)

/** The name PostgreSQL gives an unnamed output column. */
export function columnName(node: Node): string {
  return figureName(node)?.name ?? '?column?'
}

/** A name and whether it is a weak one (of a type or a CASE), which an outer cast or CASE replaces. */
interface Figured {
  readonly name: string
  readonly weak: boolean
}
const strong = (name: string): Figured => ({ name, weak: false })
const lastName = (nodes: readonly Node[] | undefined): Figured | undefined => {
  const named = (nodes ?? []).filter((step) => 'String' in step).at(-1)
  return named === undefined ? undefined : strong(stringOf(named))
}

function figureName(node: Node): Figured | undefined {
  if ('ColumnRef' in node) return lastName(node.ColumnRef.fields)
  if ('A_Indirection' in node) return lastName(node.A_Indirection.indirection) ?? figureName(node.A_Indirection.arg!)
  if ('FuncCall' in node) return lastName(node.FuncCall.funcname)
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? strong('nullif') : undefined
  if ('TypeCast' in node) {
    const inner = figureName(node.TypeCast.arg!)
    if (inner !== undefined && !inner.weak) return inner
    const name = namesOf(node.TypeCast.typeName?.names).at(-1)
    return name === undefined ? inner : { name, weak: true }
  }
  if ('CollateClause' in node) return figureName(node.CollateClause.arg!)
  if ('GroupingFunc' in node) return strong('grouping')
  if ('SubLink' in node) {
    switch (node.SubLink.subLinkType) {
      case 'EXISTS_SUBLINK':
        return strong('exists')
      case 'ARRAY_SUBLINK':
        return strong('array')
      case 'EXPR_SUBLINK': {
        const inner = node.SubLink.subselect
        const target =
          inner !== undefined && 'SelectStmt' in inner ? leftmost(inner.SelectStmt).targetList?.[0] : undefined
        if (target === undefined || !('ResTarget' in target)) return undefined
        return target.ResTarget.name === undefined ? figureName(target.ResTarget.val!) : strong(target.ResTarget.name)
      }
      default:
        return undefined
    }
  }
  if ('CaseExpr' in node) {
    const inner = node.CaseExpr.defresult === undefined ? undefined : figureName(node.CaseExpr.defresult)
    return inner !== undefined && !inner.weak ? inner : { name: 'case', weak: true }
  }
  if ('A_ArrayExpr' in node) return strong('array')
  if ('RowExpr' in node) return strong('row')
  if ('JsonParseExpr' in node) return strong('json')
  if ('CoalesceExpr' in node) return strong('coalesce')
  if ('MinMaxExpr' in node) return strong(node.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest')
  if ('SQLValueFunction' in node) {
    return strong(
      (node.SQLValueFunction.op ?? '')
        .replace(/^SVFOP_/, '')
        .replace(/_N$/, '')
        .toLowerCase(),
    )
  }
  return undefined
}
const leftmost = (select: SelectStmt): SelectStmt => (select.larg === undefined ? select : leftmost(select.larg))

// ── ORDER BY, GROUP BY, DISTINCT ─────────────────────────────────────────────────────────────────────────────────

const integerOf = (node: Node): number | undefined =>
  'A_Const' in node && node.A_Const.ival !== undefined ? (node.A_Const.ival.ival ?? 0) : undefined

/** SQL-92: an output column's name or number, else SQL-99: an expression. GROUP BY prefers an input column's name. */
function findTarget(
  b: BindContext,
  scope: Scope,
  targets: TargetList,
  node: Node,
  clause: 'ORDER BY' | 'GROUP BY' | 'DISTINCT ON',
): number {
  const kind = clause === 'ORDER BY' ? 'order by' : clause === 'GROUP BY' ? 'group by' : 'distinct on'
  if ('ColumnRef' in node && node.ColumnRef.fields?.length === 1 && 'String' in node.ColumnRef.fields[0]!) {
    const name = stringOf(node.ColumnRef.fields[0])
    const isInput =
      clause === 'GROUP BY' &&
      scope.items.some(
        (item) => item.unqualified && item.columns.some((column) => column.name === name && !item.hidden.has(name)),
      )
    if (!isInput) {
      let found = -1
      targets.list.forEach((target, i) => {
        if (target.junk || target.name !== name) return
        if (found >= 0 && !sameExpression(targets.list[found]!.expression, target.expression))
          throw errorAt(b, '42702', `${clause} "${name}" is ambiguous`, node.ColumnRef.location)
        if (found < 0) found = i
      })
      if (found >= 0) return found
    }
  }
  if ('A_Const' in node) {
    const position = integerOf(node)
    if (position === undefined) throw errorAt(b, '42601', `non-integer constant in ${clause}`, node.A_Const.location)
    const visible = targets.list.filter((target) => !target.junk).length
    if (position < 1 || position > visible)
      throw errorAt(b, '42P10', `${clause} position ${position} is not in select list`, node.A_Const.location)
    return position - 1
  }
  return targets.find(within(scope, kind, () => bindExpression(b, scope, node)))
}

function bindOrderBy(b: BindContext, scope: Scope, targets: TargetList, nodes: readonly Node[]): OrderKey[] {
  const keys: OrderKey[] = []
  for (const node of nodes) {
    if (!('SortBy' in node)) throw notSupported('this ORDER BY item')
    const target = findTarget(b, scope, targets, node.SortBy.node!, 'ORDER BY')
    const e = targets.settleAt(target)
    const direction = sortDirection(
      b,
      { SortBy: { ...node.SortBy, location: locationOf(node.SortBy.node!) ?? 0 } },
      e.type,
    )
    if (!keys.some((key) => key.target === target)) keys.push({ target, ...direction })
  }
  return keys
}

function bindGroupBy(
  b: BindContext,
  scope: Scope,
  targets: TargetList,
  nodes: readonly Node[],
  distinctSets: boolean,
): { readonly groupBy: GroupKey[]; readonly groupingSets: number[][] | undefined } {
  const groupBy: GroupKey[] = []
  const key = (node: Node): number[] => {
    if ('RowExpr' in node && node.RowExpr.row_format === 'COERCE_IMPLICIT_CAST')
      return (node.RowExpr.args ?? []).flatMap(key)
    const target = findTarget(b, scope, targets, node, 'GROUP BY')
    const e = targets.settleAt(target)
    const aggregate = firstAggregate(e)
    if (aggregate !== undefined) throw errorAt(b, '42803', 'aggregate functions are not allowed in GROUP BY', aggregate)
    const inner = windowIn(e)
    if (inner !== undefined) throw errorAt(b, '42P20', 'window functions are not allowed in GROUP BY', ownPlace(inner))
    if (b.catalog.btree(e.type) === undefined && b.catalog.type(e.type).hashKey === undefined) {
      throw errorAt(
        b,
        '42883',
        `could not identify an equality operator for type ${typeName(b, e.type)}`,
        locationOf(node),
      )
    }
    const at = groupBy.findIndex((each) => each.target === target)
    return [at >= 0 ? at : groupBy.push({ target }) - 1]
  }
  // Each item of GROUP BY gives a list of sets; the items multiply.
  const setsOf = (node: Node): number[][] => {
    if (!('GroupingSet' in node)) return [key(node)]
    const content = node.GroupingSet.content ?? []
    switch (node.GroupingSet.kind!) {
      case 'GROUPING_SET_EMPTY':
        return [[]]
      case 'GROUPING_SET_SIMPLE':
        return [content.flatMap(key)]
      case 'GROUPING_SET_ROLLUP': {
        const keys = content.map(key)
        return Array.from({ length: keys.length + 1 }, (_, i) => keys.slice(0, keys.length - i).flat())
      }
      case 'GROUPING_SET_CUBE': {
        const keys = content.map(key)
        if (keys.length > 12) throw errorAt(b, '54011', 'CUBE is limited to 12 elements', node.GroupingSet.location)
        const all = 1 << keys.length
        return Array.from({ length: all }, (_, i) =>
          keys.filter((__, j) => ((all - 1 - i) >> (keys.length - 1 - j)) & 1).flat(),
        )
      }
      case 'GROUPING_SET_SETS':
        return content.flatMap(setsOf)
    }
  }
  const hasSets = nodes.some((node) => 'GroupingSet' in node)
  let sets: number[][] = [[]]
  for (const node of nodes) {
    const choices = setsOf(node)
    sets = sets.flatMap((before) => choices.map((choice) => [...new Set([...before, ...choice])]))
    if (sets.length > 4096) throw errorAt(b, '54011', 'too many grouping sets present (maximum 4096)')
  }
  if (!hasSets) return { groupBy, groupingSets: undefined }
  if (distinctSets) {
    const seen = new Set<string>()
    sets = sets.filter((each) => {
      const name = [...each].sort((x, y) => x - y).join(',')
      return seen.has(name) ? false : seen.add(name) !== undefined
    })
  }
  return { groupBy, groupingSets: sets }
}

function bindDistinct(
  b: BindContext,
  scope: Scope,
  targets: TargetList,
  clause: readonly Node[] | undefined,
  orderBy: readonly OrderKey[],
): Distinct {
  if (clause === undefined || clause.length === 0) return { kind: 'none' }
  const items = clause.filter((node) => Object.keys(node).length > 0)
  if (items.length === 0) {
    for (const key of orderBy) {
      if (targets.list[key.target]!.junk)
        throw errorAt(
          b,
          '42P10',
          'for SELECT DISTINCT, ORDER BY expressions must appear in select list',
          placeOf(targets.list[key.target]!.expression),
        )
    }
    targets.list.forEach((target, i) => {
      const e = targets.settleAt(i)
      if (!target.junk && b.catalog.btree(e.type) === undefined && b.catalog.type(e.type).hashKey === undefined) {
        throw errorAt(b, '42883', `could not identify an equality operator for type ${typeName(b, e.type)}`, placeOf(e))
      }
    })
    return { kind: 'all' }
  }
  const on: number[] = []
  for (const node of items) {
    const target = findTarget(b, scope, targets, node, 'DISTINCT ON')
    targets.settleAt(target)
    if (!on.includes(target)) on.push(target)
  }
  let matched = 0
  for (const key of orderBy) {
    if (on.includes(key.target)) matched++
    else if (matched < on.length)
      throw errorAt(
        b,
        '42P10',
        'SELECT DISTINCT ON expressions must match initial ORDER BY expressions',
        unmatchedPlace(items, on, orderBy.slice(0, matched)),
      )
    else break
  }
  return { kind: 'on', targets: on }
}

/** Where the first DISTINCT ON expression stands that ORDER BY does not begin with. */
function unmatchedPlace(
  items: readonly Node[],
  on: readonly number[],
  matched: readonly OrderKey[],
): number | undefined {
  const seen = new Set(matched.map((key) => key.target))
  const first = on.findIndex((target) => !seen.has(target))
  return first < 0 ? undefined : locationOf(items[first]!)
}

function bindLimit(
  b: BindContext,
  scope: Scope,
  node: SelectStmt,
): { limit: Expression | undefined; offset: Expression | undefined; withTies: boolean } {
  const bind = (clause: 'limit' | 'offset', expression: Node | undefined): Expression | undefined => {
    if (expression === undefined || ('A_Const' in expression && expression.A_Const.isnull)) return undefined
    const e = within(scope, clause, () => bindExpression(b, scope, expression))
    const count = coerceToSpecific(b, e, OID.int8, clause.toUpperCase(), locationOf(expression))
    return requireNoVariables(b, count, clause.toUpperCase())
  }
  const offset = bind('offset', node.limitOffset)
  return {
    limit: bind('limit', node.limitCount),
    offset,
    withTies: node.limitOption === 'LIMIT_OPTION_WITH_TIES',
  }
}

function bindWindowClause(b: BindContext, scope: Scope, nodes: readonly Node[]): void {
  for (const node of nodes) {
    if (!('WindowDef' in node)) continue
    const name = node.WindowDef.name!
    if (scope.windowNames.has(name))
      throw errorAt(b, '42P20', `window "${name}" is already defined`, node.WindowDef.location)
    scope.windowNames.set(name, scope.windows.push({ ...bindWindow(b, scope, node.WindowDef), name }) - 1)
  }
}

// ── VALUES ───────────────────────────────────────────────────────────────────────────────────────────────────────

function bindValues(b: BindContext, scope: Scope, node: SelectStmt, ctes: readonly CteScope[]): Query {
  const rows = node.valuesLists!.map((list) => {
    const items = 'List' in list ? (list.List.items ?? []) : []
    return within(scope, 'values', () => bindWithStars(b, scope, items))
  })
  const width = rows[0]!.length
  rows.forEach((row, i) => {
    if (row.length === width) return
    throw errorAt(b, '42601', 'VALUES lists must all be the same length', locationOf(firstOf(node.valuesLists![i]!)))
  })
  const columns: ColumnInfo[] = []
  for (let i = 0; i < width; i++) {
    const list = rows.map((row) => row[i]!)
    const type = commonTypeOf(b, list, 'VALUES')
    for (const row of rows) row[i] = coerceToCommon(b, row[i]!, type, 'VALUES')
    const converted = rows.map((row) => row[i]!)
    const { collation } = converted[0]!
    const info = { name: `column${i + 1}`, type, typmod: commonTypmod(converted, type) }
    columns.push(collation === undefined ? info : { ...info, collation })
  }
  const relation: Relation = { kind: 'values', rows, alias: '*VALUES*', aliased: false, columns, lateral: false }
  scope.relations.push(relation)
  scope.items = [itemOf(0, relation)]
  const targets = new TargetList(b, scope)
  for (const column of scope.items[0]!.columns) targets.push(column.name, column.expression)
  const orderBy = bindOrderBy(b, scope, targets, node.sortClause ?? [])
  const { limit, offset, withTies } = bindLimit(b, scope, node)
  if ((node.lockingClause?.length ?? 0) > 0)
    throw errorAt(b, '0A000', `${lockName(node.lockingClause)} cannot be applied to VALUES`)
  return {
    ...EMPTY_QUERY,
    ctes: ctes.map(finishCte),
    recursive: node.withClause?.recursive === true,
    relations: scope.relations,
    from: [{ kind: 'relation', relation: 0 }],
    targets: targets.list,
    orderBy,
    limit,
    offset,
    withTies,
  }
}
const firstOf = (list: Node): Node => ('List' in list ? (list.List.items?.[0] ?? list) : list)

// ── Set operations ───────────────────────────────────────────────────────────────────────────────────────────────

const SET_KINDS = {
  SETOP_NONE: 'union',
  SETOP_UNION: 'union',
  SETOP_INTERSECT: 'intersect',
  SETOP_EXCEPT: 'except',
} as const

function bindSetOperation(b: BindContext, parent: Scope | undefined, node: SelectStmt): Query {
  const scope = createScope(parent)
  const ctes = bindWith(b, scope, node.withClause, WITH_BINDERS)
  const tree = bindSetTree(
    b,
    scope,
    {
      ...node,
      withClause: undefined as never,
      sortClause: [],
      limitCount: undefined as never,
      limitOffset: undefined as never,
      lockingClause: [],
    },
    true,
  )
  const columns = setColumns(scope, tree)
  const list: Target[] = columns.map((column, index) => ({
    name: column.name,
    expression: {
      kind: 'column',
      index,
      type: column.type,
      typmod: column.typmod,
      ...(column.collation === undefined ? {} : { collation: column.collation }),
    },
    junk: false,
    tableOid: oid(0),
    columnNumber: 0,
  }))
  const orderBy = (node.sortClause ?? []).map((key): OrderKey => {
    if (!('SortBy' in key)) throw notSupported('this ORDER BY item')
    const by = key.SortBy.node!
    let target = -1
    const position = integerOf(by)
    if (position !== undefined) {
      if (position < 1 || position > list.length)
        throw errorAt(b, '42P10', `ORDER BY position ${position} is not in select list`, locationOf(by))
      target = position - 1
    } else if ('ColumnRef' in by && by.ColumnRef.fields?.length === 1) {
      const name = stringOf(by.ColumnRef.fields[0])
      target = list.findIndex((each) => each.name === name)
      if (target < 0) throw errorAt(b, '42703', `column "${name}" does not exist`, locationOf(by))
    }
    if (target < 0) {
      throw errorAt(b, '0A000', 'invalid UNION/INTERSECT/EXCEPT ORDER BY clause', locationOf(by), {
        detail: 'Only result column names can be used, not expressions or functions.',
        hint: 'Add the expression/function to every SELECT, or move the UNION into a FROM clause.',
      })
    }
    return { target, ...sortDirection(b, key, list[target]!.expression.type) }
  })
  const { limit, offset, withTies } = bindLimit(b, scope, node)
  if ((node.lockingClause?.length ?? 0) > 0)
    throw errorAt(b, '0A000', `${lockName(node.lockingClause)} is not allowed with UNION/INTERSECT/EXCEPT`)
  return {
    ...EMPTY_QUERY,
    ctes: ctes.map(finishCte),
    recursive: node.withClause?.recursive === true,
    relations: scope.relations,
    targets: list,
    setOperation: tree,
    orderBy,
    limit,
    offset,
    withTies,
  }
}

function setColumns(scope: Scope, tree: SetOperation): readonly ColumnInfo[] {
  return tree.kind === 'leaf' ? scope.relations[tree.relation]!.columns : tree.columns
}

function bindSetTree(b: BindContext, scope: Scope, node: SelectStmt, top: boolean): SetOperation {
  const isLeaf =
    node.op === undefined ||
    node.op === 'SETOP_NONE' ||
    (!top &&
      (node.sortClause?.length || node.limitCount || node.limitOffset || node.withClause || node.lockingClause?.length))
  if (isLeaf) {
    // Leaves see the enclosing levels and this level's WITH, not each other.
    const query = bindSelect(b, { ...scope, items: [] }, node, {
      keepUnknown: node.op === undefined || node.op === 'SETOP_NONE',
    })
    const relation =
      scope.relations.push({
        kind: 'subquery',
        query,
        alias: `*SELECT* ${scope.relations.length + 1}`,
        aliased: false,
        columns: outputColumns(query),
        lateral: false,
      }) - 1
    return { kind: 'leaf', relation }
  }
  const left = bindSetTree(b, scope, node.larg!, false)
  const right = bindSetTree(b, scope, node.rarg!, false)
  const kind = SET_KINDS[node.op!]
  const word = kind.toUpperCase()
  const l = setColumns(scope, left)
  const r = setColumns(scope, right)
  if (l.length !== r.length)
    throw errorAt(b, '42601', `each ${word} query must have the same number of columns`, columnPlace(scope, right, 0))
  const columns = l.map((column, i): ColumnInfo => {
    const other = r[i]!
    const type = selectCommonType(b, [column.type, other.type], word, () => columnPlace(scope, right, i))
    settleLeafColumn(b, scope, left, i, type)
    settleLeafColumn(b, scope, right, i, type)
    return {
      name: column.name,
      type,
      typmod: column.type === type && other.type === type && column.typmod === other.typmod ? column.typmod : -1,
      ...(column.collation === undefined ? {} : { collation: column.collation }),
    }
  })
  if (!(node.all === true)) {
    columns.forEach((column, i) => {
      if (b.catalog.btree(column.type) === undefined && b.catalog.type(column.type).hashKey === undefined) {
        const what = `could not identify an equality operator for type ${typeName(b, column.type)}`
        throw errorAt(b, '42883', what, columnPlace(scope, left, i))
      }
    })
  }
  const casts = (side: readonly ColumnInfo[]): readonly Expression[] | undefined => {
    if (side.every((column, i) => column.type === columns[i]!.type)) return undefined
    return side.map((column, index) =>
      coerceToCommon(
        b,
        { kind: 'column', index, type: column.type, typmod: column.typmod },
        columns[index]!.type,
        word,
      ),
    )
  }
  return {
    kind,
    all: node.all === true,
    left,
    right,
    columns,
    leftCasts: casts(setColumns(scope, left)),
    rightCasts: casts(setColumns(scope, right)),
  }
}

/** Where a column of a set operation's side stands: in its leftmost leaf. */
function columnPlace(scope: Scope, tree: SetOperation, column: number): number | undefined {
  if (tree.kind !== 'leaf') return columnPlace(scope, tree.left, column)
  const relation = scope.relations[tree.relation]!
  const target = relation.kind === 'subquery' ? outputTargets(relation.query)[column] : undefined
  return target === undefined ? undefined : placeOf(target.expression)
}

/** Untyped literals of a leaf take the column's common type. */
function settleLeafColumn(
  b: BindContext,
  scope: Scope,
  tree: SetOperation,
  column: number,
  type: ReturnType<typeof oid>,
): void {
  if (tree.kind !== 'leaf') return
  const relation = scope.relations[tree.relation]!
  if (relation.kind !== 'subquery' || relation.columns[column]!.type !== OID.unknown) return
  let at = -1
  let seen = -1
  relation.query.targets.forEach((target, i) => {
    if (!target.junk && ++seen === column) at = i
  })
  const target = relation.query.targets[at]!
  const settle = (e: Expression): Expression =>
    e.type === OID.unknown ? coerceTo(b, e, type, -1, 'implicit', 'implicit') : e
  const targets = relation.query.targets.map((each, i) =>
    i === at ? { ...each, expression: settle(each.expression) } : each,
  )
  let query: Query = { ...relation.query, targets }
  // VALUES keeps its unknown literals in its rows.
  const e = target.expression
  const inner = e.kind === 'var' && e.level === 0 ? relation.query.relations[e.relation] : undefined
  if (e.kind === 'var' && inner?.kind === 'values') {
    const rows = inner.rows.map((row) => row.map((value, i) => (i === e.column - 1 ? settle(value) : value)))
    const fixed: Relation = {
      ...inner,
      rows,
      columns: inner.columns.map((info, i) => (i === e.column - 1 ? { ...info, type } : info)),
    }
    query = {
      ...query,
      relations: query.relations.map((each) => (each === inner ? fixed : each)),
      targets: relation.query.targets.map((each, i) => (i === at ? { ...each, expression: { ...e, type } } : each)),
    }
  }
  scope.relations[tree.relation] = { ...relation, query, columns: outputColumns(query) }
}
