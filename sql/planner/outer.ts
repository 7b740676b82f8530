/**
 * What a plan reads of the rows around it: values go through slots, which a nested loop over a single row fills before
 * the plan is run.
 */
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import { COST } from './estimate.ts'
import { layoutOf } from './layout.ts'
import type { Level } from './level.ts'

/** What a child level reads of enclosing levels is handed through: its slots are filled where its plan is run from. */
export function passOuter(level: Level, child: Level, plan: Plan): Plan {
  if (child.params.length === 0) return plan
  const params = child.params.map((param) => ({
    slot: param.slot,
    expression: level.lower(param.expression, layoutOf([])),
  }))
  return passSlots(plan, params)
}

/** Fills slots from the row around a plan, once for each run of it. */
export function passSlots(
  plan: Plan,
  params: readonly { readonly slot: number; readonly expression: Expression }[],
): Plan {
  const single: Plan = {
    kind: 'result',
    targets: [],
    filter: undefined,
    columns: [],
    estimate: { rows: 1, startupCost: 0, totalCost: COST.row, width: 0 },
  }
  return {
    kind: 'nested-loop',
    join: 'inner',
    outer: single,
    inner: plan,
    params,
    on: undefined,
    columns: plan.columns,
    estimate: plan.estimate,
  }
}
