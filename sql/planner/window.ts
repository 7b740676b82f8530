/**
 * Window functions: the calls over one window share a sort and a pass, one window above the other in the order of the
 * query.
 */
import type { Expression } from '../plan/expression.ts'
import type { Query, Window } from '../plan/query.ts'
import { forEachChild, sameExpression } from '../plan/walk.ts'
import { COST } from './estimate.ts'
import type { JoinContext } from './join.ts'
import { sortPath } from './order.ts'
import { costOf, type Order, type Path, pathOf, rowsOf } from './path.ts'

type WindowExpression = Expression & { kind: 'window' }

export function windowPath(c: JoinContext, input: Path, query: Query): Path {
  const calls: WindowExpression[] = []
  const visit = (e: Expression): void => {
    if (e.kind === 'window') {
      if (!calls.some((other) => sameExpression(other, e))) calls.push(e)
      return
    }
    forEachChild(e, visit)
  }
  for (const target of query.targets) visit(target.expression)
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
