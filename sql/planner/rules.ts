/**
 * Rewrites of a bound query before it is planned; the list is the design. Each takes a query and gives an equal one.
 *
 *   inlineCtes          WITH q AS (select) used once → a subquery in FROM
 *   pullUpSubqueries    FROM (select … from a where p) s → FROM a … where p, with s.x replaced by its expression
 *   hashExists          an EXISTS that stays, depending on the outer row by equalities alone → a hashed IN
 *   pullUpSublinks      WHERE EXISTS/IN (select …) → semijoin; NOT EXISTS → antijoin (kept beside the query)
 */

import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import type { FromItem, Query, Relation, Target } from '../plan/query.ts'
import { mapChildren, raiseExpression, replaceVars, rewrite, some } from '../plan/walk.ts'
import { OID } from '../types/oids.ts'
import type { SemiJoin } from './join.ts'
import type { Level } from './level.ts'
import { collectRelations, conjuncts, isVolatile, relationsIn } from './scan.ts'

/** A subquery that is nothing but FROM, WHERE and targets. */
function isSimple(level: Level, query: Query): boolean {
  return (
    query.command === 'select' &&
    query.setOperation === undefined &&
    query.groupBy.length === 0 &&
    query.groupingSets === undefined &&
    !query.hasAggregates &&
    query.having === undefined &&
    query.windows.length === 0 &&
    query.distinct.kind === 'none' &&
    query.orderBy.length === 0 &&
    query.limit === undefined &&
    query.offset === undefined &&
    query.ctes.length === 0 &&
    query.rowLocks.every((lock) => lock.implied === true) &&
    !query.hasSetReturning &&
    query.from.length > 0 &&
    query.targets.every((target) => !target.junk && !isVolatile(level, target.expression))
  )
}

/** The parts of a query in which vars of its own relations stand, rewritten. */
function rewriteQuery(query: Query, f: (relation: number, column: number) => Expression | undefined): Query {
  const { relations, ctes, ...rest } = query
  const replaced = replaceVars(rest, f)
  return { ...replaced, ctes, relations: relations.map((relation) => rewriteRelation(relation, f)) }
}

/** Inside FROM: functions and VALUES hold vars of this level, subqueries hold them one level deeper. */
function rewriteRelation(
  relation: Relation,
  f: (relation: number, column: number) => Expression | undefined,
): Relation {
  if (relation.kind === 'function') return { ...relation, calls: replaceVars(relation.calls, f) }
  if (relation.kind === 'values') return { ...relation, rows: replaceVars(relation.rows, f) }
  if (relation.kind === 'subquery') return { ...relation, query: replaceVars(relation.query, f, 0) }
  return relation
}

/**
 * All that can be pulled up at once, the innermost first: a chain of n subqueries costs n walks over what is left of it,
 * not over what it was written as.
 */
export function pullUpSubqueries(level: Level, query: Query): Query {
  if (query.setOperation !== undefined) return query
  if (!query.relations.some((relation) => relation.kind === 'subquery')) return query
  const pulled = new Map<number, Query>()
  const nullable = new Set<number>()
  const seen: number[] = []
  const visit = (item: FromItem, padded: boolean): void => {
    if (item.kind === 'relation') {
      if (item.relation < 0) return
      seen.push(item.relation)
      if (padded) nullable.add(item.relation)
      return
    }
    visit(item.left, padded || item.type === 'right' || item.type === 'full')
    visit(item.right, padded || item.type === 'left' || item.type === 'full')
  }
  for (const item of query.from) visit(item, false)
  let whole: ReadonlySet<number> | undefined
  for (const at of seen) {
    const relation = query.relations[at]!
    if (relation.kind !== 'subquery' || !isSimple(level, relation.query)) continue
    whole ??= wholeRowsUsed(query)
    if (whole.has(at) || (nullable.has(at) && relation.lateral)) continue
    const inner = pullUpSubqueries(level, relation.query)
    // On the nullable side of an outer join a computed column would not become NULL.
    const plain = ({ expression }: Target): boolean => expression.kind === 'var' && expression.level === 0
    if (nullable.has(at) && !inner.targets.every(plain)) continue
    pulled.set(at, inner)
  }
  return pulled.size === 0 ? query : pullUp(query, pulled)
}

/** The relations of which something reads the row as a whole. */
function wholeRowsUsed(query: Query): ReadonlySet<number> {
  const found = new Set<number>()
  replaceVars(
    query,
    (relation, column) => {
      if (column === 0) found.add(relation)
      return undefined
    },
    -1,
  )
  return found
}

/** `pulled` in the order of FROM, so that what one reads laterally of another has been replaced before. */
function pullUp(query: Query, pulled: ReadonlyMap<number, Query>): Query {
  const targets = new Map<number, readonly Expression[]>()
  const from = new Map<number, FromItem>()
  const f = (relation: number, column: number): Expression | undefined =>
    column > 0 ? targets.get(relation)?.[column - 1] : undefined
  // An emptied relation keeps its place, not its contents: nothing need walk over them again.
  const relations = query.relations.map(
    (relation, at): Relation =>
      pulled.has(at)
        ? {
            kind: 'values',
            rows: [],
            alias: relation.alias,
            aliased: relation.aliased,
            columns: relation.columns,
            lateral: false,
          }
        : relation,
  )
  const rowLocks = [...query.rowLocks]
  for (const [at, inner] of pulled) {
    // The subquery's relations come after ours; what it takes from outside loses one level.
    const base = relations.length
    const moved = lowerOuter(inner, base)
    targets.set(
      at,
      replaceVars(
        moved.targets.map((target) => target.expression),
        f,
      ),
    )
    from.set(at, joinAll(moved.from, moved.where))
    relations.push(...moved.relations)
    rowLocks.push(...inner.rowLocks.map((lock) => ({ ...lock, relation: lock.relation + base })))
  }
  const replaceFrom = (item: FromItem): FromItem => {
    if (item.kind === 'join') return { ...item, left: replaceFrom(item.left), right: replaceFrom(item.right) }
    return from.get(item.relation) ?? item
  }
  return rewriteQuery({ ...query, from: query.from.map(replaceFrom), relations, rowLocks }, f)
}

/** FROM a, b WHERE p as one inner join tree. */
function joinAll(items: readonly FromItem[], where: Expression | undefined): FromItem {
  const tree = items.reduce(
    (left, right): FromItem => ({
      kind: 'join',
      type: 'inner',
      left,
      right,
      on: undefined,
      using: undefined,
      natural: false,
      alias: undefined,
    }),
  )
  if (where === undefined) return tree
  if (tree.kind === 'join' && tree.type === 'inner')
    return {
      ...tree,
      on: tree.on === undefined ? where : { kind: 'and', args: [tree.on, where], type: OID.bool, typmod: -1 },
    }
  // A single relation with a condition: joined with nothing, so that the condition has a place.
  return {
    kind: 'join',
    type: 'inner',
    left: tree,
    right: { kind: 'relation', relation: EMPTY },
    on: where,
    using: undefined,
    natural: false,
    alias: undefined,
  }
}
/** Stands for "one row of nothing" in a join tree; the planner drops it. */
const EMPTY = -1

/** The subquery as part of the enclosing query: its own vars renumbered, those of enclosing levels one level nearer. */
function lowerOuter(query: Query, base: number): Query {
  const visit = (tree: unknown, depth: number): unknown => {
    if (typeof tree !== 'object' || tree === null) return tree
    if (Array.isArray(tree)) return tree.map((each) => visit(each, depth))
    if (Object.getPrototypeOf(tree) !== Object.prototype) return tree
    const node = tree as Record<string, unknown> & {
      kind?: string
      level?: number
      relation?: number
      command?: unknown
      relations?: unknown
    }
    const here = node.command !== undefined && node.relations !== undefined ? depth + 1 : depth
    const result: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(node)) result[name] = visit(value, here)
    if (node.kind === 'relation' && typeof node.relation === 'number' && depth === 0)
      result['relation'] = node.relation < 0 ? node.relation : node.relation + base
    else if (
      typeof node.level === 'number' &&
      (node.kind === 'var' || node.kind === 'aggregate' || node.kind === 'grouping' || node.kind === 'cte')
    ) {
      if (node.kind === 'var' && node.level === depth) result['relation'] = node.relation! + base
      else if (node.level > depth) result['level'] = node.level - 1
    }
    return result
  }
  return visit({ ...query, command: undefined }, 0) as Query
}

/** A CTE that is read once and has no effects is a subquery in FROM. */
export const mayInline = (
  level: Level,
  query: Query,
  references: number,
  materialized: 'default' | 'always' | 'never',
  recursive: boolean,
): boolean =>
  query.command === 'select' &&
  !recursive &&
  query.rowLocks.length === 0 &&
  !hasVolatile(level, query) &&
  (materialized === 'never' || (materialized === 'default' && references <= 1))

function hasVolatile(level: Level, tree: unknown): boolean {
  if (typeof tree !== 'object' || tree === null) return false
  if (Array.isArray(tree)) return tree.some((each) => hasVolatile(level, each))
  if (Object.getPrototypeOf(tree) !== Object.prototype) return false
  const node = tree as { kind?: string; function?: number }
  if (node.kind === 'call' && level.shared.catalog.function(node.function as never)?.volatility === 'v') return true
  return Object.values(tree).some((value) => hasVolatile(level, value))
}

/**
 * EXISTS that stays a subplan: when it depends on the outer row by equalities alone, and no index answers them, it is an IN
 * whose rows are hashed once. (EXISTS is never NULL: hence IS TRUE.)
 */
export const hashExistsIn = (level: Level, e: Expression): Expression => rewrite(e, (node) => existsToAny(level, node))

export function hashExists(level: Level, query: Query): Query {
  const rewriteIn = (e: Expression): Expression => hashExistsIn(level, e)
  const rewriteFrom = (item: FromItem): FromItem =>
    item.kind === 'relation'
      ? item
      : { ...item, left: rewriteFrom(item.left), right: rewriteFrom(item.right), on: item.on && rewriteIn(item.on) }
  const hasExists = (e: Expression | undefined): boolean =>
    e !== undefined && some(e, (node) => node.kind === 'subquery' && node.link.kind === 'exists')
  const inFrom = (item: FromItem): boolean =>
    item.kind === 'join' && (hasExists(item.on) || inFrom(item.left) || inFrom(item.right))
  const targets = query.targets.some((target) => hasExists(target.expression))
    ? query.targets.map((target) => ({ ...target, expression: rewriteIn(target.expression) }))
    : query.targets
  return {
    ...query,
    targets,
    having: hasExists(query.having) ? rewriteIn(query.having!) : query.having,
    from: query.from.some(inFrom) ? query.from.map(rewriteFrom) : query.from,
  }
}

function existsToAny(level: Level, e: Expression): Expression {
  if (e.kind !== 'subquery' || e.link.kind !== 'exists') return e
  const inner = e.query
  const bare: Query = { ...inner, targets: [], orderBy: [], distinct: { kind: 'none' }, limit: undefined }
  if (inner.limit !== undefined || !isSimple(level, bare)) return e
  const rest: Expression[] = []
  const pairs: { outer: Expression; inner: Expression; function: Oid; operator: Oid }[] = []
  for (const each of conjuncts(inner.where)) {
    const pair = equalityAcross(level, each)
    if (pair === undefined) rest.push(each)
    else pairs.push(pair)
  }
  if (pairs.length === 0) return e
  const left: Query = { ...bare, where: undefined }
  if (readsOutside([left.from, left.relations, rest], 0) || rest.some((each) => isVolatileCall(level, each))) return e
  if (pairs.some((pair) => hasIndexOn(level, inner, pair.inner))) return e
  const targets = pairs.map(
    (pair): Target => ({ name: '', expression: pair.inner, junk: false, tableOid: oid(0), columnNumber: 0 }),
  )
  const where =
    rest.length === 0
      ? undefined
      : rest.length === 1
        ? rest[0]
        : { kind: 'and' as const, args: rest, type: OID.bool, typmod: -1 }
  const right = pairs.map(
    (pair, index): Expression => ({ kind: 'column', index, type: pair.inner.type, typmod: pair.inner.typmod }),
  )
  const any: Expression = {
    kind: 'subquery',
    link: {
      kind: 'any',
      left: pairs.map((pair) => raiseExpression(pair.outer, -1)),
      functions: pairs.map((pair) => pair.function),
      operators: pairs.map((pair) => pair.operator),
      opName: '=',
      right,
    },
    query: { ...bare, targets, where },
    type: OID.bool,
    typmod: -1,
  }
  return { kind: 'boolean-test', arg: any, test: 'true', negated: false, type: OID.bool, typmod: -1 }
}

/** `inner = outer` or the reverse, by an operator that can be hashed; as a call outer = inner. */
function equalityAcross(
  level: Level,
  e: Expression,
): { outer: Expression; inner: Expression; function: Oid; operator: Oid } | undefined {
  if (e.kind !== 'call' || e.operator === undefined || e.args.length !== 2) return undefined
  const operator = level.shared.catalog.operator(e.operator)
  const [x, y] = [e.args[0]!, e.args[1]!]
  if (operator?.canHash !== true || x.type !== y.type || isVolatile(level, e)) return undefined
  if (isOuter(x) && isInner(y)) return { outer: x, inner: y, function: e.function, operator: e.operator }
  if (!(isOuter(y) && isInner(x))) return undefined
  const commuted = level.shared.catalog.operator(operator.commutator)
  return commuted && { outer: y, inner: x, function: commuted.function, operator: commuted.oid }
}
const levelsOf = (e: Expression): { own: boolean; outer: boolean } => {
  const found = { own: false, outer: false }
  some(e, (node) => {
    if (node.kind === 'var') {
      if (node.level === 0) found.own = true
      else found.outer = true
    }
    if (node.kind === 'aggregate' || node.kind === 'grouping') found.own = found.outer = true
    return false
  })
  return found
}
const isOuter = (e: Expression): boolean => levelsOf(e).outer && !levelsOf(e).own
const isInner = (e: Expression): boolean => levelsOf(e).own && !levelsOf(e).outer

const isVolatileCall = (level: Level, e: Expression): boolean => hasVolatile(level, e)

/** Anything in a tree that belongs to a query further out than this one. */
function readsOutside(tree: unknown, depth: number): boolean {
  if (typeof tree !== 'object' || tree === null) return false
  if (Array.isArray(tree)) return tree.some((each) => readsOutside(each, depth))
  if (Object.getPrototypeOf(tree) !== Object.prototype) return false
  const node = tree as { kind?: string; level?: number; command?: unknown; relations?: unknown }
  const leveled = node.kind === 'var' || node.kind === 'aggregate' || node.kind === 'grouping'
  if (leveled && typeof node.level === 'number' && node.level > depth) return true
  const here = node.command !== undefined && node.relations !== undefined ? depth + 1 : depth
  return Object.values(tree).some((value) => readsOutside(value, here))
}

function hasIndexOn(level: Level, query: Query, e: Expression): boolean {
  const column = e.kind === 'relabel' ? e.arg : e
  if (column.kind !== 'var') return false
  const relation = query.relations[column.relation]
  const row = relation?.kind === 'table' ? level.shared.catalog.relation(relation.oid) : undefined
  return (
    row?.indexes.some((index) => level.shared.catalog.relation(index)?.index?.keys[0]?.column === column.column) ===
    true
  )
}

/** EXISTS and IN among WHERE's conditions become joins; the query's relations grow by those of the subqueries. */
export function pullUpSublinks(
  level: Level,
  query: Query,
): { readonly query: Query; readonly conditions: Expression[]; readonly semis: SemiJoin[] } {
  let current = query
  const conditions: Expression[] = []
  const semis: SemiJoin[] = []
  const waiting = [...conjuncts(query.where)].reverse()
  while (waiting.length > 0) {
    const e = waiting.pop()!
    const anti = e.kind === 'not' && e.arg.kind === 'subquery'
    const link = e.kind === 'subquery' ? e : anti ? e.arg : undefined
    const semi = link?.kind === 'subquery' ? toJoin(level, current, link, anti) : undefined
    if (semi === undefined) {
      conditions.push(e)
      continue
    }
    // What of EXISTS (… WHERE p(outer) AND q) asks of the outer row alone is asked there: it may be an EXISTS itself.
    const base = current.relations.length
    const isOuter = (each: Expression): boolean => {
      const reads = anti || callsVolatile(level, each) ? [] : [...relationsIn(each)]
      return reads.length > 0 && reads.every((relation) => relation < base)
    }
    current = semi.query
    waiting.push(...semi.join.on.filter(isOuter).reverse())
    semis.push({ ...semi.join, on: semi.join.on.filter((each) => !isOuter(each)) })
  }
  return { query: current, conditions, semis }
}

/** A volatile function anywhere in it, in subqueries too. */
function callsVolatile(level: Level, tree: unknown): boolean {
  if (typeof tree !== 'object' || tree === null) return false
  if (Array.isArray(tree)) return tree.some((each) => callsVolatile(level, each))
  if (Object.getPrototypeOf(tree) !== Object.prototype) return false
  const node = tree as Expression
  if (node.kind === 'call' && level.shared.catalog.function(node.function)?.volatility === 'v') return true
  return Object.values(tree).some((each) => callsVolatile(level, each))
}

function toJoin(
  level: Level,
  query: Query,
  e: Expression & { kind: 'subquery' },
  anti: boolean,
): { readonly query: Query; readonly join: SemiJoin } | undefined {
  const inner = pullUpSubqueries(level, e.query)
  const exists = e.link.kind === 'exists'
  const shape: Query = exists
    ? {
        ...inner,
        targets: [],
        orderBy: [],
        distinct: { kind: 'none' },
        limit:
          inner.limit?.kind === 'const' && inner.limit.value !== 0 && inner.offset === undefined
            ? undefined
            : inner.limit,
      }
    : { ...inner, orderBy: [], distinct: inner.distinct.kind === 'all' ? { kind: 'none' } : inner.distinct }
  if (!isSimple(level, { ...shape, targets: shape.targets.filter((target) => !target.junk) })) return undefined
  if (e.link.kind === 'any' && anti) return undefined // NOT IN stays a hashed subplan, which has the right NULLs
  if (e.link.kind !== 'any' && !exists) return undefined
  const base = query.relations.length
  const moved = lowerOuter(shape, base)
  const on = conjuncts(moved.where)
  // Only what really depends on the outer row is worth a join.
  const reads = new Set<number>()
  for (const each of on) collectRelations(each, reads)
  if (exists && ![...reads].some((each) => each < base)) return undefined
  if (lateralInside(moved.relations, base)) return undefined
  if (e.link.kind === 'any') {
    const link = e.link
    if (link.left.some((left) => isVolatile(level, left))) return undefined
    const columns = moved.targets.filter((target) => !target.junk).map((target) => target.expression)
    link.left.forEach((left, i) => {
      const right = mapColumn(link.right[i]!, columns)
      on.push({
        kind: 'call',
        function: link.functions[i]!,
        operator: link.operators[i]!,
        args: [left, right],
        display: 'operator',
        variadic: false,
        setReturning: false,
        type: OID.bool,
        typmod: -1,
      })
    })
  }
  return {
    query: { ...query, relations: [...query.relations, ...moved.relations] },
    join: { join: anti ? 'anti' : 'semi', inner: [...moved.from], on, nullAware: false },
  }
}

const mapColumn = (e: Expression, columns: readonly Expression[]): Expression =>
  e.kind === 'column' ? columns[e.index]! : mapChildren(e, (child) => mapColumn(child, columns))

/** A subquery in FROM of the moved query that reads beyond its own level cannot simply be planned beside the others. */
function lateralInside(relations: readonly Relation[], base: number): boolean {
  return relations.some((relation) => {
    const reads = new Set<number>()
    if (relation.kind === 'subquery')
      collectRelations(
        { kind: 'subquery', link: { kind: 'exists' }, query: relation.query, type: OID.bool, typmod: -1 },
        reads,
      )
    else if (relation.kind === 'function') for (const source of relation.calls) collectRelations(source.call, reads)
    else if (relation.kind === 'values')
      for (const row of relation.rows) for (const e of row) collectRelations(e, reads)
    return [...reads].some((each) => each < base)
  })
}
