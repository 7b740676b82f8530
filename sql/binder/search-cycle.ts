/**
 * SEARCH and CYCLE of a recursive WITH query: both are more columns, which the query computes for itself. After PostgreSQL's
 * rewriteSearchCycle.c, but on the parse tree:
 *
 *     LEFT UNION ALL RIGHT   SEARCH DEPTH FIRST BY a SET seq   CYCLE a, b SET mark TO v DEFAULT d USING path
 *
 *     SELECT l.*, ARRAY[ROW(a)], d, ARRAY[ROW(a, b)]                                       FROM (LEFT) l
 *     UNION ALL
 *     SELECT r.*, seq || ARRAY[ROW(a)], CASE WHEN ROW(a, b) = ANY (path) THEN v ELSE d END, path || ARRAY[ROW(a, b)]
 *     FROM (RIGHT with seq, mark and path of the row it came from) r WHERE mark <> v
 *
 * https://www.postgresql.org/docs/15/queries-with.html
 */
import type { CommonTableExpr, CTECycleClause, CTESearchClause, Node, SelectStmt } from '@pgsql/types'
import type { Expression } from '../plan/expression.ts'
import type { ColumnInfo, Cte } from '../plan/query.ts'
import { OID } from '../types/oids.ts'
import { coerceToCommon, commonTypeOf } from './coerce.ts'
import { type BindContext, errorAt, typeName } from './context.ts'
import { bindExpression } from './expression.ts'
import { findBinaryOperator } from './resolve.ts'
import { createScope } from './scope.ts'
import { namesOf } from './typename.ts'

/** What the clauses say, once checked. */
export interface SearchCycle {
  /** The columns they add, in their order. */
  readonly columns: readonly ColumnInfo[]
  readonly written: Omit<NonNullable<Cte['written']>, 'query' | 'columns'>
  readonly search: CTESearchClause | undefined
  readonly cycle: CTECycleClause | undefined
}

const LEFT = '*TLOCRN*'
const RIGHT = '*TROCRN*'

/** What the clauses ask for; throws 42804, 42883 for marks that cannot be compared. */
export function readSearchCycle(b: BindContext, node: CommonTableExpr): SearchCycle {
  const { search_clause: search, cycle_clause: cycle } = node
  const columns: ColumnInfo[] = []
  if (search !== undefined) {
    const type = search.search_breadth_first === true ? OID.record : OID.recordArray
    columns.push({ name: search.search_seq_column!, type, typmod: -1 })
  }
  const mark = cycle === undefined ? undefined : marksOf(b, cycle)
  if (cycle !== undefined && mark !== undefined) {
    columns.push({ name: cycle.cycle_mark_column!, type: mark.value.type, typmod: -1 })
    columns.push({ name: cycle.cycle_path_column!, type: OID.recordArray, typmod: -1 })
  }
  const searchWritten = search && {
    breadth: search.search_breadth_first === true,
    columns: namesOf(search.search_col_list),
    sequence: search.search_seq_column!,
  }
  const cycleWritten = cycle &&
    mark && {
      columns: namesOf(cycle.cycle_col_list),
      mark: cycle.cycle_mark_column!,
      ...mark,
      path: cycle.cycle_path_column!,
    }
  return {
    columns,
    search,
    cycle,
    written: {
      ...(searchWritten === undefined ? {} : { search: searchWritten }),
      ...(cycleWritten === undefined ? {} : { cycle: cycleWritten }),
    },
  }
}

function marksOf(
  b: BindContext,
  cycle: CTECycleClause,
): { readonly value: Expression; readonly otherwise: Expression } {
  const scope = createScope(undefined, 'other')
  const given = [cycle.cycle_mark_value!, cycle.cycle_mark_default!].map((node) => bindExpression(b, scope, node))
  const type = commonTypeOf(b, given, 'CYCLE')
  const [value, otherwise] = given.map((e) => coerceToCommon(b, e, type, 'CYCLE'))
  if (findBinaryOperator(b, { schema: undefined, name: '=' }, type, type) === undefined)
    throw errorAt(b, '42883', `could not identify an equality operator for type ${typeName(b, type)}`)
  return { value: value!, otherwise: otherwise! }
}

/** Throws 42601 and 42701 as PostgreSQL's analyzeCTE does, once the query itself is found right. */
export function checkSearchCycle(
  b: BindContext,
  select: SelectStmt,
  names: readonly string[],
  { search, cycle }: SearchCycle,
): void {
  for (const [side, arm] of [
    ['left', select.larg],
    ['right', select.rarg],
  ] as const)
    if (arm?.op !== undefined && arm.op !== 'SETOP_NONE')
      throw errorAt(
        b,
        side === 'left' ? '0A000' : '42601',
        `with a SEARCH or CYCLE clause, the ${side} side of the UNION must be a SELECT`,
      )
  const listed = (kind: string, list: readonly string[], location: number | undefined): void =>
    list.forEach((name, i) => {
      if (!names.includes(name))
        throw errorAt(b, '42601', `${kind} column "${name}" not in WITH query column list`, location)
      if (list.indexOf(name) !== i)
        throw errorAt(b, '42701', `${kind} column "${name}" specified more than once`, location)
    })
  const free = (kind: string, name: string, location: number | undefined): void => {
    if (names.includes(name))
      throw errorAt(b, '42601', `${kind} column name "${name}" already used in WITH query column list`, location)
  }
  const differ = (first: string | undefined, second: string | undefined, words: string, location?: number): void => {
    if (first === second) throw errorAt(b, '42601', `${words} column name are the same`, location)
  }
  if (search !== undefined) {
    listed('search', namesOf(search.search_col_list), search.location)
    free('search sequence', search.search_seq_column!, search.location)
  }
  if (cycle === undefined) return
  const { cycle_mark_column: mark, cycle_path_column: path, location } = cycle
  listed('cycle', namesOf(cycle.cycle_col_list), location)
  free('cycle mark', mark!, location)
  free('cycle path', path!, location)
  differ(mark, path, 'cycle mark column name and cycle path', location)
  if (search === undefined) return
  const sequence = search.search_seq_column
  differ(sequence, mark, 'search sequence column name and cycle mark', search.location)
  differ(sequence, path, 'search sequence column name and cycle path', search.location)
}

// ── The query with those columns ─────────────────────────────────────────────────────────────────────────────────

const text = (value: string): Node => ({ String: { sval: value } })
const column = (...path: string[]): Node => ({ ColumnRef: { fields: path.map(text) } })
const target = (val: Node, name?: string): Node => ({ ResTarget: { val, ...(name === undefined ? {} : { name }) } })
const row = (args: Node[]): Node => ({ RowExpr: { args, row_format: 'COERCE_EXPLICIT_CALL' } })
const array = (element: Node): Node => ({ A_ArrayExpr: { elements: [element] } })
const operator = (kind: 'AEXPR_OP' | 'AEXPR_OP_ANY', name: string, lexpr: Node, rexpr: Node): Node => ({
  A_Expr: { kind, name: [text('pg_catalog'), text(name)], lexpr, rexpr },
})
const call = (name: string, args: Node[]): Node => ({
  FuncCall: { funcname: [text('pg_catalog'), text(name)], args, funcformat: 'COERCE_EXPLICIT_CALL' },
})
const zero: Node = {
  TypeCast: { arg: { A_Const: { ival: { ival: 0 } } }, typeName: { names: [text('pg_catalog'), text('int8')] } },
}
const one: Node = { A_Const: { ival: { ival: 1 } } }

const from = (query: SelectStmt, alias: string, names: readonly string[]): Node => ({
  RangeSubselect: { subquery: { SelectStmt: query }, alias: { aliasname: alias, colnames: names.map(text) } },
})

/** LEFT UNION RIGHT with the columns of its clauses. `names`: of the query's own columns. */
export function withSearchCycle(
  b: BindContext,
  name: string,
  select: SelectStmt,
  names: readonly string[],
  clauses: SearchCycle,
): SelectStmt {
  const { search, cycle } = clauses
  const added = clauses.columns.map((each) => each.name)
  const own = (alias: string) => names.map((each) => target(column(alias, each), each))
  const rowOf = (alias: string, list: readonly Node[] | undefined, first?: Node) =>
    row([...(first === undefined ? [] : [first]), ...namesOf(list).map((each) => column(alias, each))])
  const left: Node[] = []
  const right: Node[] = []
  if (search !== undefined) {
    const of = search.search_col_list
    const sequence = search.search_seq_column!
    const before = column(RIGHT, sequence)
    if (search.search_breadth_first === true) {
      const depth: Node = { A_Indirection: { arg: before, indirection: [text('f1')] } }
      left.push(target(rowOf(LEFT, of, zero), sequence))
      right.push(target(rowOf(RIGHT, of, operator('AEXPR_OP', '+', depth, one)), sequence))
    } else {
      left.push(target(array(rowOf(LEFT, of)), sequence))
      right.push(target(call('array_cat', [before, array(rowOf(RIGHT, of))]), sequence))
    }
  }
  if (cycle !== undefined) {
    const of = cycle.cycle_col_list
    const [value, otherwise] = [cycle.cycle_mark_value!, cycle.cycle_mark_default!]
    const path = column(RIGHT, cycle.cycle_path_column!)
    // Both arms are CASE, so that the mark's type is found alike.
    const marked = (when: Node): Node => ({
      CaseExpr: { args: [{ CaseWhen: { expr: when, result: value } }], defresult: otherwise },
    })
    left.push(target(marked({ A_Const: { boolval: { boolval: false } } }), cycle.cycle_mark_column))
    left.push(target(array(rowOf(LEFT, of)), cycle.cycle_path_column))
    right.push(target(marked(operator('AEXPR_OP_ANY', '=', rowOf(RIGHT, of), path)), cycle.cycle_mark_column))
    right.push(target(call('array_cat', [path, array(rowOf(RIGHT, of))]), cycle.cycle_path_column))
  }
  const hidden = select.rarg?.withClause?.ctes?.some(
    (each) => 'CommonTableExpr' in each && each.CommonTableExpr.ctename === name,
  )
  const alias = hidden === true ? undefined : referenceIn(select.rarg?.fromClause, name)
  if (alias === undefined)
    throw errorAt(
      b,
      '0A000',
      `with a SEARCH or CYCLE clause, the recursive reference to WITH query "${name}" must be at the top level of its right-hand SELECT`,
    )
  const inner: SelectStmt = {
    ...select.rarg,
    targetList: [...(select.rarg?.targetList ?? []), ...added.map((each) => target(column(alias, each), each))],
  }
  return {
    ...select,
    larg: {
      targetList: [...own(LEFT), ...left],
      fromClause: [from(select.larg!, LEFT, names)],
      op: 'SETOP_NONE',
      limitOption: 'LIMIT_OPTION_DEFAULT',
    },
    rarg: {
      targetList: [...own(RIGHT), ...right],
      fromClause: [from(inner, RIGHT, [...names, ...added])],
      ...(cycle === undefined
        ? {}
        : {
            whereClause: operator('AEXPR_OP', '<>', column(RIGHT, cycle.cycle_mark_column!), cycle.cycle_mark_value!),
          }),
      op: 'SETOP_NONE',
      limitOption: 'LIMIT_OPTION_DEFAULT',
    },
  }
}

/** The name under which FROM's own items (not subqueries) have the WITH query. */
function referenceIn(items: readonly Node[] | undefined, name: string): string | undefined {
  for (const item of items ?? []) {
    if ('RangeVar' in item && item.RangeVar.relname === name && item.RangeVar.schemaname === undefined)
      return item.RangeVar.alias?.aliasname ?? name
    if ('JoinExpr' in item) {
      const { larg, rarg } = item.JoinExpr
      const found = referenceIn(larg === undefined ? [] : [larg], name) ?? referenceIn(rarg && [rarg], name)
      if (found !== undefined) return found
    }
  }
  return undefined
}
