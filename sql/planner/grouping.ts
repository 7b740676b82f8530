/** GROUP BY, grouping sets and aggregates: what is computed below the groups, and how groups are found. */
import type { AggregateCall, Expression } from '../plan/expression.ts'
import type { Query } from '../plan/query.ts'
import { ExpressionList, raiseExpression, sameExpression } from '../plan/walk.ts'
import { COST } from './estimate.ts'
import type { JoinContext } from './join-pair.ts'
import { costOf, type Path, pathOf, rowsOf } from './path.ts'

type Aggregate = Expression & { kind: 'aggregate' }

interface Above {
  readonly aggregates: ExpressionList
  readonly groupings: (Expression & { kind: 'grouping' })[]
  /** Columns that stand outside of aggregates and keys: they depend on the keys, and are carried along. */
  readonly carried: ExpressionList
}

/** What stands above the grouping: aggregates, GROUPING calls and columns of this level, also inside subqueries. */
function collectAbove(tree: unknown, depth: number, keys: ExpressionList, found: Above): void {
  if (typeof tree !== 'object' || tree === null) return
  if (Array.isArray(tree)) {
    for (const each of tree) collectAbove(each, depth, keys, found)
    return
  }
  if (Object.getPrototypeOf(tree) !== Object.prototype) return
  const node = tree as Expression & { command?: unknown; relations?: unknown }
  if (node.kind === 'const' || node.kind === 'param') return
  if (node.kind === 'aggregate' && node.level === depth) {
    found.aggregates.addOnce(raiseExpression(node, -depth))
    return
  }
  if (node.kind === 'grouping' && node.level === depth) {
    addOnce(found.groupings, raiseExpression(node, -depth) as Expression & { kind: 'grouping' })
    return
  }
  if (node.kind === 'var') {
    if (node.level !== depth) return
    const own = depth === 0 ? node : { ...node, level: 0 }
    if (keys.find(own) < 0) found.carried.addOnce(own)
    return
  }
  if (depth === 0 && node.kind !== undefined && keys.find(node) >= 0) return
  const here = node.command !== undefined && node.relations !== undefined ? depth + 1 : depth
  for (const value of Object.values(tree)) collectAbove(value, here, keys, found)
}

export function addOnce<E extends Expression>(list: E[], e: E): void {
  if (!list.some((other) => sameExpression(other, e))) list.push(e)
}

export function aggregatePath(c: JoinContext, path: Path, query: Query): Path {
  const { level, estimator } = c
  const keys = query.groupBy.map((key) => query.targets[key.target]!.expression)
  const found: Above = { aggregates: new ExpressionList(), groupings: [], carried: new ExpressionList() }
  const windows = query.windows.map((window) => [window.partitionBy, window.orderBy, window.start, window.end])
  collectAbove(
    [query.targets.map((target) => target.expression), query.having, windows],
    0,
    new ExpressionList(keys),
    found,
  )
  const { groupings } = found
  const aggregates = found.aggregates.all as Aggregate[]
  const carried = found.carried.all
  if (keys.length + aggregates.length + carried.length === 0 && query.groupingSets === undefined) {
    // Nothing of the input is asked for: one group, whatever there is.
    return pathOf({ kind: 'result', targets: [], filter: undefined }, [], 1, 0, COST.row, path.relations)
  }
  const all = [...keys, ...carried]
  const lower = (e: Expression): Expression => level.lower(e, path.layout)
  const calls = aggregates.map((e): AggregateCall & { type: Expression['type']; typmod: number } => ({
    function: e.function,
    directArgs: e.directArgs.map(lower),
    args: e.args.map(lower),
    star: e.star,
    distinct: e.distinct,
    orderBy: e.orderBy.map((key) => ({ ...key, expression: lower(key.expression) })),
    filter: e.filter && lower(e.filter),
    variadic: e.variadic,
    level: 0,
    type: e.type,
    typmod: e.typmod,
  }))
  const carriedAt = carried.map((_, i) => keys.length + i)
  const sets = query.groupingSets?.map((set) => [...set, ...carriedAt])
  const groups =
    all.length === 0
      ? 1
      : Math.min(
          rowsOf(path),
          keys.reduce((product, key) => product * estimator.distinct(key, c.relations, rowsOf(path)), 1),
        )
  const strategy = all.length === 0 && sets === undefined ? 'plain' : 'hash'
  const entries: Expression[] = [...all, ...aggregates, ...groupings]
  return pathOf(
    {
      kind: 'aggregate',
      strategy,
      input: path.plan,
      keys: all.map(lower),
      sets,
      aggregates: calls,
      groupings: groupings.map((e) => e.refs),
    },
    entries,
    groups,
    costOf(path) + rowsOf(path) * COST.operator * (1 + calls.length),
    costOf(path) + rowsOf(path) * COST.operator * (1 + calls.length) + groups * COST.row,
    path.relations,
  )
}
