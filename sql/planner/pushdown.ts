/**
 * Conditions on a subquery's columns, asked inside it where that gives the same rows: before DISTINCT, in every branch of a
 * UNION, before GROUP BY when they concern its keys, before windows when they concern what all of them partition by.
 *
 *     select * from (select k, sum(v) from t group by k) s where k = 5    →    … from t where k = 5 group by k
 */
import type { Expression } from '../plan/expression.ts'
import type { Query, Relation, SetOperation } from '../plan/query.ts'
import { raiseExpression, sameExpression, some } from '../plan/walk.ts'
import { OID } from '../types/oids.ts'
import type { Level } from './level.ts'
import { isVolatile } from './scan.ts'

export interface Pushed {
  readonly query: Query
  /** What could not go inside. */
  readonly rest: readonly Expression[]
}

/** `conditions` read relation `at` (this query) and levels further out only. */
export function pushConditions(level: Level, query: Query, at: number, conditions: readonly Expression[]): Pushed {
  if (query.command !== 'select' || query.limit !== undefined || query.offset !== undefined || query.withTies) {
    return { query, rest: conditions }
  }
  if (query.rowLocks.length > 0) return { query, rest: conditions }
  const rest: Expression[] = []
  let current = query
  for (const e of conditions) {
    const next = isVolatile(level, e) ? undefined : pushOne(level, current, at, raiseExpression(e, 1))
    if (next === undefined) rest.push(e)
    else current = next
  }
  return { query: current, rest }
}

/** `e` already counts levels as inside the subquery: its columns are vars of level 1, relation `at`. */
function pushOne(level: Level, query: Query, at: number, e: Expression): Query | undefined {
  if (query.setOperation !== undefined) return pushIntoBranches(level, query, query.setOperation, at, e)
  const columns = columnsOf(e, at)
  if (columns === undefined) return undefined
  const targets = query.targets.filter((target) => !target.junk)
  const used = columns.map((column) => targets[column - 1]?.expression)
  if (used.some((each) => each === undefined || each.kind === 'subquery' || isVolatile(level, each) || hasSet(each)))
    return undefined
  const all = used as Expression[]
  const among = (keys: readonly Expression[]): boolean =>
    all.every((each) => keys.some((key) => sameExpression(key, each)))
  if (query.distinct.kind === 'on' && !among(query.distinct.targets.map((target) => query.targets[target]!.expression)))
    return undefined
  if (query.hasSetReturning && query.distinct.kind !== 'none') return undefined
  if (query.windows.some((window) => !among(window.partitionBy))) return undefined
  const grouped = query.hasAggregates || query.groupBy.length > 0 || query.groupingSets !== undefined
  if (grouped) {
    if (query.groupingSets !== undefined || query.groupBy.length === 0) return undefined
    if (!among(query.groupBy.map((key) => query.targets[key.target]!.expression))) return undefined
  }
  const inside = replaceColumns(e, at, (column) => targets[column - 1]!.expression, 0) as Expression
  return { ...query, where: conjoined(query.where, inside) }
}

const conjoined = (x: Expression | undefined, y: Expression): Expression =>
  x === undefined ? y : { kind: 'and', args: [x, y], type: OID.bool, typmod: -1 }

const hasSet = (e: Expression | undefined): boolean =>
  e !== undefined && some(e, (node) => node.kind === 'window' || (node.kind === 'call' && node.setReturning))

/** Every branch of a UNION gets the condition; one that cannot take it keeps the whole from having it. */
function pushIntoBranches(
  level: Level,
  query: Query,
  tree: SetOperation,
  at: number,
  e: Expression,
): Query | undefined {
  const leaves: number[] = []
  if (!leavesOf(tree, leaves)) return undefined
  const relations: Relation[] = [...query.relations]
  for (const leaf of leaves) {
    const relation = relations[leaf]!
    if (relation.kind !== 'subquery') return undefined
    const inner = relation.query
    if (inner.limit !== undefined || inner.offset !== undefined || inner.rowLocks.length > 0) return undefined
    // The leaf stands a level below the operation.
    const next = pushOne(level, inner, at, raiseOthers(e, at))
    if (next === undefined) return undefined
    relations[leaf] = { ...relation, query: next }
  }
  return { ...query, relations }
}

/** False when a branch's values change on their way up, or rows are told apart by more than their columns. */
function leavesOf(tree: SetOperation, into: number[]): boolean {
  if (tree.kind === 'leaf') {
    into.push(tree.relation)
    return true
  }
  if (tree.kind !== 'union' || tree.leftCasts !== undefined || tree.rightCasts !== undefined) return false
  return leavesOf(tree.left, into) && leavesOf(tree.right, into)
}

/** The subquery's columns in `e`, positions from 1; undefined for whole-row references. */
function columnsOf(e: Expression, at: number): number[] | undefined {
  const found = new Set<number>()
  let whole = false
  replaceColumns(
    e,
    at,
    (column) => {
      if (column <= 0) whole = true
      found.add(column)
      return undefined
    },
    0,
  )
  return whole ? undefined : [...found]
}

type Var = Extract<Expression, { kind: 'var' }>
const isColumn = (node: { kind?: unknown }, at: number, depth: number): node is Var =>
  node.kind === 'var' && (node as Var).level === depth + 1 && (node as Var).relation === at

function replaceColumns(
  tree: unknown,
  at: number,
  f: (column: number) => Expression | undefined,
  depth: number,
): unknown {
  if (typeof tree !== 'object' || tree === null) return tree
  if (Array.isArray(tree)) return tree.map((each) => replaceColumns(each, at, f, depth))
  if (Object.getPrototypeOf(tree) !== Object.prototype) return tree
  const node = tree as { kind?: unknown; command?: unknown; relations?: unknown }
  if (isColumn(node, at, depth)) {
    const found = f(node.column)
    return found === undefined ? node : raiseExpression(found, depth)
  }
  const here = node.command !== undefined && node.relations !== undefined ? depth + 1 : depth
  return Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, replaceColumns(value, at, f, here)]))
}

/** One level deeper, but for the columns themselves, which stay where pushOne looks for them. */
function raiseOthers(e: Expression, at: number): Expression {
  const marked = replaceMarked(e, at, 0)
  return marked as Expression
}
function replaceMarked(tree: unknown, at: number, depth: number): unknown {
  if (typeof tree !== 'object' || tree === null) return tree
  if (Array.isArray(tree)) return tree.map((each) => replaceMarked(each, at, depth))
  if (Object.getPrototypeOf(tree) !== Object.prototype) return tree
  const node = tree as { kind?: unknown; command?: unknown; relations?: unknown; level?: unknown }
  if (isColumn(node, at, depth)) return node
  const here = node.command !== undefined && node.relations !== undefined ? depth + 1 : depth
  const result = Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, replaceMarked(value, at, here)]))
  const leveled = node.kind === 'var' || node.kind === 'aggregate' || node.kind === 'grouping'
  if (leveled && typeof node.level === 'number' && node.level > depth) result['level'] = node.level + 1
  return result
}
