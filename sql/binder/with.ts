/**
 * WITH: each query bound in the order it may be read in; RECURSIVE lets later ones be named earlier, and one name itself.
 * The form of a recursive query is checked on its parse tree, as PostgreSQL does (parse_cte.c, checkWellFormedRecursion).
 */
import type { CommonTableExpr, Node, SelectStmt, WithClause } from '@pgsql/types'
import type { ColumnInfo, Cte, Query } from '../plan/query.ts'
import { type BindContext, errorAt, placeOf, typeName } from './context.ts'
import { locationOf } from './expression.ts'
import { outputColumns } from './from.ts'
import type { CteScope, Scope } from './scope.ts'
import { checkSearchCycle, readSearchCycle, withSearchCycle } from './search-cycle.ts'
import { namesOf } from './typename.ts'

export interface WithBinders {
  select(b: BindContext, parent: Scope | undefined, node: SelectStmt): Query
  query(b: BindContext, parent: Scope | undefined, node: Node): Query
}

const MATERIALIZED = {
  CTEMaterializeDefault: 'default',
  CTEMaterializeAlways: 'always',
  CTEMaterializeNever: 'never',
} as const

export function bindWith(
  b: BindContext,
  scope: Scope,
  clause: WithClause | undefined,
  binders: WithBinders,
): CteScope[] {
  if (clause === undefined) return []
  const nodes = (clause.ctes ?? []).flatMap((node) => ('CommonTableExpr' in node ? [node.CommonTableExpr] : []))
  nodes.forEach((node, i) => {
    if (nodes.some((other, j) => j < i && other.ctename === node.ctename)) {
      throw errorAt(b, '42712', `WITH query name "${node.ctename}" specified more than once`, node.location)
    }
    const changes = !('SelectStmt' in node.ctequery!)
    if ('MergeStmt' in node.ctequery!) throw errorAt(b, '0A000', 'MERGE not supported in WITH query', node.location)
    if (changes && scope.parent !== undefined) {
      throw errorAt(
        b,
        '0A000',
        'WITH clause containing a data-modifying statement must be at the top level',
        node.location,
      )
    }
  })
  const ordered = clause.recursive === true ? inDependencyOrder(b, nodes) : nodes
  if (clause.recursive === true)
    for (const node of ordered) if (mentions(node.ctequery, node.ctename!)) checkRecursion(b, node)
  scope.futureCtes = clause.recursive === true ? [] : nodes.map((node) => node.ctename!)
  for (const node of ordered) {
    bindOne(b, scope, node, clause.recursive === true, binders)
    scope.futureCtes = scope.futureCtes.filter((name) => name !== node.ctename)
  }
  return scope.ctes
}

function bindOne(b: BindContext, scope: Scope, node: CommonTableExpr, mayRecur: boolean, binders: WithBinders): void {
  const name = node.ctename!
  const materialized = MATERIALIZED[node.ctematerialized ?? 'CTEMaterializeDefault']
  const cte: CteScope = {
    name,
    columns: [],
    query: undefined,
    self: false,
    recursive: false,
    references: 0,
    added: 0,
    base: undefined,
  }
  const body = node.ctequery!
  const select = 'SelectStmt' in body ? body.SelectStmt : undefined
  const recursive = mayRecur && select !== undefined && mentions(select, name)
  const clauses = node.search_clause !== undefined || node.cycle_clause !== undefined
  let written: Cte['written']
  let query: Query
  if (clauses) {
    ;({ query, written } = bindSearchCycle(b, scope, node, cte, recursive ? select : undefined, binders))
  } else if (recursive) {
    // The non-recursive term gives the columns; then the whole is bound with the name in scope.
    const base = binders.select(b, scope, withOuter(select, select.larg!))
    cte.columns = named(b, node, outputColumns(base))
    cte.base = base
    cte.self = true
    scope.ctes.push(cte)
    query = binders.select(b, scope, select)
    cte.self = false
    checkRecursiveTypes(b, cte, base, outputColumns(query))
    cte.recursive = true
  } else {
    query = binders.query(b, scope, body)
    scope.ctes.push(cte)
  }
  cte.columns = clauses ? [...cte.columns] : named(b, node, outputColumns(query))
  const references = cte.references
  cte.references = 0
  cte.query = {
    name,
    query,
    columns: cte.columns,
    aliased: (node.aliascolnames?.length ?? 0) > 0,
    materialized,
    recursive: cte.recursive,
    references: recursive ? references : 0,
    ...(written === undefined ? {} : { written }),
  }
}

/** The query as it is written first, for its errors and for printing, then the one that computes the clauses' columns. */
function bindSearchCycle(
  b: BindContext,
  scope: Scope,
  node: CommonTableExpr,
  cte: CteScope,
  select: SelectStmt | undefined,
  binders: WithBinders,
): { query: Query; written: NonNullable<Cte['written']> } {
  if (select === undefined) throw errorAt(b, '42601', 'WITH query is not recursive', node.location)
  const base = binders.select(b, scope, withOuter(select, select.larg!))
  const own = named(b, node, outputColumns(base))
  const clauses = readSearchCycle(b, node)
  cte.columns = [...own, ...clauses.columns]
  cte.added = clauses.columns.length
  cte.base = base
  cte.self = true
  scope.ctes.push(cte)
  const asWritten = binders.select(b, scope, select)
  checkRecursiveTypes(b, cte, base, outputColumns(asWritten))
  const names = own.map((column) => column.name)
  checkSearchCycle(b, select, names, clauses)
  cte.references = 0
  const rewritten = withSearchCycle(b, cte.name, select, names, clauses)
  cte.base = binders.select(b, scope, withOuter(rewritten, rewritten.larg!))
  const query = binders.select(b, scope, rewritten)
  cte.self = false
  cte.recursive = true
  return { query, written: { query: asWritten, columns: own, ...clauses.written } }
}

function named(b: BindContext, node: CommonTableExpr, columns: readonly ColumnInfo[]): ColumnInfo[] {
  const aliases = namesOf(node.aliascolnames)
  if (aliases.length > columns.length) {
    const counts = `${columns.length} columns available but ${aliases.length} columns specified`
    throw errorAt(b, '42P10', `WITH query "${node.ctename}" has ${counts}`, node.location)
  }
  return columns.map((column, i) => ({ ...column, name: aliases[i] ?? column.name }))
}

function checkRecursiveTypes(b: BindContext, cte: CteScope, base: Query, columns: readonly ColumnInfo[]): void {
  const targets = base.targets.filter((target) => !target.junk)
  columns.forEach((column, i) => {
    const first = cte.columns[i]
    if (first === undefined || (column.type === first.type && column.typmod === first.typmod)) return
    const [was, is] = [typeName(b, first.type, first.typmod), typeName(b, column.type, column.typmod)]
    const place = targets[i] === undefined ? undefined : placeOf(targets[i].expression)
    throw errorAt(
      b,
      '42804',
      `recursive query "${cte.name}" column ${i + 1} has type ${was} in non-recursive term but type ${is} overall`,
      place,
      {
        hint: 'Cast the output of the non-recursive term to the correct type.',
      },
    )
  })
}

/** The left arm of a UNION with the WITH clause that the whole has. */
const withOuter = (whole: SelectStmt, left: SelectStmt): SelectStmt =>
  whole.withClause !== undefined && left.withClause === undefined ? { ...left, withClause: whole.withClause } : left

export const finishCte = (cte: CteScope): Cte => ({ ...cte.query!, references: cte.references })

/** Whether a tree reads this WITH query: names it without a schema, and no inner WITH hides it. */
function mentions(node: unknown, name: string): boolean {
  if (typeof node !== 'object' || node === null) return false
  if (Array.isArray(node)) return node.some((each) => mentions(each, name))
  const { relname, schemaname, withClause } = node as { relname?: string; schemaname?: string; withClause?: WithClause }
  if (relname === name && schemaname === undefined) return true
  if (withClause !== undefined && hides(withClause, name)) {
    // What the hiding WITH holds before the name is defined may still mean the outer one.
    if (withClause.recursive === true) return false
    for (const each of withClause.ctes ?? []) {
      if (!('CommonTableExpr' in each)) continue
      if (mentions(each.CommonTableExpr.ctequery, name)) return true
      if (each.CommonTableExpr.ctename === name) return false
    }
  }
  return Object.values(node).some((value) => mentions(value, name))
}
const hides = (clause: WithClause, name: string): boolean =>
  (clause.ctes ?? []).some((each) => 'CommonTableExpr' in each && each.CommonTableExpr.ctename === name)

/** Those without unmet dependencies first, as they stand; 0A000 when they need each other. */
function inDependencyOrder(b: BindContext, nodes: readonly CommonTableExpr[]): CommonTableExpr[] {
  const left = nodes.map((node) => ({
    node,
    needs: new Set(nodes.filter((other) => other !== node && mentions(node.ctequery, other.ctename!))),
  }))
  const ordered: CommonTableExpr[] = []
  while (left.length > 0) {
    const at = left.findIndex((each) => each.needs.size === 0)
    if (at < 0)
      throw errorAt(b, '0A000', 'mutual recursion between WITH items is not implemented', left[0]!.node.location)
    const [next] = left.splice(at, 1)
    ordered.push(next!.node)
    for (const each of left) each.needs.delete(next!.node)
  }
  return ordered
}

type RecursionContext = 'ok' | 'non-recursive' | 'subquery' | 'outer join' | 'intersect' | 'except'
const MUST_NOT: Readonly<Record<Exclude<RecursionContext, 'ok'>, string>> = {
  'non-recursive': 'within its non-recursive term',
  subquery: 'within a subquery',
  'outer join': 'within an outer join',
  intersect: 'within INTERSECT',
  except: 'within EXCEPT',
}

interface RecursionCheck {
  readonly b: BindContext
  readonly name: string
  references: number
}

function checkRecursion(b: BindContext, node: CommonTableExpr): void {
  const name = node.ctename!
  const body = node.ctequery!
  if (!('SelectStmt' in body)) {
    throw errorAt(b, '42P19', `recursive query "${name}" must not contain data-modifying statements`, node.location)
  }
  const select = body.SelectStmt
  if (select.op !== 'SETOP_UNION') {
    throw errorAt(
      b,
      '42P19',
      `recursive query "${name}" does not have the form non-recursive-term UNION [ALL] recursive-term`,
      node.location,
    )
  }
  const c: RecursionCheck = { b, name, references: 0 }
  checkTree(c, { SelectStmt: select.larg }, 'non-recursive')
  checkTree(c, { SelectStmt: select.rarg }, 'ok')
  if (select.withClause !== undefined) checkTree(c, select.withClause.ctes, 'subquery')
  const refuse = (what: string, at: number | undefined) =>
    errorAt(b, '0A000', `${what} in a recursive query is not implemented`, at)
  const first = select.sortClause?.[0]
  if (first !== undefined) throw refuse('ORDER BY', 'SortBy' in first ? locationOf(first.SortBy.node!) : undefined)
  if (select.limitOffset !== undefined) throw refuse('OFFSET', locationOf(select.limitOffset))
  if (select.limitCount !== undefined) throw refuse('LIMIT', locationOf(select.limitCount))
  if ((select.lockingClause?.length ?? 0) > 0) throw refuse('FOR UPDATE/SHARE', undefined)
}

function checkTree(c: RecursionCheck, node: unknown, context: RecursionContext): void {
  if (typeof node !== 'object' || node === null) return
  if (Array.isArray(node)) {
    for (const each of node) checkTree(c, each, context)
    return
  }
  const { RangeVar, SelectStmt, JoinExpr, SubLink } = node as {
    RangeVar?: { relname?: string; schemaname?: string; location?: number }
    SelectStmt?: SelectStmt
    JoinExpr?: { jointype?: string; larg?: Node; rarg?: Node; quals?: Node }
    SubLink?: { testexpr?: Node; subselect?: Node }
  }
  if (RangeVar !== undefined) {
    if (RangeVar.relname !== c.name || RangeVar.schemaname !== undefined) return
    const what = context !== 'ok' ? MUST_NOT[context] : ++c.references > 1 ? 'more than once' : undefined
    if (what !== undefined)
      throw errorAt(c.b, '42P19', `recursive reference to query "${c.name}" must not appear ${what}`, RangeVar.location)
    return
  }
  if (JoinExpr !== undefined) {
    const nullable: RecursionContext = context === 'ok' ? 'outer join' : context
    const type = JoinExpr.jointype
    checkTree(c, JoinExpr.larg, type === 'JOIN_RIGHT' || type === 'JOIN_FULL' ? nullable : context)
    checkTree(c, JoinExpr.rarg, type === 'JOIN_LEFT' || type === 'JOIN_FULL' ? nullable : context)
    checkTree(c, JoinExpr.quals, context)
    return
  }
  if (SubLink !== undefined) {
    checkTree(c, SubLink.testexpr, context)
    checkTree(c, SubLink.subselect, 'subquery')
    return
  }
  if (SelectStmt !== undefined) {
    checkSelect(c, SelectStmt, context)
    return
  }
  for (const value of Object.values(node)) checkTree(c, value, context)
}

function checkSelect(c: RecursionCheck, select: SelectStmt, context: RecursionContext): void {
  const { withClause, larg, rarg, ...rest } = select
  if (withClause !== undefined) {
    for (const each of withClause.ctes ?? []) {
      if (!('CommonTableExpr' in each)) continue
      if (withClause.recursive !== true) checkTree(c, each.CommonTableExpr.ctequery, context)
      if (each.CommonTableExpr.ctename === c.name) return // hidden from here on
    }
    if (withClause.recursive === true) checkTree(c, withClause.ctes, context)
  }
  const strict = context === 'ok'
  const bothSides: RecursionContext =
    strict && select.op === 'SETOP_INTERSECT' && select.all === true ? 'intersect' : context
  const leftSide: RecursionContext =
    strict && select.op === 'SETOP_EXCEPT' && select.all === true ? 'except' : bothSides
  const rightSide: RecursionContext = strict && select.op === 'SETOP_EXCEPT' ? 'except' : bothSides
  checkTree(c, rest, context)
  if (larg !== undefined) checkSelect(c, larg, leftSide)
  if (rarg !== undefined) checkSelect(c, rarg, rightSide)
}
