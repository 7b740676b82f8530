/** What a plan's nodes hold: their inputs, their expressions, and which outer slots a whole plan reads but does not set. */
import type { Expression, SortKey } from '../plan/expression.ts'
import type { IndexBounds, Plan, PlanSortKey } from '../plan/plan.ts'
import type { FrameBound } from '../plan/query.ts'
import { forEachChild } from '../plan/walk.ts'

export function inputsOf(plan: Plan): readonly Plan[] {
  switch (plan.kind) {
    case 'filter':
    case 'sample':
    case 'project':
    case 'project-set':
    case 'sort':
    case 'limit':
    case 'unique':
    case 'aggregate':
    case 'window':
    case 'materialize':
    case 'lock-rows':
    case 'insert':
    case 'update':
    case 'delete':
    case 'merge':
      return [plan.input]
    case 'nested-loop':
    case 'hash-join':
    case 'merge-join':
      return [plan.outer, plan.inner]
    case 'append':
      return plan.inputs
    case 'set-op':
      return [plan.left, plan.right]
    case 'recursive-union':
      return [plan.base, plan.step]
    case 'with':
      return [...plan.ctes.map((cte) => cte.plan), plan.body]
    default:
      return []
  }
}

const keys = (list: readonly (PlanSortKey | SortKey)[]) => list.map((key) => key.expression)
const frame = (bound: FrameBound) => ('offset' in bound ? [bound.offset] : [])
const bounds = ({ equal, lower, upper }: IndexBounds) => [
  ...equal.flatMap((each) => (each.kind === 'value' ? [each.expression] : each.kind === 'any' ? [each.array] : [])),
  lower?.expression,
  upper?.expression,
]

/** The expressions of this node itself. */
export function expressionsOf(plan: Plan): readonly Expression[] {
  return maybeExpressionsOf(plan).filter((e) => e !== undefined)
}
function maybeExpressionsOf(plan: Plan): readonly (Expression | undefined)[] {
  switch (plan.kind) {
    case 'result':
      return [...plan.targets, plan.filter]
    case 'values':
      return plan.rows.flat()
    case 'seq-scan':
      return [plan.filter]
    case 'index-scan':
      return [...bounds(plan.bounds), plan.filter]
    case 'vector-scan':
      return [
        plan.query,
        plan.value,
        plan.distance,
        plan.limit,
        plan.offset,
        plan.within,
        plan.predicate,
        plan.filter,
        ...plan.tenant,
        ...(plan.gather === undefined ? [] : bounds(plan.gather.bounds)),
      ]
    case 'virtual-scan':
      return [plan.lookup?.value, plan.filter]
    case 'function-scan':
      return plan.calls.map((call) => call.call)
    case 'filter':
      return [plan.predicate]
    case 'sample':
      return [plan.percent, plan.seed]
    case 'project':
    case 'project-set':
      return plan.targets
    case 'nested-loop':
      return [...plan.params.map((param) => param.expression), plan.on]
    case 'hash-join':
    case 'merge-join':
      return [...plan.outerKeys, ...plan.innerKeys, plan.on]
    case 'sort':
      return [...keys(plan.keys), plan.limit, plan.offset]
    case 'limit':
      return [plan.limit, plan.offset, ...keys(plan.ties ?? [])]
    case 'aggregate':
      return [
        ...plan.keys,
        ...plan.aggregates.flatMap((a) => [...a.directArgs, ...a.args, ...keys(a.orderBy), a.filter]),
      ]
    case 'window':
      return [
        ...plan.partition,
        ...keys(plan.order),
        ...frame(plan.start),
        ...frame(plan.end),
        ...plan.calls.flatMap((c) => [...c.args, c.filter]),
      ]
    case 'insert':
      return [
        ...(plan.returning ?? []),
        ...(plan.conflict.kind === 'update'
          ? [...plan.conflict.assignments.map((a) => a.value), plan.conflict.where]
          : []),
      ]
    case 'update':
      return [...plan.assignments.map((a) => a.value), ...(plan.returning ?? [])]
    case 'delete':
      return plan.returning ?? []
    case 'merge':
      return plan.actions.flatMap((action) => [
        action.condition,
        ...(action.kind === 'update' ? action.assignments.map((a) => a.value) : []),
        ...(action.kind === 'insert' ? action.values : []),
      ])
    default:
      return []
  }
}

const known = new WeakMap<Plan, ReadonlySet<number>>()

/** Outer slots read somewhere in the plan and not set within it. A working table read from outside counts as slot -1 - slot. */
export function freeSlots(plan: Plan): ReadonlySet<number> {
  const found = known.get(plan)
  if (found !== undefined) return found
  const free = new Set<number>()
  const visit = (e: Expression): void => {
    if (e.kind === 'outer') free.add(e.slot)
    if (e.kind === 'subplan') {
      const own = new Set(e.params.map((param) => param.slot))
      for (const slot of freeSlots(e.plan)) if (!own.has(slot)) free.add(slot)
    }
    forEachChild(e, visit)
  }
  for (const e of expressionsOf(plan)) visit(e)
  const addAll = (input: Plan, without: ReadonlySet<number>) => {
    for (const slot of freeSlots(input)) if (!without.has(slot)) free.add(slot)
  }
  const none: ReadonlySet<number> = new Set()
  if (plan.kind === 'nested-loop') {
    addAll(plan.outer, none)
    addAll(plan.inner, new Set(plan.params.map((param) => param.slot)))
  } else if (plan.kind === 'recursive-union') {
    addAll(plan.base, none)
    addAll(plan.step, new Set([-1 - plan.slot]))
  } else {
    for (const input of inputsOf(plan)) addAll(input, none)
  }
  if (plan.kind === 'cte-scan' && plan.work) free.add(-1 - plan.slot)
  known.set(plan, free)
  return free
}
