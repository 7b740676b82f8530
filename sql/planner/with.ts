/**
 * WITH: an entry that is not inlined is planned once and read through a slot; a recursive one is planned as what it
 * begins with and what is repeated until nothing new comes (PostgreSQL manual, 7.8).
 */
import { invariant } from '../../storage/keys/invariant.ts'
import type { Plan } from '../plan/plan.ts'
import type { Cte, Query } from '../plan/query.ts'
import type { Level, QueryPlanner } from './level.ts'
import { passOuter } from './outer.ts'
import { mayInline } from './rules.ts'
import { cast, planSetTree } from './set-operation.ts'

export interface PlannedCte {
  readonly slot: number
  readonly name: string
  readonly plan: Plan
  readonly modifies: boolean
}

export function planCtes(level: Level, query: Query, planQuery: QueryPlanner): PlannedCte[] {
  const planned: PlannedCte[] = []
  for (const cte of query.ctes) {
    if (cte.query.command === 'select' && cte.references === 0 && !cte.recursive) continue
    if (mayInline(level, cte.query, cte.references, cte.materialized, cte.recursive)) {
      level.ctes.set(cte.name, { kind: 'inline', query: renamed(cte) })
      continue
    }
    const slot = level.shared.cteSlots++
    if (cte.recursive)
      planned.push({ slot, name: cte.name, plan: planRecursive(level, cte, slot, planQuery), modifies: false })
    else {
      const child = level.child()
      const plan = passOuter(level, child, planQuery(child, cte.query))
      planned.push({ slot, name: cte.name, plan, modifies: cte.query.command !== 'select' })
    }
    level.ctes.set(cte.name, { kind: 'slot', slot, rows: planned.at(-1)!.plan.estimate.rows })
  }
  return planned
}

/** The CTE's column names on its query's targets. */
const renamed = (cte: Cte): Query => {
  let at = 0
  return {
    ...cte.query,
    targets: cte.query.targets.map((target) => (target.junk ? target : { ...target, name: cte.columns[at++]!.name })),
  }
}

export function withCtes(ctes: readonly PlannedCte[], body: Plan): Plan {
  if (ctes.length === 0) return body
  const cost = ctes.reduce((sum, cte) => sum + cte.plan.estimate.totalCost, 0)
  return {
    kind: 'with',
    ctes,
    body,
    columns: body.columns,
    estimate: { ...body.estimate, totalCost: body.estimate.totalCost + cost },
  }
}

function planRecursive(level: Level, cte: Cte, slot: number, planQuery: QueryPlanner): Plan {
  const query = cte.query
  const operation = query.setOperation
  invariant(operation?.kind === 'union', 'a recursive query is a UNION')
  const child = level.child()
  const inner = planCtes(child, query, planQuery)
  const base = planSetTree(child, query, operation.left, planQuery)
  level.ctes.set(cte.name, { kind: 'slot', slot, rows: Math.max(10, base.estimate.rows * 10) })
  const step = planSetTree(child, query, operation.right, planQuery)
  const rows = base.estimate.rows * 10
  const plan: Plan = {
    kind: 'recursive-union',
    slot,
    base: cast(base, operation.leftCasts, operation.columns),
    step: cast(step, operation.rightCasts, operation.columns),
    distinct: !operation.all,
    columns: operation.columns,
    estimate: {
      rows,
      startupCost: 0,
      totalCost: base.estimate.totalCost + step.estimate.totalCost * 10,
      width: operation.columns.length * 8,
    },
  }
  return passOuter(level, child, withCtes(inner, plan))
}
