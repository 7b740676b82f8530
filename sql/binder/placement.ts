/**
 * Where aggregates, GROUPING, window calls and set-returning calls may stand, and which query level they belong to: that of
 * the nearest column inside them (parse_agg.c's rules: check_agglevels_and_constraints, check_srf_call_placement).
 */
import type { Expression } from '../plan/expression.ts'
import { forEachChild } from '../plan/walk.ts'
import { type BindContext, errorAt, ownPlace, placeOf } from './context.ts'
import type { Clause, Scope } from './scope.ts'

/** The names of clauses where aggregates are refused. */
const NO_AGGREGATES: Partial<Record<Clause, string>> = {
  join: 'JOIN conditions',
  from: 'FROM clause of their own query level',
  'function in from': 'functions in FROM',
  where: 'WHERE',
  'copy where': 'COPY FROM WHERE conditions',
  filter: 'FILTER',
  'window range': 'window RANGE',
  'window rows': 'window ROWS',
  'window groups': 'window GROUPS',
  insert: 'INSERT',
  update: 'UPDATE',
  'merge when': 'MERGE WHEN conditions',
  'group by': 'GROUP BY',
  limit: 'LIMIT',
  offset: 'OFFSET',
  returning: 'RETURNING',
  values: 'VALUES',
  'single values': 'VALUES',
  check: 'check constraints',
  default: 'DEFAULT expressions',
  'index expression': 'index expressions',
  'index predicate': 'index predicates',
  'alter using': 'transform expressions',
  execute: 'EXECUTE parameters',
  call: 'CALL arguments',
  generated: 'column generation expressions',
}

const NO_WINDOWS: Partial<Record<Clause, string>> = {
  ...NO_AGGREGATES,
  from: 'FROM clause of their own query level',
  having: 'HAVING',
  'partition by': 'window definitions',
  'window order by': 'window definitions',
  'window range': 'window definitions',
  'window rows': 'window definitions',
  'window groups': 'window definitions',
}

const NO_SETS: Partial<Record<Clause, string>> = {
  join: 'JOIN conditions',
  where: 'WHERE',
  'copy where': 'COPY FROM WHERE conditions',
  having: 'HAVING',
  filter: 'FILTER',
  'window range': 'window definitions',
  'window rows': 'window definitions',
  'window groups': 'window definitions',
  update: 'UPDATE',
  'merge when': 'MERGE WHEN conditions',
  limit: 'LIMIT',
  offset: 'OFFSET',
  returning: 'RETURNING',
  values: 'VALUES',
  check: 'check constraints',
  default: 'DEFAULT expressions',
  'index expression': 'index expressions',
  'index predicate': 'index predicates',
  'alter using': 'transform expressions',
  execute: 'EXECUTE parameters',
  call: 'CALL arguments',
  generated: 'column generation expressions',
}

/** 0A000 where a clause takes no subquery. `position`: where it stands. */
export function refuseSubquery(b: BindContext, clause: Clause, position: number | undefined): void {
  const place = NO_SUBQUERIES[clause]
  if (place !== undefined) throw errorAt(b, '0A000', `cannot use subquery in ${place}`, position)
}
const NO_SUBQUERIES: Partial<Record<Clause, string>> = {
  'copy where': 'COPY FROM WHERE condition',
  check: 'check constraint',
  default: 'DEFAULT expression',
  'index expression': 'index expression',
  'index predicate': 'index predicate',
  'alter using': 'transform expression',
  execute: 'EXECUTE parameter',
  call: 'CALL argument',
  generated: 'column generation expression',
}

export const LATERAL_HINT = { hint: 'You might be able to move the set-returning function into a LATERAL FROM item.' }

interface Found {
  variable: number
  aggregate: Expression | undefined
  aggregateLevel: number
}

/** Walks an aggregate's arguments, subqueries too, for the nearest levels of columns and of aggregates. */
function findLevels(b: BindContext, node: unknown, depth: number, found: Found): void {
  if (typeof node !== 'object' || node === null) return
  if (Array.isArray(node)) {
    for (const each of node) findLevels(b, each, depth, found)
    return
  }
  if (Object.getPrototypeOf(node) !== Object.prototype) return
  const e = node as Expression & { command?: unknown; relations?: unknown; level?: number }
  if (e.command !== undefined && e.relations !== undefined) {
    for (const value of Object.values(e)) findLevels(b, value, depth + 1, found)
    return
  }
  if (typeof e.level === 'number' && e.level >= depth) {
    const level = e.level - depth
    if (e.kind === 'var' && (found.variable < 0 || level < found.variable)) found.variable = level
    if (
      (e.kind === 'aggregate' || e.kind === 'grouping') &&
      (found.aggregateLevel < 0 || level < found.aggregateLevel)
    ) {
      found.aggregateLevel = level
      found.aggregate = e
    }
  }
  if (depth === 0) {
    if (e.kind === 'call' && e.setReturning) {
      throw errorAt(
        b,
        '0A000',
        'aggregate function calls cannot contain set-returning function calls',
        placeOf(e),
        LATERAL_HINT,
      )
    }
    if (e.kind === 'window')
      throw errorAt(b, '42803', 'aggregate function calls cannot contain window function calls', ownPlace(e))
  }
  for (const value of Object.values(e)) findLevels(b, value, depth, found)
}

/**
 * The level of an aggregate (or GROUPING) with these arguments, 0 for this query; its scope is told. Throws 42803 where it
 * may not stand.
 */
export function placeAggregate(
  b: BindContext,
  scope: Scope,
  args: readonly Expression[],
  direct: readonly Expression[],
  what: 'aggregate functions' | 'grouping operations',
  location: number | undefined,
): number {
  const found: Found = { variable: -1, aggregate: undefined, aggregateLevel: -1 }
  findLevels(b, args, 0, found)
  const level =
    found.variable < 0
      ? Math.max(found.aggregateLevel, 0)
      : found.aggregateLevel < 0
        ? found.variable
        : Math.min(found.variable, found.aggregateLevel)
  if (found.aggregate !== undefined && found.aggregateLevel === level) {
    throw errorAt(b, '42803', 'aggregate function calls cannot be nested', ownPlace(found.aggregate))
  }
  if (direct.length > 0) {
    const inside: Found = { variable: -1, aggregate: undefined, aggregateLevel: -1 }
    findLevels(b, direct, 0, inside)
    if (inside.variable >= 0 && inside.variable < level) {
      throw errorAt(
        b,
        '42803',
        'outer-level aggregate cannot contain a lower-level variable in its direct arguments',
        direct.map(placeOf)[0],
      )
    }
    if (inside.aggregate !== undefined && inside.aggregateLevel <= level) {
      throw errorAt(b, '42803', 'aggregate function calls cannot be nested', ownPlace(inside.aggregate))
    }
  }
  let owner: Scope = scope
  for (let i = 0; i < level; i++) owner = owner.parent ?? owner
  const refused = NO_AGGREGATES[owner.clause]
  if (refused !== undefined) throw errorAt(b, '42803', `${what} are not allowed in ${refused}`, location)
  if (what === 'aggregate functions') owner.hasAggregates = true
  return level
}

/** Throws where a window call may not stand. */
export function placeWindow(
  b: BindContext,
  scope: Scope,
  args: readonly Expression[],
  location: number | undefined,
): void {
  for (const arg of args) {
    const inner = windowIn(arg)
    if (inner !== undefined) throw errorAt(b, '42P20', 'window function calls cannot be nested', ownPlace(inner))
  }
  const refused = NO_WINDOWS[scope.clause]
  if (refused !== undefined) throw errorAt(b, '42P20', `window functions are not allowed in ${refused}`, location)
  scope.hasWindows = true
}

/** The first window call inside an expression. */
export function windowIn(e: Expression): Expression | undefined {
  if (e.kind === 'window') return e
  let found: Expression | undefined
  forEachChild(e, (child) => {
    found ??= windowIn(child)
  })
  return found
}

/** Throws where a set-returning call may not stand. */
export function placeSetReturning(b: BindContext, scope: Scope, location: number | undefined): void {
  const refused = NO_SETS[scope.clause]
  if (refused !== undefined)
    throw errorAt(b, '0A000', `set-returning functions are not allowed in ${refused}`, location)
  if (scope.clause === 'function in from' && scope.insideFunctionArguments > 0) {
    throw errorAt(b, '0A000', 'set-returning functions must appear at top level of FROM', location)
  }
  scope.hasSetReturning = true
  scope.lastSetReturning = location ?? 0
  scope.setReturningCalls++
}

/** For CASE and COALESCE, whose parts are not all evaluated: no sets since `before` calls. */
export function refuseSetReturning(b: BindContext, scope: Scope, before: number, construct: string): void {
  if (scope.setReturningCalls === before) return
  throw errorAt(
    b,
    '0A000',
    `set-returning functions are not allowed in ${construct}`,
    scope.lastSetReturning,
    LATERAL_HINT,
  )
}

/** LIMIT, OFFSET and frame offsets read no columns of their own query. */
export function requireNoVariables(b: BindContext, e: Expression, construct: string): Expression {
  const variable = firstOfLevel(e, 'var', 0)
  if (variable !== undefined)
    throw errorAt(b, '42P10', `argument of ${construct} must not contain variables`, ownPlace(variable))
  return e
}

/** Where the first aggregate of this level stands. */
export function firstAggregate(tree: unknown): number | undefined {
  const aggregate = firstOfLevel(tree, 'aggregate', 0)
  return aggregate && ownPlace(aggregate)
}

/** The first node of a kind that belongs to the query at this depth, through subqueries. */
function firstOfLevel(node: unknown, kind: 'var' | 'aggregate', depth: number): Expression | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  if (Array.isArray(node)) return firstIn(node, kind, depth)
  if (Object.getPrototypeOf(node) !== Object.prototype) return undefined
  const e = node as Expression & { command?: unknown; relations?: unknown }
  if (e.kind === kind && e.level === depth) return e
  const isQuery = e.command !== undefined && e.relations !== undefined
  return firstIn(Object.values(e), kind, isQuery ? depth + 1 : depth)
}
function firstIn(nodes: readonly unknown[], kind: 'var' | 'aggregate', depth: number): Expression | undefined {
  for (const node of nodes) {
    const found = firstOfLevel(node, kind, depth)
    if (found !== undefined) return found
  }
  return undefined
}
