/** A partial plan with the layout of its rows and the order they come in. */
import type { Expression } from '../plan/expression.ts'
import type { Plan, PlanNode } from '../plan/plan.ts'
import { sameExpression } from '../plan/walk.ts'
import { estimate } from './estimate.ts'
import { infoOf, type Layout, layoutOf } from './layout.ts'

export interface Order {
  readonly expression: Expression
  readonly descending: boolean
  readonly nullsFirst: boolean
}

export interface Path {
  readonly plan: Plan
  readonly layout: Layout
  /** Over the query's relations; empty: none known. */
  readonly order: readonly Order[]
  /** Relations of this query level that are inside. */
  readonly relations: ReadonlySet<number>
  /** Of an index scan with bounds: entries between them, about. */
  readonly found?: number
  /** And the conditions that the bounds do not stand for. */
  readonly rest?: readonly Expression[]
}

/** How the query's rows are to come, when that is all that stands between FROM and LIMIT. */
export interface WantedOrder {
  readonly order: readonly Order[]
  /** Rows wanted, LIMIT and OFFSET together: about; undefined: all. */
  readonly rows: number | undefined
  /** Over parameters. */
  readonly limit: Expression | undefined
  readonly offset: Expression | undefined
  readonly withTies: boolean
}

export const rowsOf = (path: Path): number => path.plan.estimate.rows
export const costOf = (path: Path): number => path.plan.estimate.totalCost

export function pathOf(
  node: PlanNode,
  entries: readonly Expression[],
  rows: number,
  startup: number,
  total: number,
  relations: ReadonlySet<number>,
  order: readonly Order[] = [],
): Path {
  const columns = entries.map((e) => infoOf(e))
  const width = entries.length * 8
  return {
    plan: { ...node, columns, estimate: estimate(rows, startup, total, width) },
    layout: layoutOf(entries),
    order,
    relations,
  }
}

/** Whether rows that come in `have` order also come in `want` order; expressions fixed to one value do not matter. */
export function satisfies(
  have: readonly Order[],
  want: readonly Order[],
  fixed: (e: Expression) => boolean = () => false,
): boolean {
  let at = 0
  for (const key of want) {
    if (fixed(key.expression)) continue
    while (at < have.length && fixed(have[at]!.expression) && !sameExpression(have[at]!.expression, key.expression))
      at++
    const next = have[at++]
    if (
      next === undefined ||
      next.descending !== key.descending ||
      next.nullsFirst !== key.nullsFirst ||
      !sameExpression(next.expression, key.expression)
    )
      return false
  }
  return true
}
