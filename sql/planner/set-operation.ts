/**
 * UNION, INTERSECT and EXCEPT: a tree of queries whose columns are brought to common types (PostgreSQL manual, 7.4).
 */
import { invariant } from '../../storage/keys/invariant.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan, PlanSortKey } from '../plan/plan.ts'
import type { Query, SetOperation } from '../plan/query.ts'
import { COST } from './estimate.ts'
import { infoOf } from './layout.ts'
import type { Level, QueryPlanner } from './level.ts'
import { limitPlan, lowerLimit, sortPlan } from './order.ts'
import { passOuter } from './outer.ts'

export function cast(plan: Plan, casts: readonly Expression[] | undefined, columns: Plan['columns']): Plan {
  if (casts === undefined) return plan
  return { kind: 'project', input: plan, targets: casts, columns, estimate: plan.estimate }
}

export function planSetTree(level: Level, query: Query, tree: SetOperation, planQuery: QueryPlanner): Plan {
  if (tree.kind === 'leaf') {
    const relation = query.relations[tree.relation]!
    invariant(relation.kind === 'subquery', 'a set operation over subqueries')
    const child = level.child()
    const plan = planQuery(child, relation.query)
    invariant(
      child.params.every((param) => param.expression.kind !== 'var' || param.expression.level > 0),
      'a leaf of a set operation reads no sibling',
    )
    return passOuter(level, child, plan)
  }
  const left = cast(planSetTree(level, query, tree.left, planQuery), tree.leftCasts, tree.columns)
  const right = cast(planSetTree(level, query, tree.right, planQuery), tree.rightCasts, tree.columns)
  const total = left.estimate.totalCost + right.estimate.totalCost
  if (tree.kind === 'union') {
    const inputs = [
      ...(tree.left.kind !== 'leaf' && tree.left.kind === 'union' && tree.left.all && tree.all && left.kind === 'append'
        ? left.inputs
        : [left]),
      right,
    ]
    const rows = left.estimate.rows + right.estimate.rows
    const append: Plan = {
      kind: 'append',
      inputs,
      columns: tree.columns,
      estimate: { rows, startupCost: 0, totalCost: total, width: tree.columns.length * 8 },
    }
    return tree.all ? append : distinctPlan(append)
  }
  const rows = Math.max(
    1,
    tree.kind === 'intersect' ? Math.min(left.estimate.rows, right.estimate.rows) : left.estimate.rows,
  )
  return {
    kind: 'set-op',
    op: tree.kind,
    all: tree.all,
    left,
    right,
    columns: tree.columns,
    estimate: {
      rows,
      startupCost: total,
      totalCost: total + (left.estimate.rows + right.estimate.rows) * COST.row,
      width: tree.columns.length * 8,
    },
  }
}

const distinctPlan = (input: Plan): Plan => ({
  kind: 'aggregate',
  strategy: 'hash',
  input,
  keys: input.columns.map((column, index): Expression => ({ kind: 'column', index, ...typed(column) })),
  sets: undefined,
  aggregates: [],
  groupings: [],
  columns: input.columns,
  estimate: {
    ...input.estimate,
    rows: Math.max(1, Math.round(input.estimate.rows / 2)),
    startupCost: input.estimate.totalCost,
    totalCost: input.estimate.totalCost + input.estimate.rows * COST.row,
  },
})

const typed = (column: {
  readonly type: Expression['type']
  readonly typmod: number
  readonly collation?: Expression['type']
}) => ({
  type: column.type,
  typmod: column.typmod,
  ...(column.collation === undefined ? {} : { collation: column.collation }),
})

export function planSetQuery(level: Level, query: Query, planQuery: QueryPlanner): Plan {
  let plan = planSetTree(level, query, query.setOperation!, planQuery)
  const keys = query.orderBy.map(
    (key): PlanSortKey => ({
      expression: query.targets[key.target]!.expression,
      descending: key.descending,
      nullsFirst: key.nullsFirst,
      ...(query.targets[key.target]!.expression.collation === undefined
        ? {}
        : { collation: query.targets[key.target]!.expression.collation! }),
    }),
  )
  const { limit, offset } = lowerLimit(level, query)
  if (keys.length > 0) plan = sortPlan(plan, keys, query.withTies ? undefined : limit, offset, 0)
  plan = limitPlan(plan, limit, offset, query.withTies ? keys : undefined)
  const columns = query.targets.map((target) => infoOf(target.expression, target.name))
  return { ...plan, columns }
}
