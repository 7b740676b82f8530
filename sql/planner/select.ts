/**
 * SELECT, stage above stage, each in a file of its own but the targets:
 *
 *     with   source → join   grouping   window   targets   DISTINCT, ORDER BY, LIMIT (order)   row locks
 *
 * Set operations have trees of queries in the place of all that (set-operation).
 */
import { invariant } from '../../storage/keys/invariant.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import type { FromItem, Query, Relation, Target } from '../plan/query.ts'
import { forEachChild, raiseOuter, sameExpression, some } from '../plan/walk.ts'
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { COST, createEstimator } from './estimate.ts'
import { addOnce, aggregatePath } from './grouping.ts'
import { planFrom } from './join.ts'
import { cheapest, filtered, type JoinContext } from './join-pair.ts'
import { infoOf, layoutOf, ROW_KEY } from './layout.ts'
import type { Level, QueryPlanner } from './level.ts'
import { cheapestFor, distinctPath, limitOf, limitPlan, lowerLimit, ordersOf, sortKeys, sortPath } from './order.ts'
import { costOf, type Path, pathOf, rowsOf, type WantedOrder } from './path.ts'
import { hashExists, hashExistsIn, pullUpSublinks, pullUpSubqueries } from './rules.ts'
import { isVolatile } from './scan.ts'
import { planSetQuery } from './set-operation.ts'
import { type Derived, functionRows, scanPaths, spellRow, wholeRowType } from './source.ts'
import { columnsUsed } from './used.ts'
import { rankedOrder, windowPath } from './window.ts'
import { planCtes, withCtes } from './with.ts'

export function planSelect(level: Level, query: Query, planQuery: QueryPlanner): Plan {
  const ctes = planCtes(level, query, planQuery)
  const body =
    query.setOperation !== undefined ? planSetQuery(level, query, planQuery) : planPlain(level, query, planQuery)
  return withCtes(ctes, body)
}

/** Relations that are inlined CTEs become subqueries. */
function expandCtes(level: Level, query: Query): Query {
  if (!query.relations.some((relation) => relation.kind === 'cte')) return query
  const relations = query.relations.map((relation): Relation => {
    if (relation.kind !== 'cte' || relation.self) return relation
    const source = level.cte(relation.name, relation.level)
    if (source.kind === 'slot') return relation
    const { alias, aliased, columns } = relation
    return {
      kind: 'subquery',
      query: raiseOuter(source.query, relation.level),
      alias,
      aliased,
      columns,
      lateral: false,
    }
  })
  return { ...query, relations }
}

export interface Planned {
  readonly query: Query
  readonly context: JoinContext
  readonly paths: Path[]
}

/** FROM and WHERE: the paths to the rows that everything above works on. `extra`: pseudo-columns wanted (row keys). */
export function planRows(
  level: Level,
  given: Query,
  extraOf: (query: Query) => readonly Expression[],
  planQuery: QueryPlanner,
): Planned {
  const flat = pullUpSubqueries(level, expandCtes(level, given))
  const folded = flat.where === undefined ? flat : { ...flat, where: level.shared.fold(flat.where) }
  const { query: joined, conditions: tests, semis } = pullUpSublinks(level, expandCtes(level, folded))
  const query = hashExists(level, expandCtes(level, joined))
  const conditions = tests.map((e) => hashExistsIn(level, e))
  const estimator = createEstimator(level.shared.catalog, level.shared.sizes, level.shared.peek, (e) =>
    level.shared.fold(e),
  )
  const extra = extraOf(query)
  const usedBut = (but: Expression | undefined, without: readonly Expression[]) => {
    const asked = conditions.filter((e) => !without.includes(e))
    return columnsUsed({ ...query, where: undefined }, [extra, asked, semis.map((semi) => [semi.on, semi.inner])], but)
  }
  const used = usedBut(undefined, [])
  const order = wantedOrder(level, query)
  // Planned once, however many join orders try them.
  const derived = new Map<number, Derived>()
  const rows = new Map<Expression, Expression>()
  const context: JoinContext = {
    level,
    estimator,
    relations: query.relations,
    scan: (relation, own, available, slotOf) => {
      const spelled = used.get(relation)?.has(0) ? own.map((e) => spellRow(level, query, relation, e, rows)) : own
      return scanPaths(
        level,
        estimator,
        query,
        relation,
        used,
        (e, without) => usedBut(e, without).get(relation) ?? new Set(),
        spelled,
        available,
        slotOf,
        planQuery,
        derived,
        order,
      )
    },
  }
  const split = conditions.flatMap((e) => splitAnd(e)).filter((e) => !(e.kind === 'const' && e.value === true))
  if (split.some((e) => e.kind === 'const')) return { query, context, paths: [nothing(level, query, used)] }
  return { query, context, paths: planFrom(context, query.from, split, semis) }
}

/** WHERE is false: no rows, of the columns that are asked for. */
function nothing(level: Level, query: Query, used: ReadonlyMap<number, ReadonlySet<number>>): Path {
  const entries = [...used].flatMap(([at, columns]) =>
    [...columns].map((column): Expression => {
      const relation = query.relations[at]!
      const info = relation.columns[column - 1]
      const type =
        column === 0 ? wholeRowType(level, relation) : column === ROW_KEY ? OID.internal : (info?.type ?? OID.oid)
      const rest = {
        typmod: info?.typmod ?? -1,
        ...(info?.collation === undefined ? {} : { collation: info.collation }),
      }
      return { kind: 'var', level: 0, relation: at, column, type, ...rest }
    }),
  )
  const targets = entries.map((e): Expression => ({ kind: 'const', value: null, type: e.type, typmod: e.typmod }))
  const filter: Expression = { kind: 'const', value: false, type: OID.bool, typmod: -1 }
  return pathOf({ kind: 'result', targets, filter }, entries, 1, 0, COST.row, new Set(used.keys()))
}

const splitAnd = (e: Expression): Expression[] => (e.kind === 'and' ? e.args.flatMap(splitAnd) : [e])

/** A row that an outer join made up cannot be locked. */
function refuseNullableLocks(query: Query): void {
  const nullable = new Set<number>()
  const visit = (item: FromItem, padded: boolean): void => {
    if (item.kind === 'relation') {
      if (padded) nullable.add(item.relation)
      return
    }
    visit(item.left, padded || item.type === 'right' || item.type === 'full')
    visit(item.right, padded || item.type === 'left' || item.type === 'full')
  }
  for (const item of query.from) visit(item, false)
  const lock = query.rowLocks.find(({ relation }) => nullable.has(relation))
  if (lock === undefined) return
  const name = { 'key-share': 'KEY SHARE', share: 'SHARE', 'no-key-update': 'NO KEY UPDATE', update: 'UPDATE' }[
    lock.strength
  ]
  throw sqlError('0A000', `FOR ${name} cannot be applied to the nullable side of an outer join`)
}

/** The keys of the rows that are locked. */
const lockKeys = (query: Query): Expression[] =>
  query.rowLocks.map(({ relation }) => ({
    kind: 'var',
    level: 0,
    relation,
    column: ROW_KEY,
    type: OID.internal,
    typmod: -1,
  }))

function planPlain(level: Level, given: Query, planQuery: QueryPlanner): Plan {
  const { query, context, paths } = planRows(level, given, lockKeys, planQuery)
  const keys = lockKeys(query)
  if (keys.length > 0) refuseNullableLocks(query)
  const { limit, offset } = lowerLimit(level, query)
  const grouped = isGrouped(query)
  const visible = query.targets.filter((target) => !target.junk)
  const order = ordersOf(query)

  const simple = !grouped && isPlainRows(query)
  const ranked = grouped ? undefined : rankedOrder(level, query)
  const first = ranked ?? (simple ? order : [])
  let path = first.length > 0 ? cheapestFor(level, paths, first, limitOf(level, query)) : cheapest(paths)
  if (ranked !== undefined) {
    const sorted = sortPath(level, path, ranked, limit, undefined)
    path = {
      ...sorted,
      plan: sorted.plan === path.plan ? limitPlan(path.plan, limit, undefined, undefined) : sorted.plan,
    }
  }
  if (grouped && query.hasSetReturning) {
    path = expandSets(
      level,
      path,
      query.groupBy.map((key) => query.targets[key.target]!.expression),
    )
  }
  if (grouped) path = aggregatePath(context, path, query)
  if (grouped && query.having !== undefined) path = filtered(context, path, splitAnd(query.having))
  if (query.windows.length > 0) {
    if (query.hasSetReturning) path = expandSets(level, path, windowInputs(query))
    path = windowPath(context, path, query)
  }

  const ties = query.withTies
  if (query.hasSetReturning || query.distinct.kind !== 'none') {
    // Sets and DISTINCT work on the targets' values; what is sorted by is among them.
    path = targetPath(level, path, query.targets, query.hasSetReturning)
    path = distinctPath(level, path, query)
    path = sortPath(level, path, order, ties ? undefined : limit, offset)
    path = { ...path, plan: limitPlan(path.plan, limit, offset, ties ? sortKeys(level, path, order) : undefined) }
    if (query.targets.some((target) => target.junk)) path = targetPath(level, path, visible, false)
    return named(path.plan, visible)
  }
  // What is sorted by is computed once, before sorting, not again after it.
  const computed =
    query.rowLocks.length === 0 &&
    order.some((key) => path.layout.find(key.expression) < 0 && isCostly(level, key.expression))
  if (computed) path = targetPath(level, path, query.targets, false)
  path = sortPath(level, path, order, ties || query.rowLocks.length > 0 ? undefined : limit, offset)
  if (query.rowLocks.length > 0) {
    const locks = query.rowLocks.flatMap((lock, i) => {
      const relation = query.relations[lock.relation]!
      invariant(relation.kind === 'table', 'locks are on tables')
      level.shared.writes.add(relation.oid)
      return [{ table: relation.oid, key: path.layout.find(keys[i]!), strength: lock.strength, policy: lock.policy }]
    })
    // A cursor's rows show their keys.
    const keep = visible.some(({ expression }) => expression.kind === 'var' && expression.column === ROW_KEY)
    const kept = keep
      ? path.layout.entries
      : path.layout.entries.filter((e) => !keys.some((key) => sameExpression(key, e)))
    path = pathOf(
      { kind: 'lock-rows', input: path.plan, locks, ...(keep ? { keep } : {}) },
      kept,
      rowsOf(path),
      path.plan.estimate.startupCost,
      costOf(path),
      path.relations,
      path.order,
    )
  }
  path = { ...path, plan: limitPlan(path.plan, limit, offset, ties ? sortKeys(level, path, order) : undefined) }
  path = targetPath(level, path, visible, false)
  return named(path.plan, visible)
}

/** The order that FROM's rows themselves are to have; undefined when something else is made of them first, or there is none. */
function wantedOrder(level: Level, query: Query): WantedOrder | undefined {
  if (
    (query.orderBy.length === 0 && query.windows.length === 0) ||
    query.command !== 'select' ||
    query.setOperation !== undefined
  )
    return undefined
  if (isGrouped(query)) return undefined
  const order = isPlainRows(query) ? ordersOf(query) : rankedOrder(level, query)
  if (order === undefined) return undefined
  return { order, rows: limitOf(level, query), ...lowerLimit(level, query), withTies: query.withTies }
}

const isGrouped = (query: Query): boolean =>
  query.hasAggregates || query.groupBy.length > 0 || query.groupingSets !== undefined

const isPlainRows = (query: Query): boolean =>
  query.windows.length === 0 && query.distinct.kind === 'none' && !query.hasSetReturning

/** Volatile, or a subquery: not to be evaluated twice. */
const isCostly = (level: Level, e: Expression): boolean => isVolatile(level, e)

const named = (plan: Plan, targets: readonly Target[]): Plan => ({
  ...plan,
  columns: targets.map((target) => infoOf(target.expression, target.name)),
})

const isSet = (e: Expression): boolean => e.kind === 'call' && e.setReturning

const containsSet = (e: Expression): boolean => some(e, isSet)

/** Set-returning calls in `expressions` whose arguments hold no others, and are not in the row yet. */
function innermostSets(expressions: readonly Expression[], path: Path): Expression[] {
  const found: Expression[] = []
  const visit = (e: Expression): void => {
    if (path.layout.find(e) >= 0) return
    let deeper = false
    forEachChild(e, (child) => {
      if (containsSet(child) && path.layout.find(child) < 0) deeper = true
      visit(child)
    })
    if (isSet(e) && !(deeper && innermostSets(childrenOf(e), path).length > 0)) addOnce(found, e)
  }
  for (const e of expressions) visit(e)
  return found
}

function childrenOf(e: Expression): Expression[] {
  const children: Expression[] = []
  forEachChild(e, (child) => {
    children.push(child)
  })
  return children
}

/**
 * Rows with the sets in `expressions` spread out: the innermost ones first, all of one depth in lockstep; above, each is a
 * column of the row.
 */
function expandSets(level: Level, input: Path, expressions: readonly Expression[]): Path {
  let path = input
  for (;;) {
    const sets = innermostSets(expressions, path)
    if (sets.length === 0) return path
    const before = path
    const keep = before.layout.entries.map((e): Expression => level.lower(e, before.layout))
    const lowered = sets.map((e) => level.shared.fold(level.lower(e, before.layout)))
    const rows = rowsOf(before) * functionRows(level, sets)
    const node = { kind: 'project-set', input: before.plan, targets: [...keep, ...lowered] } as const
    const entries = [...before.layout.entries, ...sets]
    const { startupCost } = before.plan.estimate
    path = pathOf(
      node,
      entries,
      rows,
      startupCost,
      costOf(before) + rows * COST.operator,
      before.relations,
      before.order,
    )
  }
}

function windowInputs(query: Query): Expression[] {
  const inputs = query.windows.flatMap((window) => [
    ...window.partitionBy,
    ...window.orderBy.map((key) => key.expression),
  ])
  const visit = (e: Expression): void => {
    if (e.kind === 'window') inputs.push(...e.args)
    else forEachChild(e, visit)
  }
  for (const target of query.targets) visit(target.expression)
  return inputs
}

/** Computes the targets; afterwards they, as expressions, are the row. */
function targetPath(level: Level, given: Path, targets: readonly Target[], sets: boolean): Path {
  const entries = targets.map((target) => target.expression)
  // A set at the top of a target is ProjectSet's own work when no other is inside or beside it in an expression.
  const plain = sets && entries.every((e) => !containsSet(e) || (isSet(e) && !childrenOf(e).some(containsSet)))
  const path = sets && !plain ? expandSets(level, given, entries) : given
  const lowered = targets.map((target) => level.shared.fold(level.lower(target.expression, path.layout)))
  const rows = plain ? rowsOf(path) * functionRows(level, entries) : rowsOf(path)
  const spread = plain && lowered.some(isSet)
  if (
    !spread &&
    lowered.length === path.layout.entries.length &&
    lowered.every((e, i) => e.kind === 'column' && e.index === i)
  )
    return { ...path, layout: layoutOf(entries) }
  // One row of nothing: the targets alone.
  if (!spread && path.plan.kind === 'result' && path.plan.targets.length === 0) {
    return pathOf({ ...path.plan, targets: lowered }, entries, 1, 0, COST.row, path.relations)
  }
  return pathOf(
    { kind: spread ? 'project-set' : 'project', input: path.plan, targets: lowered },
    entries,
    rows,
    path.plan.estimate.startupCost,
    costOf(path) + rows * COST.operator,
    path.relations,
    path.order,
  )
}
