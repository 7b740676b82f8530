/**
 * Window functions: the calls over one window share a sort and a pass, one window above the other in the order of the
 * query.
 */
import type { Expression } from '../plan/expression.ts'
import type { Query, Window } from '../plan/query.ts'
import { forEachChild, sameExpression } from '../plan/walk.ts'
import { COST } from './estimate.ts'
import type { JoinContext } from './join-pair.ts'
import type { Level } from './level.ts'
import { ordersOf, sortPath } from './order.ts'
import { costOf, type Order, type Path, pathOf, rowsOf, satisfies } from './path.ts'
import { isVolatile } from './scan.ts'

type WindowExpression = Expression & { kind: 'window' }

function callsOf(query: Query): WindowExpression[] {
  const calls: WindowExpression[] = []
  const visit = (e: Expression): void => {
    if (e.kind === 'window') {
      if (!calls.some((other) => sameExpression(other, e))) calls.push(e)
      return
    }
    forEachChild(e, visit)
  }
  for (const target of query.targets) visit(target.expression)
  return calls
}

/** What a row's value depends on is what stands before it. */
const RANKS: ReadonlySet<string> = new Set(['window_row_number', 'window_rank', 'window_dense_rank'])

/**
 * The order of a query whose windows only number its rows as they come: a LIMIT above takes the same rows below.
 *
 *     SELECT id, rank() OVER (ORDER BY v <=> $1) … ORDER BY v <=> $1 LIMIT 20
 */
export function rankedOrder(level: Level, query: Query): readonly Order[] | undefined {
  const { windows, limit, offset } = query
  if (windows.length === 0 || limit === undefined || offset !== undefined || query.withTies) return undefined
  if (query.distinct.kind !== 'none' || query.hasSetReturning || query.rowLocks.length > 0) return undefined
  const orders = [ordersOf(query), ...windows.map((window) => window.orderBy)]
  const order = orders.reduce((longest, each) => (each.length > longest.length ? each : longest))
  const isRank = ({ function: fn, filter }: WindowExpression): boolean =>
    filter === undefined && RANKS.has(level.shared.catalog.function(fn)?.source ?? '')
  return order.length > 0 &&
    windows.every(({ partitionBy }) => partitionBy.length === 0) &&
    orders.every((each) => satisfies(order, each)) &&
    !order.some((key) => isVolatile(level, key.expression)) &&
    callsOf(query).every(isRank)
    ? order
    : undefined
}

export function windowPath(c: JoinContext, input: Path, query: Query): Path {
  const calls = callsOf(query)
  let path = input
  query.windows.forEach((window, at) => {
    const own = calls.filter((call) => call.window === at)
    if (own.length > 0) path = oneWindow(c, path, window, own)
  })
  return path
}

function oneWindow(c: JoinContext, input: Path, window: Window, calls: readonly WindowExpression[]): Path {
  const { level } = c
  const order: Order[] = [
    ...window.partitionBy.map((expression): Order => ({ expression, descending: false, nullsFirst: false })),
    ...window.orderBy.filter((key) => !window.partitionBy.some((e) => sameExpression(e, key.expression))),
  ]
  const path = sortPath(level, input, order, undefined, undefined)
  const lower = (e: Expression): Expression => level.lower(e, path.layout)
  const bound = (side: Window['start']): Window['start'] =>
    side.kind === 'preceding' || side.kind === 'following' ? { ...side, offset: lower(side.offset) } : side
  return pathOf(
    {
      kind: 'window',
      input: path.plan,
      partition: window.partitionBy.map(lower),
      order: window.orderBy.map((key) => ({ ...key, expression: lower(key.expression) })),
      mode: window.mode,
      start: bound(window.start),
      end: bound(window.end),
      exclude: window.exclude,
      inRange: window.inRange,
      calls: calls.map((call) => ({
        function: call.function,
        args: call.args.map(lower),
        star: call.star,
        filter: call.filter && lower(call.filter),
        aggregate: call.aggregate,
        type: call.type,
        typmod: call.typmod,
      })),
    },
    [...path.layout.entries, ...calls],
    rowsOf(path),
    path.plan.estimate.startupCost,
    costOf(path) + rowsOf(path) * COST.operator * calls.length * 2,
    path.relations,
    path.order,
  )
}
