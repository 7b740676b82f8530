/**
 * The planner's door: a bound Query to a physical Plan.
 *
 *   rewrite (rules.ts) → FROM and WHERE (join.ts, scan.ts) → aggregate → HAVING → window → targets → DISTINCT → ORDER BY
 *   → locks → LIMIT; set operations and WITH around; INSERT, UPDATE, DELETE on top (modify.ts).
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan, PlannedStatement } from '../plan/plan.ts'
import type { Query } from '../plan/query.ts'
import type { Peek } from './estimate.ts'
import { Level, type Shared, type TableSizes } from './level.ts'
import { planModify } from './modify.ts'
import { planSelect } from './select.ts'

export interface PlannerOptions {
  readonly sizes: TableSizes
  /** Values that parameters are known to have: for estimates only. */
  readonly peek?: Peek
  fold(e: Expression): Expression
  enabled(name: string): boolean
}

/** Plans one statement. Pure: depends on the query, the catalog's statistics and the options only. */
export function plan(query: Query, catalog: Catalog, options: PlannerOptions): PlannedStatement {
  const shared: Shared = {
    catalog,
    sizes: options.sizes,
    peek: options.peek ?? (() => undefined),
    outerSlots: 0,
    cteSlots: 0,
    subplans: 0,
    reads: new Set<Oid>(),
    writes: new Set<Oid>(),
    fold: options.fold,
    enabled: options.enabled,
  }
  const root = planQuery(new Level(undefined, shared, planQuery), query)
  return {
    plan: root,
    outerSlots: shared.outerSlots,
    cteSlots: shared.cteSlots,
    reads: [...shared.reads],
    writes: [...shared.writes],
    command: query.command,
    catalogVersion: catalog.version,
  }
}

function planQuery(level: Level, query: Query): Plan {
  return query.command === 'select' ? planSelect(level, query, planQuery) : planModify(level, query, planQuery)
}
