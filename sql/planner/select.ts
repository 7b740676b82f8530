/** SELECT above FROM: WITH, aggregation, windows, targets, DISTINCT, ORDER BY, LIMIT, row locks, set operations. */
import { invariant } from '../../storage/keys/invariant.ts'
import type { AggregateCall, Expression } from '../plan/expression.ts'
import type { Plan, PlanSortKey } from '../plan/plan.ts'
import type { Cte, FromItem, Query, Relation, SetOperation, Target, Window } from '../plan/query.ts'
import { forEachChild, raiseExpression, raiseOuter, replaceVars, sameExpression, some } from '../plan/walk.ts'
import { notSupported, sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { COST, createEstimator, DEFAULT_ROWS, type Estimator } from './estimate.ts'
import { cheapest, filtered, isNearest, type JoinContext, planFrom } from './join.ts'
import { infoOf, layoutOf, ROW_KEY } from './layout.ts'
import type { Level } from './level.ts'
import { costOf, type Order, type Path, pathOf, rowsOf, satisfies, type WantedOrder } from './path.ts'
import { pushConditions } from './pushdown.ts'
import { hashExists, hashExistsIn, mayInline, pullUpSublinks, pullUpSubqueries } from './rules.ts'
import { entriesOf, isVolatile, relationsIn, type ScanRequest, tablePaths } from './scan.ts'
import { vectorPaths } from './vector.ts'

export type QueryPlanner = (level: Level, query: Query) => Plan

export function planSelect(level: Level, query: Query, planQuery: QueryPlanner): Plan {
  const ctes = planCtes(level, query, planQuery)
  const body =
    query.setOperation !== undefined ? planSetQuery(level, query, planQuery) : planPlain(level, query, planQuery)
  return withCtes(ctes, body)
}

// ── WITH ─────────────────────────────────────────────────────────────────────────────────────────────────────────

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

// ── Set operations ───────────────────────────────────────────────────────────────────────────────────────────────

function cast(plan: Plan, casts: readonly Expression[] | undefined, columns: Plan['columns']): Plan {
  if (casts === undefined) return plan
  return { kind: 'project', input: plan, targets: casts, columns, estimate: plan.estimate }
}

function planSetTree(level: Level, query: Query, tree: SetOperation, planQuery: QueryPlanner): Plan {
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

/** What a child level reads of enclosing levels is handed through: its slots are filled where its plan is run from. */
function passOuter(level: Level, child: Level, plan: Plan): Plan {
  if (child.params.length === 0) return plan
  const params = child.params.map((param) => ({
    slot: param.slot,
    expression: level.lower(param.expression, layoutOf([])),
  }))
  return passSlots(plan, params)
}

/** Fills slots from the row around a plan, once for each run of it. */
function passSlots(plan: Plan, params: readonly { readonly slot: number; readonly expression: Expression }[]): Plan {
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

function planSetQuery(level: Level, query: Query, planQuery: QueryPlanner): Plan {
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

// ── Plain SELECT ─────────────────────────────────────────────────────────────────────────────────────────────────

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

/** Columns of this query's relations that are read anywhere in it. */
function columnsUsed(query: Query, extra: readonly unknown[] = []): Map<number, Set<number>> {
  const used = new Map<number, Set<number>>()
  const add = (relation: number, column: number): void => {
    let set = used.get(relation)
    if (set === undefined) used.set(relation, (set = new Set()))
    set.add(column)
  }
  const visit = (tree: unknown, depth: number): void => {
    if (typeof tree !== 'object' || tree === null) return
    if (Array.isArray(tree)) {
      for (const each of tree) visit(each, depth)
      return
    }
    if (Object.getPrototypeOf(tree) !== Object.prototype) return
    const node = tree as {
      kind?: string
      level?: number
      relation?: number
      column?: number
      command?: unknown
      relations?: unknown
    }
    if (node.kind === 'var' && node.level === depth) add(node.relation!, node.column!)
    const here = node.command !== undefined && node.relations !== undefined ? depth + 1 : depth
    for (const value of Object.values(tree)) visit(value, here)
  }
  visit(query, -1)
  visit(extra, 0)
  return used
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
  const estimator = createEstimator(level.shared.catalog, level.shared.sizes, level.shared.peek)
  const extra = extraOf(query)
  const used = columnsUsed({ ...query, where: undefined }, [
    extra,
    conditions,
    semis.map((semi) => [semi.on, semi.inner]),
  ])
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
      return scanPaths(level, estimator, query, relation, used, spelled, available, slotOf, planQuery, derived, order)
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

/** A subquery in FROM, planned with the conditions that went inside. */
interface Derived {
  readonly child: Level
  readonly plan: Plan
  readonly conditions: readonly Expression[]
  readonly rest: readonly Expression[]
}
const sameConditions = (x: readonly Expression[], y: readonly Expression[]): boolean =>
  x.length === y.length && x.every((e, i) => e === y[i])
function readsOnly(e: Expression, relation: number): boolean {
  const reads = relationsIn(e)
  return reads.size === 1 && reads.has(relation)
}

/** A scan's condition on its own whole row (`t IS NOT NULL`): the row is made of the columns, since nothing above has made it yet. */
function spellRow(
  level: Level,
  query: Query,
  at: number,
  e: Expression,
  known: Map<Expression, Expression>,
): Expression {
  let spelled = known.get(e)
  if (spelled !== undefined) return spelled
  const relation = query.relations[at]!
  spelled = replaceVars(e, (of, column) => (of === at && column === 0 ? rowOf(level, relation, at) : undefined), 0)
  known.set(e, spelled)
  return spelled
}

function rowOf(level: Level, relation: Relation, at: number): Expression {
  const live = relation.columns.flatMap((column, i) => (column.type === 0 ? [] : [{ ...column, number: i + 1 }]))
  return {
    kind: 'row',
    fields: live.map(({ number, type, typmod }) => ({
      kind: 'var',
      level: 0,
      relation: at,
      column: number,
      type,
      typmod,
    })),
    names: live.map((column) => column.name),
    type: wholeRowType(level, relation),
    typmod: -1,
  }
}

function scanPaths(
  level: Level,
  estimator: Estimator,
  query: Query,
  at: number,
  used: ReadonlyMap<number, ReadonlySet<number>>,
  conditions: readonly Expression[],
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
  planQuery: QueryPlanner,
  derived: Map<number, Derived>,
  order: WantedOrder | undefined,
): Path[] {
  const relation = query.relations[at]!
  const columns = used.get(at) ?? new Set<number>()
  const wholeRow = columns.has(0)
  switch (relation.kind) {
    case 'table': {
      const live = relation.columns.flatMap((column, i) => (column.type === 0 ? [] : [i + 1]))
      const wanted = wholeRow ? new Set([...live, ...[...columns].filter((column) => column < 0)]) : columns
      const request: ScanRequest = {
        level,
        estimator,
        relations: query.relations,
        relation: at,
        wanted,
        conditions: conditions,
        available,
        order,
        slotOf,
      }
      const plain = tablePaths(request)
      const paths = [...plain, ...vectorPaths(request, plain.slice(1))]
      return wholeRow ? paths.map((path) => addWholeRow(level, path, relation, at, live)) : paths
    }
    case 'subquery': {
      const own = conditions.filter((e) => readsOnly(e, at))
      let known = derived.get(at)
      if (known === undefined || !sameConditions(known.conditions, own)) {
        const child = level.child()
        const pushed = pushConditions(level, relation.query, at, own)
        known = { child, plan: planQuery(child, pushed.query), conditions: own, rest: pushed.rest }
        derived.set(at, known)
      }
      const { child, plan, rest } = known
      const above = conditions.filter((e) => !own.includes(e) || rest.includes(e))
      const path = derivedPath(level, child, plan, relation, at, above, estimator, query, slotOf)
      return [wholeRow ? addWholeRow(level, path, relation, at, allColumns(relation)) : path]
    }
    case 'function': {
      const calls = relation.calls.map((source, i) => {
        const first = relation.calls.slice(0, i).reduce((sum, each) => sum + each.columns, 0)
        return {
          call: level.lower(source.call, layoutOf([]), slotOf),
          columns: relation.columns.slice(first, first + source.columns),
          composite: source.composite,
        }
      })
      const rows = functionRows(
        level,
        relation.calls.map((source) => source.call),
      )
      return [
        sourcePath(
          level,
          { kind: 'function-scan', alias: relation.alias, calls, ordinality: relation.ordinality },
          relation,
          at,
          rows,
          conditions,
          estimator,
          query,
          slotOf,
          wholeRow,
        ),
      ]
    }
    case 'values': {
      const rows = relation.rows.map((row) => row.map((e) => level.lower(e, layoutOf([]), slotOf)))
      return [
        sourcePath(
          level,
          { kind: 'values', rows },
          relation,
          at,
          rows.length,
          conditions,
          estimator,
          query,
          slotOf,
          wholeRow,
        ),
      ]
    }
    case 'cte': {
      const source = level.cte(relation.name, relation.level)
      invariant(source.kind === 'slot', 'an inlined CTE is expanded before')
      return [
        sourcePath(
          level,
          { kind: 'cte-scan', slot: source.slot, work: relation.self, name: relation.name, alias: relation.alias },
          relation,
          at,
          source.rows,
          conditions,
          estimator,
          query,
          slotOf,
          wholeRow,
        ),
      ]
    }
    case 'excluded':
      throw notSupported('EXCLUDED outside of ON CONFLICT')
  }
}

const allColumns = (relation: Relation): number[] => relation.columns.map((_, i) => i + 1)

function sourcePath(
  level: Level,
  node: Parameters<typeof pathOf>[0],
  relation: Relation,
  at: number,
  rows: number,
  conditions: readonly Expression[],
  estimator: Estimator,
  query: Query,
  slotOf: (e: Expression) => Expression,
  wholeRow: boolean,
): Path {
  const entries = entriesOf(relation, at, allColumns(relation), false)
  const path = pathOf(node, entries, rows, 0, rows * COST.row, new Set([at]))
  const kept = filtered({ level, estimator, relations: query.relations, scan: () => [] }, path, conditions, slotOf)
  return wholeRow ? addWholeRow(level, kept, relation, at, allColumns(relation)) : kept
}

function derivedPath(
  level: Level,
  child: Level,
  plan: Plan,
  relation: Relation,
  at: number,
  conditions: readonly Expression[],
  estimator: Estimator,
  query: Query,
  slotOf: (e: Expression) => Expression,
): Path {
  const entries = entriesOf(relation, at, allColumns(relation), false)
  const outside = child.params.map((param) => ({
    slot: param.slot,
    expression: level.lower(param.expression, layoutOf([]), slotOf),
  }))
  const inner: Plan = outside.length === 0 ? plan : passSlots(plan, outside)
  const path: Path = {
    plan: { ...inner, columns: entries.map((e) => infoOf(e)) },
    layout: layoutOf(entries),
    order: [],
    relations: new Set([at]),
  }
  return filtered({ level, estimator, relations: query.relations, scan: () => [] }, path, conditions, slotOf)
}
/** Appends the record of all columns, for a whole-row reference. */
function addWholeRow(level: Level, path: Path, relation: Relation, at: number, live: readonly number[]): Path {
  const row: Expression = {
    kind: 'var',
    level: 0,
    relation: at,
    column: 0,
    type: wholeRowType(level, relation),
    typmod: -1,
  }
  const fields = live.map(
    (column): Expression =>
      level.lower(
        {
          kind: 'var',
          level: 0,
          relation: at,
          column,
          type: relation.columns[column - 1]!.type,
          typmod: relation.columns[column - 1]!.typmod,
        },
        path.layout,
      ),
  )
  const record: Expression = {
    kind: 'row',
    fields,
    names: live.map((column) => relation.columns[column - 1]!.name),
    type: row.type,
    typmod: -1,
  }
  const keep = path.layout.entries.map(
    (e, index): Expression => ({ kind: 'column', index, type: e.type, typmod: e.typmod }),
  )
  return pathOf(
    { kind: 'project', input: path.plan, targets: [...keep, record] },
    [...path.layout.entries, row],
    rowsOf(path),
    path.plan.estimate.startupCost,
    costOf(path),
    path.relations,
    path.order,
  )
}
function wholeRowType(level: Level, relation: Relation) {
  if (relation.kind === 'table') return level.shared.catalog.relation(relation.oid)?.rowType || OID.record
  if (relation.kind === 'subquery' && relation.viewOid !== undefined)
    return level.shared.catalog.relation(relation.viewOid)?.rowType || OID.record
  if (relation.kind === 'function' && relation.calls.length === 1 && relation.calls[0]!.composite)
    return relation.calls[0]!.call.type
  return OID.record
}

function functionRows(level: Level, calls: readonly Expression[]): number {
  let rows = 1
  for (const call of calls) {
    if (call.kind !== 'call' || !call.setReturning) continue
    const fn = level.shared.catalog.function(call.function)
    const [from, to] = call.args
    const known =
      fn?.name === 'generate_series' &&
      from?.kind === 'const' &&
      to?.kind === 'const' &&
      typeof from.value === 'number' &&
      typeof to.value === 'number'
        ? to.value - from.value + 1
        : undefined
    rows = Math.max(rows, known ?? fn?.rows ?? DEFAULT_ROWS)
  }
  return rows
}

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
  let path = simple && order.length > 0 ? cheapestFor(paths, order, limitOf(level, query)) : cheapest(paths)
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

const ordersOf = (query: Query): Order[] =>
  query.orderBy.map(
    (key): Order => ({
      expression: query.targets[key.target]!.expression,
      descending: key.descending,
      nullsFirst: key.nullsFirst,
    }),
  )

/** The order that FROM's rows themselves are to have; undefined when something else is made of them first, or there is none. */
function wantedOrder(level: Level, query: Query): WantedOrder | undefined {
  if (query.orderBy.length === 0 || query.command !== 'select' || query.setOperation !== undefined) return undefined
  if (isGrouped(query) || !isPlainRows(query)) return undefined
  return { order: ordersOf(query), rows: limitOf(level, query), ...lowerLimit(level, query), withTies: query.withTies }
}
const isGrouped = (query: Query): boolean =>
  query.hasAggregates || query.groupBy.length > 0 || query.groupingSets !== undefined
const isPlainRows = (query: Query): boolean =>
  query.windows.length === 0 && query.distinct.kind === 'none' && !query.hasSetReturning

/** Volatile, or a subquery: not to be evaluated twice. */
const isCostly = (level: Level, e: Expression): boolean => isVolatile(level, e)

/** LIMIT and OFFSET together, about; undefined: all rows. */
const limitOf = (level: Level, query: Query): number | undefined => {
  const limit = query.limit && level.shared.fold(query.limit)
  const offset = query.offset && level.shared.fold(query.offset)
  if (limit === undefined || (limit.kind === 'const' && limit.value === null)) return undefined
  const count = limit.kind === 'const' ? Number(limit.value) : LIMIT_UNKNOWN
  return count + (offset?.kind === 'const' && offset.value !== null ? Number(offset.value) : 0)
}
const LIMIT_UNKNOWN = 100

/** The cheapest when its rows must also be sorted, unless they come in order; with LIMIT only a part has to be read. */
function cheapestFor(paths: readonly Path[], order: readonly Order[], limit: number | undefined): Path {
  const costWith = (path: Path): number => {
    const rows = Math.max(1, rowsOf(path))
    const share = limit === undefined ? 1 : Math.min(1, limit / rows)
    if (satisfies(path.order, order) || isPresorted(path, order))
      return path.plan.estimate.startupCost + (costOf(path) - path.plan.estimate.startupCost) * share
    return costOf(path) + rows * COST.operator * 2 * Math.log2(Math.max(2, Math.min(rows, limit ?? rows)))
  }
  return paths.reduce((best, path) => (costWith(path) < costWith(best) ? path : best))
}

/** By its first key: what is left to do is sorting those that agree in it. */
const isPresorted = (path: Path, order: readonly Order[]): boolean =>
  order.length > 1 && isNearest(path) && satisfies(path.order, order.slice(0, 1))

function lowerLimit(
  level: Level,
  query: Query,
): { readonly limit: Expression | undefined; readonly offset: Expression | undefined } {
  const none = layoutOf([])
  return {
    limit: query.limit && level.lower(level.shared.fold(query.limit), none),
    offset: query.offset && level.lower(level.shared.fold(query.offset), none),
  }
}

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

function sortKeys(level: Level, path: Path, order: readonly Order[]): PlanSortKey[] {
  return order.map((key) => ({
    expression: level.lower(key.expression, path.layout),
    descending: key.descending,
    nullsFirst: key.nullsFirst,
    ...(key.expression.collation === undefined ? {} : { collation: key.expression.collation }),
  }))
}

function sortPath(
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
  return { ...path, plan: sortPlan(path.plan, sortKeys(level, path, needed), limit, offset, 0), order: needed }
}

function sortPlan(
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

function limitPlan(
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

function distinctPath(level: Level, path: Path, query: Query): Path {
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

// ── Aggregation ──────────────────────────────────────────────────────────────────────────────────────────────────

type Aggregate = Expression & { kind: 'aggregate' }

interface Above {
  readonly aggregates: Aggregate[]
  readonly groupings: (Expression & { kind: 'grouping' })[]
  /** Columns that stand outside of aggregates and keys: they depend on the keys, and are carried along. */
  readonly carried: Expression[]
}

/** What stands above the grouping: aggregates, GROUPING calls and columns of this level, also inside subqueries. */
function collectAbove(tree: unknown, depth: number, keys: readonly Expression[], found: Above): void {
  if (typeof tree !== 'object' || tree === null) return
  if (Array.isArray(tree)) {
    for (const each of tree) collectAbove(each, depth, keys, found)
    return
  }
  if (Object.getPrototypeOf(tree) !== Object.prototype) return
  const node = tree as Expression & { command?: unknown; relations?: unknown }
  if (node.kind === 'const' || node.kind === 'param') return
  if (node.kind === 'aggregate' && node.level === depth) {
    addOnce(found.aggregates, raiseExpression(node, -depth) as Aggregate)
    return
  }
  if (node.kind === 'grouping' && node.level === depth) {
    addOnce(found.groupings, raiseExpression(node, -depth) as Expression & { kind: 'grouping' })
    return
  }
  if (node.kind === 'var') {
    if (node.level !== depth) return
    const own = depth === 0 ? node : { ...node, level: 0 }
    if (!keys.some((key) => sameExpression(key, own))) addOnce(found.carried, own)
    return
  }
  if (depth === 0 && node.kind !== undefined && keys.some((key) => sameExpression(key, node))) return
  const here = node.command !== undefined && node.relations !== undefined ? depth + 1 : depth
  for (const value of Object.values(tree)) collectAbove(value, here, keys, found)
}

function addOnce<E extends Expression>(list: E[], e: E): void {
  if (!list.some((other) => sameExpression(other, e))) list.push(e)
}

function aggregatePath(c: JoinContext, path: Path, query: Query): Path {
  const { level, estimator } = c
  const keys = query.groupBy.map((key) => query.targets[key.target]!.expression)
  const found: Above = { aggregates: [], groupings: [], carried: [] }
  const windows = query.windows.map((window) => [window.partitionBy, window.orderBy, window.start, window.end])
  collectAbove([query.targets.map((target) => target.expression), query.having, windows], 0, keys, found)
  const { aggregates, groupings, carried } = found
  if (keys.length + aggregates.length + carried.length === 0 && query.groupingSets === undefined) {
    // Nothing of the input is asked for: one group, whatever there is.
    return pathOf({ kind: 'result', targets: [], filter: undefined }, [], 1, 0, COST.row, path.relations)
  }
  const all = [...keys, ...carried]
  const lower = (e: Expression): Expression => level.lower(e, path.layout)
  const calls = aggregates.map((e): AggregateCall & { type: Expression['type']; typmod: number } => ({
    function: e.function,
    directArgs: e.directArgs.map(lower),
    args: e.args.map(lower),
    star: e.star,
    distinct: e.distinct,
    orderBy: e.orderBy.map((key) => ({ ...key, expression: lower(key.expression) })),
    filter: e.filter && lower(e.filter),
    variadic: e.variadic,
    level: 0,
    type: e.type,
    typmod: e.typmod,
  }))
  const carriedAt = carried.map((_, i) => keys.length + i)
  const sets = query.groupingSets?.map((set) => [...set, ...carriedAt])
  const groups =
    all.length === 0
      ? 1
      : Math.min(
          rowsOf(path),
          keys.reduce((product, key) => product * estimator.distinct(key, c.relations, rowsOf(path)), 1),
        )
  const strategy = all.length === 0 && sets === undefined ? 'plain' : 'hash'
  const entries: Expression[] = [...all, ...aggregates, ...groupings]
  return pathOf(
    {
      kind: 'aggregate',
      strategy,
      input: path.plan,
      keys: all.map(lower),
      sets,
      aggregates: calls,
      groupings: groupings.map((e) => e.refs),
    },
    entries,
    groups,
    costOf(path) + rowsOf(path) * COST.operator * (1 + calls.length),
    costOf(path) + rowsOf(path) * COST.operator * (1 + calls.length) + groups * COST.row,
    path.relations,
  )
}

// ── Windows ──────────────────────────────────────────────────────────────────────────────────────────────────────

type WindowExpression = Expression & { kind: 'window' }

function windowPath(c: JoinContext, input: Path, query: Query): Path {
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
