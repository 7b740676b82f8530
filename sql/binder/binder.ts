/**
 * The binder's door: a parse tree and a catalog to a bound Query. Names become oids and positions, types are settled,
 * conversions written out; what PostgreSQL refuses while analysing is refused here, with its words and codes.
 */
import type { Node } from '@pgsql/types'
import type { RelationRow } from '../catalog/catalog.ts'
import { parse } from '../parser/parser.ts'
import type { Expression } from '../plan/expression.ts'
import type { ColumnInfo, Query } from '../plan/query.ts'
import { notSupported, sqlError } from '../types/error.ts'
import { OID, PG_CATALOG } from '../types/oids.ts'
import { bindCall } from './call.ts'
import { coerceToBoolean, settleUnknown } from './coerce.ts'
import type { BindContext } from './context.ts'
import { bindExpression, provideContainers } from './expression.ts'
import { columnsOf } from './from.ts'
import { bindMerge } from './merge.ts'
import { bindDelete, bindInsert, bindUpdate } from './modify.ts'
import { type Clause, createScope, itemOf, type Scope } from './scope.ts'
import { bindQuery, provideQueryBinders } from './select.ts'
import { readThrough } from './view-options.ts'

provideContainers({ subquery: (b, scope, node) => bindQuery(b, scope, node), call: bindCall })
provideQueryBinders({ modify: bindModify, view: bindView })

export { canCoerce, coerceTo } from './coerce.ts'
export type { BindContext, ViewAccess } from './context.ts'
export { errorAt, typeName } from './context.ts'
export { findCollation } from './expression.ts'
export { outputColumns, requireRelation } from './from.ts'
export { findBinaryOperator } from './resolve.ts'
export { bindProcedureCall, bindRoutineResult, parameterNames, type RoutineResult } from './routine.ts'
export { columnName } from './select.ts'
export { findType, namesOf, resolveTypeName } from './typename.ts'

const BINDABLE = ['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'] as const
/** Whether a statement is a query that this binder takes (others are utility statements). */
export const isQuery = (node: Node): boolean => BINDABLE.some((tag) => tag in node)

/** Binds SELECT, VALUES, INSERT, UPDATE, DELETE or MERGE. */
export function bind(b: BindContext, node: Node): Query {
  return bindQuery(b, undefined, node)
}

function bindModify(b: BindContext, parent: Scope | undefined, node: Node): Query {
  if ('InsertStmt' in node) return bindInsert(b, parent, node.InsertStmt)
  if ('UpdateStmt' in node) return bindUpdate(b, parent, node.UpdateStmt, bindView)
  if ('DeleteStmt' in node) return bindDelete(b, parent, node.DeleteStmt, bindView)
  if ('MergeStmt' in node) return bindMerge(b, parent, node.MergeStmt, bindView)
  throw notSupported('this statement inside a query')
}

/** Bound system views by catalog view object: their text is bound once. */
const systemViews = new Map<number, { readonly query: Query; readonly used: ReadonlySet<RelationRow['oid']> }>()

function bindView(b: BindContext, view: RelationRow): Query {
  if (view.view === undefined) throw sqlError('42809', `"${view.name}" is not a view`)
  if ('query' in view.view) {
    noteRelations(b, view.view.query)
    return view.view.query
  }
  let known = systemViews.get(view.oid)
  if (known === undefined) {
    const parsed = parse(view.view.sql)
    if (parsed instanceof Promise) throw sqlError('54001', 'stack depth limit exceeded')
    const informationSchema = b.catalog.namespaceByName('information_schema')
    const context: BindContext = {
      ...b,
      source: view.view.sql,
      searchPath: informationSchema?.oid === view.namespace ? [PG_CATALOG, informationSchema.oid] : [PG_CATALOG],
      parameters: [],
      parametersFixed: true,
      relationsUsed: new Set(),
      accesses: new Map(),
      viewAccesses: [],
    }
    known = { query: bind(context, parsed[0]!.node), used: context.relationsUsed }
    systemViews.set(view.oid, known)
  }
  for (const used of known.used) b.relationsUsed.add(used)
  return known.query
}

/** The query of a view, to be read as in FROM: its tables noted, its privileges wanted. */
export const readView = (b: BindContext, view: RelationRow): Query => readThrough(b, view, bindView(b, view))

function noteRelations(b: BindContext, query: Query): void {
  for (const relation of query.relations) {
    if (relation.kind === 'table') b.relationsUsed.add(relation.oid)
    else if (relation.kind === 'subquery') noteRelations(b, relation.query)
  }
  for (const cte of query.ctes) noteRelations(b, cte.query)
}

/** An expression over one table's columns (relation 0): CHECK, DEFAULT, index expressions, generated columns. */
export function bindTableExpression(
  b: BindContext,
  table: Pick<RelationRow, 'name' | 'columns' | 'rowType'> | undefined,
  node: Node,
  clause: Clause,
): Expression {
  const scope = createScope(undefined, clause)
  if (table !== undefined) {
    scope.relations.push({
      kind: 'table',
      oid: (table as RelationRow).oid,
      only: false,
      alias: table.name,
      aliased: false,
      columns: columnsOf(table as RelationRow),
      lateral: false,
    })
    scope.items = [itemOf(0, scope.relations[0]!, { rowType: table.rowType })]
  }
  return bindExpression(b, scope, node)
}

/** A boolean condition over one table. */
export const bindTableCondition = (
  b: BindContext,
  table: Pick<RelationRow, 'name' | 'columns' | 'rowType'>,
  node: Node,
  clause: Clause,
  construct: string,
): Expression => coerceToBoolean(b, bindTableExpression(b, table, node, clause), construct)

/** An expression without any columns: SET values, EXECUTE arguments, CALL arguments. */
export function bindConstantExpression(b: BindContext, node: Node, clause: Clause = 'other'): Expression {
  return bindExpression(b, createScope(undefined, clause), node)
}
export const settle = (b: BindContext, e: Expression): Expression => (e.type === OID.unknown ? settleUnknown(b, e) : e)

export { notUpdatable } from './updatable.ts'
export type { ColumnInfo }
