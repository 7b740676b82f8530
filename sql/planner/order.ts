/**
 * ORDER BY, LIMIT and DISTINCT: which order is wanted, whether a path has it, and what is put above a path that does
 * not. A limit that is known makes paths that begin soon the better ones.
 */
import type { Expression } from '../plan/expression.ts'
import type { Plan, PlanSortKey } from '../plan/plan.ts'
import type { Query } from '../plan/query.ts'
import { COST, DISABLED } from './estimate.ts'
import { isNearest } from './join-pair.ts'
import { layoutOf } from './layout.ts'
import type { Level } from './level.ts'
import { costOf, type Order, type Path, pathOf, rowsOf, satisfies } from './path.ts'

export const ordersOf = (query: Query): Order[] =>
  query.orderBy.map(
    (key): Order => ({
      expression: query.targets[key.target]!.expression,
      descending: key.descending,
      nullsFirst: key.nullsFirst,
    }),
  )

/** LIMIT and OFFSET together, about; undefined: all rows. */
export const limitOf = (level: Level, query: Query): number | undefined => {
  const limit = query.limit && level.shared.fold(query.limit)
  const offset = query.offset && level.shared.fold(query.offset)
  if (limit === undefined || (limit.kind === 'const' && limit.value === null)) return undefined
  const count = limit.kind === 'const' ? Number(limit.value) : LIMIT_UNKNOWN
  return count + (offset?.kind === 'const' && offset.value !== null ? Number(offset.value) : 0)
}

const LIMIT_UNKNOWN = 100

/** The cheapest when its rows must also be sorted, unless they come in order; with LIMIT only a part has to be read. */
export function cheapestFor(
  level: Level,
  paths: readonly Path[],
  order: readonly Order[],
  limit: number | undefined,
): Path {
  const sorting = level.shared.enabled('enable_sort') ? 0 : DISABLED
  const costWith = (path: Path): number => {
    const rows = Math.max(1, rowsOf(path))
    const share = limit === undefined ? 1 : Math.min(1, limit / rows)
    if (satisfies(path.order, order) || isPresorted(path, order))
      return path.plan.estimate.startupCost + (costOf(path) - path.plan.estimate.startupCost) * share
    return sorting + costOf(path) + rows * COST.operator * 2 * Math.log2(Math.max(2, Math.min(rows, limit ?? rows)))
  }
  return paths.reduce((best, path) => (costWith(path) < costWith(best) ? path : best))
}

/** By its first key: what is left to do is sorting those that agree in it. */
const isPresorted = (path: Path, order: readonly Order[]): boolean =>
  order.length > 1 && isNearest(path) && satisfies(path.order, order.slice(0, 1))

export function lowerLimit(
  level: Level,
  query: Query,
): { readonly limit: Expression | undefined; readonly offset: Expression | undefined } {
  const none = layoutOf([])
  return {
    limit: query.limit && level.lower(level.shared.fold(query.limit), none),
    offset: query.offset && level.lower(level.shared.fold(query.offset), none),
  }
}

export function sortKeys(level: Level, path: Path, order: readonly Order[]): PlanSortKey[] {
  return order.map((key) => ({
    expression: level.lower(key.expression, path.layout),
    descending: key.descending,
    nullsFirst: key.nullsFirst,
    ...(key.expression.collation === undefined ? {} : { collation: key.expression.collation }),
  }))
}

export function sortPath(
  level: Level,
  path: Path,
  order: readonly Order[],
  limit: Expression | undefined,
  offset: Expression | undefined,
): Path {
  if (order.length === 0 || satisfies(path.order, order)) return path
  const needed = order.filter((key) => key.expression.kind !== 'const')
  if (needed.length === 0) return path
  if (isPresorted(path, needed)) {
    const { startupCost, totalCost } = path.plan.estimate
    const plan = sortPlan(path.plan, sortKeys(level, path, needed), limit, offset, 1)
    const estimate = { ...plan.estimate, startupCost, totalCost: totalCost + rowsOf(path) * COST.operator }
    return { ...path, plan: { ...plan, estimate }, order: needed }
  }
  const plan = sortPlan(path.plan, sortKeys(level, path, needed), limit, offset, 0)
  if (level.shared.enabled('enable_sort')) return { ...path, plan, order: needed }
  const { startupCost, totalCost } = plan.estimate
  const estimate = { ...plan.estimate, startupCost: startupCost + DISABLED, totalCost: totalCost + DISABLED }
  return { ...path, plan: { ...plan, estimate }, order: needed }
}

export function sortPlan(
  input: Plan,
  keys: readonly PlanSortKey[],
  limit: Expression | undefined,
  offset: Expression | undefined,
  presorted: number,
): Plan {
  const rows = input.estimate.rows
  const cost = input.estimate.totalCost + rows * COST.operator * 2 * Math.log2(Math.max(2, rows))
  return {
    kind: 'sort',
    input,
    keys,
    limit,
    offset,
    presorted,
    columns: input.columns,
    estimate: { ...input.estimate, startupCost: cost, totalCost: cost + rows * COST.operator },
  }
}

export function limitPlan(
  input: Plan,
  limit: Expression | undefined,
  offset: Expression | undefined,
  ties: readonly PlanSortKey[] | undefined,
): Plan {
  if (limit === undefined && offset === undefined) return input
  const total = input.estimate.rows
  const skip = offset?.kind === 'const' ? Number(offset.value ?? 0) : 0
  const rows = Math.max(
    1,
    Math.min(
      total - skip,
      limit?.kind === 'const' && limit.value !== null ? Number(limit.value) : limit === undefined ? total : total / 10,
    ),
  )
  const share = Math.min(1, (rows + skip) / Math.max(1, total))
  const { startupCost, totalCost } = input.estimate
  return {
    kind: 'limit',
    input,
    limit,
    offset,
    ties,
    columns: input.columns,
    estimate: { ...input.estimate, rows, totalCost: startupCost + (totalCost - startupCost) * share },
  }
}

export function distinctPath(level: Level, path: Path, query: Query): Path {
  if (query.distinct.kind === 'none') return path
  const entries = path.layout.entries
  if (query.distinct.kind === 'all') {
    const keys = entries.map(
      (e, index): Expression => ({
        kind: 'column',
        index,
        type: e.type,
        typmod: e.typmod,
        ...(e.collation === undefined ? {} : { collation: e.collation }),
      }),
    )
    return pathOf(
      { kind: 'aggregate', strategy: 'hash', input: path.plan, keys, sets: undefined, aggregates: [], groupings: [] },
      entries,
      Math.max(1, rowsOf(path) / 2),
      costOf(path),
      costOf(path) + rowsOf(path) * COST.row,
      path.relations,
    )
  }
  // DISTINCT ON: sorted by its expressions (as ORDER BY has them, then the rest of ORDER BY), the first of each.
  const on = query.distinct.targets
  const leading = query.orderBy.filter((key) => on.includes(key.target))
  const missing = on
    .filter((target) => !leading.some((key) => key.target === target))
    .map((target) => ({ target, descending: false, nullsFirst: false }))
  const rest = query.orderBy.filter((key) => !on.includes(key.target))
  const order = [...leading, ...missing, ...rest].map(
    (key): Order => ({
      expression: query.targets[key.target]!.expression,
      descending: key.descending,
      nullsFirst: key.nullsFirst,
    }),
  )
  const sorted = sortPath(level, path, order, undefined, undefined)
  return pathOf(
    { kind: 'unique', input: sorted.plan, by: on },
    entries,
    Math.max(1, rowsOf(path) / 2),
    sorted.plan.estimate.startupCost,
    costOf(sorted),
    path.relations,
    order,
  )
}
