/**
 * Joins. FROM's inner joins are one pool of relations and conditions, put in the cheapest order found: by dynamic programming
 * over subsets up to DP_RELATIONS of them, else greedily. An outer join is one member of its pool, planned inside first.
 * Each step takes the cheapest of hash join, nested loop over an index, and plain nested loop.
 */
import { invariant } from '../../storage/keys/invariant.ts'
import type { Expression } from '../plan/expression.ts'
import type { PlanJoin } from '../plan/plan.ts'
import type { FromItem, Relation } from '../plan/query.ts'
import { some } from '../plan/walk.ts'
import { OID } from '../types/oids.ts'
import { COST, type Estimator } from './estimate.ts'
import { layoutOf } from './layout.ts'
import type { Level } from './level.ts'
import { costOf, type Path, pathOf, rowsOf } from './path.ts'
import { collectRelations, conjunction, conjuncts, isVolatile, relationsIn, relationsInQuery } from './scan.ts'

const DP_RELATIONS = 9 // subsets to look at double with each; above it the order is found greedily

export interface JoinContext {
  readonly level: Level
  readonly estimator: Estimator
  readonly relations: readonly Relation[]
  /** Paths for one relation with these conditions; `available` may be read through slots. */
  scan(
    relation: number,
    conditions: readonly Expression[],
    available: ReadonlySet<number>,
    slotOf: (e: Expression) => Expression,
  ): Path[]
}

/** A member of a pool: a base relation, or an outer (or semi) join that is planned as a whole. */
interface Member {
  readonly relations: ReadonlySet<number>
  /** Relations it reads laterally. */
  readonly needs: ReadonlySet<number>
  /** Its paths when the relations in `available` stand outside. */
  paths(
    conditions: readonly Expression[],
    available: ReadonlySet<number>,
    slotOf: (e: Expression) => Expression,
  ): Path[]
  readonly base: boolean
}

/** A semi- or antijoin that came from EXISTS or IN in WHERE. */
export interface SemiJoin {
  readonly join: 'semi' | 'anti'
  readonly inner: FromItem[]
  /** All conditions between and inside. */
  readonly on: readonly Expression[]
  readonly nullAware: boolean
}

/** Plans FROM with the conditions of WHERE; returns paths of which the caller may prefer one for its order. */
export function planFrom(
  c: JoinContext,
  items: readonly FromItem[],
  conditions: readonly Expression[],
  semis: readonly SemiJoin[],
): Path[] {
  const members: Member[] = []
  const pooled = [...conditions]
  for (const item of items) flatten(c, item, members, pooled)
  return joinPool(c, members, pooled, semis)
}

function flatten(c: JoinContext, item: FromItem, members: Member[], conditions: Expression[]): void {
  if (item.kind === 'relation') {
    if (item.relation >= 0) members.push(baseMember(c, item.relation))
    return
  }
  if (item.type === 'inner') {
    flatten(c, item.left, members, conditions)
    flatten(c, item.right, members, conditions)
    conditions.push(...conjuncts(item.on))
    return
  }
  members.push(outerJoinMember(c, item))
}

function baseMember(c: JoinContext, relation: number): Member {
  const source = c.relations[relation]!
  return {
    relations: new Set([relation]),
    needs: lateralNeeds(source, relation),
    base: true,
    paths: (conditions, available, slotOf) => c.scan(relation, conditions, available, slotOf),
  }
}

const needsKnown = new WeakMap<Relation, ReadonlySet<number>>()
/** Other relations of this level that a relation's own definition reads. */
function lateralNeeds(relation: Relation, self: number): ReadonlySet<number> {
  const known = needsKnown.get(relation)
  if (known !== undefined) return known
  const needs = new Set<number>()
  if (relation.kind === 'function') for (const source of relation.calls) collectRelations(source.call, needs)
  else if (relation.kind === 'values') for (const row of relation.rows) for (const e of row) collectRelations(e, needs)
  else if (relation.kind === 'subquery') relationsInQuery(relation.query, needs)
  needs.delete(self)
  needsKnown.set(relation, needs)
  return needs
}

/** What an item reads of relations that are not inside it: laterally, or in the conditions of its joins. */
function needsOf(
  c: JoinContext,
  item: FromItem,
  inside: ReadonlySet<number>,
  needs: Set<number> = new Set(),
): Set<number> {
  if (item.kind === 'relation') {
    if (item.relation < 0) return needs
    for (const need of lateralNeeds(c.relations[item.relation]!, item.relation)) if (!inside.has(need)) needs.add(need)
    return needs
  }
  needsOf(c, item.left, inside, needs)
  needsOf(c, item.right, inside, needs)
  if (item.on !== undefined) for (const need of relationsIn(item.on)) if (!inside.has(need)) needs.add(need)
  return needs
}

export function relationsOf(item: FromItem, into: Set<number> = new Set()): Set<number> {
  if (item.kind === 'relation') {
    if (item.relation >= 0) into.add(item.relation)
  } else {
    relationsOf(item.left, into)
    relationsOf(item.right, into)
  }
  return into
}

function outerJoinMember(c: JoinContext, item: FromItem & { kind: 'join' }): Member {
  const left = relationsOf(item.left)
  const right = relationsOf(item.right)
  const all = new Set([...left, ...right])
  return {
    relations: all,
    needs: needsOf(c, item, all),
    base: false,
    paths: (conditions, available, slotOf) => [outerJoin(c, item, left, right, conditions, available, slotOf)],
  }
}

function within(e: Expression, set: ReadonlySet<number>): boolean {
  for (const each of relationsIn(e)) if (!set.has(each)) return false
  return true
}
const union = (x: ReadonlySet<number>, y: ReadonlySet<number>): Set<number> => new Set([...x, ...y])

/**
 * LEFT, RIGHT and FULL joins. Conditions from above go down to the row-preserving side; those of ON that concern only the
 * other side go down there; the rest of ON decides matches, the rest from above filters the result.
 */
function outerJoin(
  c: JoinContext,
  item: FromItem & { kind: 'join' },
  left: ReadonlySet<number>,
  right: ReadonlySet<number>,
  above: readonly Expression[],
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
): Path {
  let type = item.type
  let [outerItem, innerItem] = [item.left, item.right]
  let [outerSet, innerSet] = [left, right]
  if (type === 'right') {
    type = 'left'
    ;[outerItem, innerItem] = [innerItem, outerItem]
    ;[outerSet, innerSet] = [innerSet, outerSet]
  }
  const on = conjuncts(item.on)
  // A condition that is never true for NULLs makes the padded rows vanish: the join is an inner one.
  const strict = (set: ReadonlySet<number>): boolean => above.some((e) => rejectsNulls(c, e, set))
  if (type === 'full') {
    if (strict(innerSet) && strict(outerSet)) type = 'inner'
    else if (strict(outerSet)) type = 'left'
    else if (strict(innerSet)) {
      type = 'left'
      ;[outerItem, innerItem] = [innerItem, outerItem]
      ;[outerSet, innerSet] = [innerSet, outerSet]
    }
  } else if (type === 'left' && strict(innerSet)) type = 'inner'
  if (type === 'inner') {
    const members: Member[] = []
    const conditions = [...above, ...on]
    flatten(c, outerItem, members, conditions)
    flatten(c, innerItem, members, conditions)
    return cheapest(joinPool(c, members, conditions, [], available, slotOf))
  }
  const outerReach = union(outerSet, available)
  const innerReach = union(innerSet, available)
  const down = type === 'left' ? above.filter((e) => within(e, outerReach) && !isVolatile(c.level, e)) : []
  const rest = above.filter((e) => !down.includes(e))
  const innerDown =
    type === 'left' ? on.filter((e) => within(e, innerReach) && relationsIn(e).size > 0 && !isVolatile(c.level, e)) : []
  const match = on.filter((e) => !innerDown.includes(e))
  const outer = cheapest(planSide(c, outerItem, down, available, slotOf))
  const joined = joinPair(
    c,
    outer,
    sideMember(c, innerItem, innerSet, innerDown),
    match,
    type === 'full' ? 'full' : 'left',
    available,
    slotOf,
    false,
  )
  return filtered(c, joined, rest, slotOf)
}

function planSide(
  c: JoinContext,
  item: FromItem,
  conditions: readonly Expression[],
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
): Path[] {
  const members: Member[] = []
  const pooled = [...conditions]
  flatten(c, item, members, pooled)
  return joinPool(c, members, pooled, [], available, slotOf)
}

/** The nullable side of an outer join (or the inner of a semijoin) as one member. */
function sideMember(c: JoinContext, item: FromItem, set: ReadonlySet<number>, own: readonly Expression[]): Member {
  return {
    relations: set,
    needs: needsOf(c, item, set),
    base: item.kind === 'relation',
    paths: (conditions, available, slotOf) => planSide(c, item, [...own, ...conditions], available, slotOf),
  }
}

/** True when the condition cannot be true if every column of `set` is NULL. */
function rejectsNulls(c: JoinContext, e: Expression, set: ReadonlySet<number>): boolean {
  switch (e.kind) {
    case 'and':
      return e.args.some((arg) => rejectsNulls(c, arg, set))
    case 'or':
      return e.args.every((arg) => rejectsNulls(c, arg, set))
    case 'is-null':
      return e.negated && !e.argIsRow && strictIn(c, e.arg, set)
    case 'boolean-test':
      return e.test !== 'unknown' && !e.negated && strictIn(c, e.arg, set)
    default:
      return strictIn(c, e, set)
  }
}
function strictIn(c: JoinContext, e: Expression, set: ReadonlySet<number>): boolean {
  switch (e.kind) {
    case 'var':
      return e.level === 0 && set.has(e.relation) && e.column > 0
    case 'call':
      return c.level.shared.catalog.function(e.function)?.strict === true && e.args.some((arg) => strictIn(c, arg, set))
    case 'relabel':
    case 'coerce-io':
    case 'not':
      return strictIn(c, e.arg, set)
    case 'any-array':
      return !e.all && strictIn(c, e.left, set)
    default:
      return false
  }
}

export const cheapest = (paths: readonly Path[]): Path => {
  invariant(paths.length > 0, 'no path')
  return paths.reduce((best, path) => (costOf(path) < costOf(best) ? path : best))
}

/** A filter above a path. */
export function filtered(
  c: JoinContext,
  path: Path,
  conditions: readonly Expression[],
  slotOf?: (e: Expression) => Expression,
): Path {
  const predicate = conjunction(conditions.map((e) => c.level.lower(e, path.layout, slotOf)))
  if (predicate === undefined) return path
  const rows = rowsOf(path) * conditions.reduce((product, e) => product * c.estimator.selectivity(e, c.relations), 1)
  return pathOf(
    { kind: 'filter', input: path.plan, predicate },
    path.layout.entries,
    rows,
    path.plan.estimate.startupCost,
    costOf(path) + rowsOf(path) * COST.operator * conditions.length,
    path.relations,
    path.order,
  )
}

const NONE: ReadonlySet<number> = new Set()
const noSlots = (e: Expression): Expression => {
  invariant(false, `no row gives ${e.kind}`)
}

function joinPool(
  c: JoinContext,
  members: readonly Member[],
  conditions: readonly Expression[],
  semis: readonly SemiJoin[],
  available: ReadonlySet<number> = NONE,
  slotOf: (e: Expression) => Expression = noSlots,
): Path[] {
  if (members.length === 0) {
    const result = pathOf(
      {
        kind: 'result',
        targets: [],
        filter: conjunction(conditions.map((e) => c.level.lower(e, layoutOf([]), slotOf))),
      },
      [],
      1,
      0,
      COST.row,
      NONE,
    )
    return [semis.reduce((path, semi) => semiJoin(c, path, semi, available, slotOf), result)]
  }
  // Constant conditions are checked at the top; those of one member inside it.
  const floating = conditions.filter((e) => within(e, available))
  const volatile = conditions.filter((e) => !floating.includes(e) && relationsIn(e).size > 0 && isVolatileCall(c, e))
  const usable = conditions.filter((e) => !floating.includes(e) && !volatile.includes(e))
  const own = (member: Member): Expression[] =>
    usable.filter(
      (e) =>
        within(e, union(member.relations, available)) && [...relationsIn(e)].some((each) => member.relations.has(each)),
    )
  let paths: Path[]
  if (members.length === 1) paths = members[0]!.paths(own(members[0]!), available, slotOf)
  else
    paths = [
      members.length <= DP_RELATIONS
        ? bySubsets(c, members, usable, own, available, slotOf)
        : greedily(c, members, usable, own, available, slotOf),
    ]
  if (semis.length > 0)
    paths = [semis.reduce((path, semi) => semiJoin(c, path, semi, available, slotOf), cheapest(paths))]
  const top = [...floating, ...volatile]
  return top.length === 0 ? paths : paths.map((path) => filtered(c, path, top, slotOf))
}
/** Volatile functions (not mere subqueries) must see each joined row once. */
const isVolatileCall = (c: JoinContext, e: Expression): boolean =>
  some(e, (node) => node.kind === 'call' && c.level.shared.catalog.function(node.function)?.volatility === 'v')

function bySubsets(
  c: JoinContext,
  members: readonly Member[],
  conditions: readonly Expression[],
  own: (member: Member) => Expression[],
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
): Path {
  const n = members.length
  const best: (Path | undefined)[] = Array.from({ length: 1 << n }, () => undefined)
  const reach = (set: number): Set<number> => {
    const all = new Set(available)
    for (let i = 0; i < n; i++) if (set & (1 << i)) for (const each of members[i]!.relations) all.add(each)
    return all
  }
  members.forEach((member, i) => {
    if ([...member.needs].every((need) => available.has(need)))
      best[1 << i] = cheapest(member.paths(own(member), available, slotOf))
  })
  for (let size = 2; size <= n; size++) {
    for (let set = 1; set < 1 << n; set++) {
      if (bits(set) !== size) continue
      let found: Path | undefined
      let connected: Path | undefined
      for (let i = 0; i < n; i++) {
        if (!(set & (1 << i))) continue
        const outer = best[set & ~(1 << i)]
        const member = members[i]!
        if (outer === undefined) continue
        const outerReach = reach(set & ~(1 << i))
        if (![...member.needs].every((need) => outerReach.has(need))) continue
        const whole = reach(set)
        const between = conditions.filter(
          (e) => within(e, whole) && !within(e, outerReach) && !within(e, union(member.relations, available)),
        )
        const inner: Member = {
          ...member,
          paths: (more, reachable, slots) => member.paths([...own(member), ...more], reachable, slots),
        }
        const path = joinPair(c, outer, inner, between, 'inner', available, slotOf, false)
        if (between.length > 0 && (connected === undefined || costOf(path) < costOf(connected))) connected = path
        if (found === undefined || costOf(path) < costOf(found)) found = path
      }
      best[set] =
        connected !== undefined && found !== undefined && costOf(found) * 2 > costOf(connected) ? connected : found
    }
  }
  const all = best[(1 << n) - 1]
  invariant(all !== undefined, 'every order of joins has an unmet LATERAL reference')
  return all
}
const bits = (n: number): number => {
  let count = 0
  for (let rest = n; rest !== 0; rest &= rest - 1) count++
  return count
}

function greedily(
  c: JoinContext,
  members: readonly Member[],
  conditions: readonly Expression[],
  own: (member: Member) => Expression[],
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
): Path {
  const left = [...members]
  const ready = left.filter((member) => [...member.needs].every((need) => available.has(need)))
  const starts = ready.map((member) => ({ member, path: cheapest(member.paths(own(member), available, slotOf)) }))
  let { member: first, path } = starts.reduce((best, each) => (rowsOf(each.path) < rowsOf(best.path) ? each : best))
  left.splice(left.indexOf(first), 1)
  let inside = union(first.relations, available)
  while (left.length > 0) {
    let choice: { member: Member; path: Path; connected: boolean } | undefined
    for (const member of left) {
      if (![...member.needs].every((need) => inside.has(need))) continue
      const whole = union(inside, member.relations)
      const between = conditions.filter(
        (e) => within(e, whole) && !within(e, inside) && !within(e, union(member.relations, available)),
      )
      const inner: Member = {
        ...member,
        paths: (more, reachable, slots) => member.paths([...own(member), ...more], reachable, slots),
      }
      const candidate = joinPair(c, path, inner, between, 'inner', available, slotOf, false)
      const connected = between.length > 0
      if (
        choice === undefined ||
        (connected && !choice.connected) ||
        (connected === choice.connected && costOf(candidate) < costOf(choice.path))
      )
        choice = { member, path: candidate, connected }
    }
    invariant(choice !== undefined, 'a LATERAL reference cannot be met')
    path = choice.path
    first = choice.member
    left.splice(left.indexOf(first), 1)
    inside = union(inside, first.relations)
  }
  return path
}

interface HashKeys {
  readonly outer: Expression[]
  readonly inner: Expression[]
  readonly rest: Expression[]
}

/** Splits conditions into equalities `outer expression = inner expression` and the rest. */
function hashKeys(
  c: JoinContext,
  conditions: readonly Expression[],
  outer: ReadonlySet<number>,
  inner: ReadonlySet<number>,
): HashKeys {
  const keys: HashKeys = { outer: [], inner: [], rest: [] }
  for (const e of conditions) {
    if (e.kind === 'call' && e.operator !== undefined && e.args.length === 2) {
      const operator = c.level.shared.catalog.operator(e.operator)
      const [x, y] = [e.args[0]!, e.args[1]!]
      // Keys compare by their types' equality, so both sides need the same hash: same type, or integers.
      const alike = x.type === y.type || (isInteger(x.type) && isInteger(y.type)) || (isText(x.type) && isText(y.type))
      if (operator?.canHash && alike && relationsIn(x).size > 0 && relationsIn(y).size > 0) {
        if (within(x, outer) && within(y, inner)) {
          keys.outer.push(x)
          keys.inner.push(y)
          continue
        }
        if (within(y, outer) && within(x, inner)) {
          keys.outer.push(y)
          keys.inner.push(x)
          continue
        }
      }
    }
    keys.rest.push(e)
  }
  return keys
}
const isInteger = (type: number): boolean =>
  type === OID.int2 || type === OID.int4 || type === OID.int8 || type === OID.oid
const isText = (type: number): boolean => type === OID.text || type === OID.varchar || type === OID.name

/** The cheapest join of a planned outer side with a member. */
function joinPair(
  c: JoinContext,
  outer: Path,
  member: Member,
  between: readonly Expression[],
  join: PlanJoin,
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
  nullAware: boolean,
): Path {
  const all = union(outer.relations, member.relations)
  const keepsInner = join !== 'semi' && join !== 'anti'
  const candidates: Path[] = []
  const lateral = [...member.needs].some((need) => !available.has(need))
  const shareOf = (rows: number): number => {
    const matches = Math.max(1, rows)
    if (join === 'left') return Math.max(matches, rowsOf(outer))
    if (join === 'full') return matches + rowsOf(outer)
    if (join === 'semi') return Math.max(1, Math.min(rowsOf(outer), matches) * 0.5)
    if (join === 'anti') return Math.max(1, rowsOf(outer) * 0.5)
    return matches
  }
  const selectivity = between.reduce((product, e) => product * joinSelectivity(c, e), 1)

  if (!lateral) {
    const inner = cheapest(member.paths([], available, slotOf))
    const rows = shareOf(rowsOf(outer) * rowsOf(inner) * selectivity)
    const entries = keepsInner ? [...outer.layout.entries, ...inner.layout.entries] : outer.layout.entries
    const both = layoutOf([...outer.layout.entries, ...inner.layout.entries])
    const keys = hashKeys(c, between, outer.relations, member.relations)
    if (keys.outer.length > 0 && c.level.shared.enabled('enable_hashjoin')) {
      const cost =
        costOf(outer) +
        costOf(inner) +
        rowsOf(inner) * COST.row * 1.5 +
        rowsOf(outer) * COST.operator * keys.outer.length +
        rows * COST.row
      candidates.push(
        pathOf(
          {
            kind: 'hash-join',
            join,
            outer: outer.plan,
            inner: inner.plan,
            outerKeys: keys.outer.map((e) => c.level.lower(e, outer.layout, slotOf)),
            innerKeys: keys.inner.map((e) => c.level.lower(e, inner.layout, slotOf)),
            on: conjunction(keys.rest.map((e) => c.level.lower(e, both, slotOf))),
            nullAware,
          },
          entries,
          rows,
          costOf(inner),
          cost,
          all,
        ),
      )
    }
    if (!nullAware || candidates.length === 0) {
      const cost =
        costOf(outer) +
        costOf(inner) +
        rowsOf(outer) * rowsOf(inner) * COST.operator * Math.max(1, between.length) +
        rows * COST.row +
        (c.level.shared.enabled('enable_nestloop') ? 0 : 1e10)
      candidates.push(
        pathOf(
          {
            kind: 'nested-loop',
            join,
            outer: outer.plan,
            inner: inner.plan,
            params: [],
            on: conjunction(between.map((e) => c.level.lower(e, both, slotOf))),
          },
          entries,
          rows,
          0,
          cost,
          all,
          join === 'full' ? [] : outer.order,
        ),
      )
    }
  }
  if (join !== 'full' && !nullAware && (member.base || lateral) && (between.length > 0 || lateral)) {
    // The inner side runs once for each outer row, reading it through slots.
    const params: { slot: number; expression: Expression; source: Expression }[] = []
    const slots = (e: Expression): Expression => {
      if (e.kind === 'var' && outer.layout.find(e) < 0) return slotOf(e)
      const known = params.find((param) => sameVar(param.source, e))
      const slot = known?.slot ?? c.level.newSlot()
      if (known === undefined) params.push({ slot, expression: c.level.lower(e, outer.layout), source: e })
      return {
        kind: 'outer',
        slot,
        type: e.type,
        typmod: e.typmod,
        ...(e.collation === undefined ? {} : { collation: e.collation }),
      }
    }
    const paths = member
      .paths(between, union(available, outer.relations), slots)
      .filter((path) => lateral || path.plan.kind === 'index-scan' || path.plan.kind === 'virtual-scan')
    if (paths.length > 0) {
      const inner = cheapest(paths)
      const rows = shareOf(lateral ? rowsOf(outer) * rowsOf(inner) : rowsOf(outer) * rowsOf(inner))
      const entries = keepsInner ? [...outer.layout.entries, ...inner.layout.entries] : outer.layout.entries
      const cost =
        costOf(outer) +
        rowsOf(outer) * (costOf(inner) + COST.row) +
        (c.level.shared.enabled('enable_nestloop') || lateral ? 0 : 1e10)
      candidates.push(
        pathOf(
          {
            kind: 'nested-loop',
            join,
            outer: outer.plan,
            inner: inner.plan,
            params: params.map(({ slot, expression }) => ({ slot, expression })),
            on: undefined,
          },
          entries,
          rows,
          0,
          cost,
          all,
          outer.order,
        ),
      )
    }
  }
  return cheapest(candidates)
}

const sameVar = (x: Expression, y: Expression): boolean =>
  x.kind === 'var' && y.kind === 'var' && x.relation === y.relation && x.column === y.column && x.level === y.level

function joinSelectivity(c: JoinContext, e: Expression): number {
  if (
    e.kind === 'call' &&
    e.operator !== undefined &&
    e.args.length === 2 &&
    c.level.shared.catalog.operator(e.operator)?.restriction === 'eqsel'
  ) {
    const distinct = (side: Expression): number => {
      const relation = [...relationsIn(side)][0]
      const source = relation === undefined ? undefined : c.relations[relation]
      const rows = source?.kind === 'table' ? c.estimator.rowsOf(source.oid) : 1000
      return c.estimator.distinct(side, c.relations, rows)
    }
    return 1 / Math.max(1, distinct(e.args[0]!), distinct(e.args[1]!))
  }
  return c.estimator.selectivity(e, c.relations)
}

/** EXISTS and IN as joins, after the pool: outer rows with (or without) a match. */
function semiJoin(
  c: JoinContext,
  outer: Path,
  semi: SemiJoin,
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
): Path {
  const inside = new Set<number>()
  for (const item of semi.inner) relationsOf(item, inside)
  const own = semi.on.filter((e) => within(e, inside) && relationsIn(e).size > 0)
  const between = semi.on.filter((e) => !own.includes(e))
  const member: Member = {
    relations: inside,
    needs: NONE,
    base: semi.inner.length === 1 && semi.inner[0]!.kind === 'relation',
    paths: (conditions, reachable, slots) => {
      const members: Member[] = []
      const pooled = [...own, ...conditions]
      for (const item of semi.inner) flatten(c, item, members, pooled)
      return joinPool(c, members, pooled, [], reachable, slots)
    },
  }
  const path = joinPair(c, outer, member, between, semi.join, available, slotOf, semi.nullAware)
  return { ...path, relations: outer.relations }
}
