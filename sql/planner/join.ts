/**
 * FROM: its inner joins are one pool of relations and conditions (join-order.ts finds their order, join-pair.ts joins two
 * sides). An outer join is one member of its pool, planned inside first; EXISTS and IN of WHERE are joined after the pool.
 */
import type { Expression } from '../plan/expression.ts'
import type { FromItem, Relation } from '../plan/query.ts'
import { some } from '../plan/walk.ts'
import { COST } from './estimate.ts'
import { connectedFirst, orderedPaths, POOL_MEMBERS_MAX } from './join-order.ts'
import {
  cheapest,
  filtered,
  isNearest,
  type JoinContext,
  joinPair,
  type Member,
  NONE,
  noSlots,
  union,
  within,
} from './join-pair.ts'
import { layoutOf } from './layout.ts'
import { type Path, pathOf, rowsOf } from './path.ts'
import { collectRelations, conjunction, conjuncts, isVolatile, relationsIn, relationsInQuery } from './scan.ts'

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
    conditions.push(...foldedConjuncts(c, item.on))
    return
  }
  members.push(outerJoinMember(c, item))
}

/** The parts of a join's condition, constants folded; TRUE is none. */
const foldedConjuncts = (c: JoinContext, on: Expression | undefined): Expression[] =>
  on === undefined ? [] : conjuncts(c.level.shared.fold(on)).filter((e) => !(e.kind === 'const' && e.value === true))

function baseMember(c: JoinContext, relation: number): Member {
  const source = c.relations[relation]!
  // Without outer values the paths are the same for every join order that asks.
  let known: { readonly conditions: readonly Expression[]; readonly paths: Path[] } | undefined
  const inside = new Set([relation])
  return {
    relations: inside,
    needs: lateralNeeds(source, relation),
    base: true,
    paths: (conditions, available, slotOf) => {
      if (!conditions.every((e) => within(e, inside)) || lateralNeeds(source, relation).size > 0) {
        return c.scan(relation, conditions, available, slotOf)
      }
      if (known === undefined || !sameList(known.conditions, conditions)) {
        known = { conditions, paths: c.scan(relation, conditions, available, slotOf) }
      }
      return known.paths
    },
  }
}

const sameList = (x: readonly unknown[], y: readonly unknown[]): boolean =>
  x === y || (x.length === y.length && x.every((each, i) => each === y[i]))

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

function relationsOf(item: FromItem, into: Set<number> = new Set()): Set<number> {
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
    paths: (conditions, available, slotOf) => outerJoin(c, item, left, right, conditions, available, slotOf),
  }
}

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
): Path[] {
  let type = item.type
  let [outerItem, innerItem] = [item.left, item.right]
  let [outerSet, innerSet] = [left, right]
  if (type === 'right') {
    type = 'left'
    ;[outerItem, innerItem] = [innerItem, outerItem]
    ;[outerSet, innerSet] = [innerSet, outerSet]
  }
  const on = foldedConjuncts(c, item.on)
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
    return joinPool(c, members, conditions, [], available, slotOf)
  }
  const outerReach = union(outerSet, available)
  const innerReach = union(innerSet, available)
  const down = type === 'left' ? above.filter((e) => within(e, outerReach) && !isVolatile(c.level, e)) : []
  const rest = above.filter((e) => !down.includes(e))
  const innerDown =
    type === 'left' ? on.filter((e) => within(e, innerReach) && relationsIn(e).size > 0 && !isVolatile(c.level, e)) : []
  const match = on.filter((e) => !innerDown.includes(e))
  const outers = planSide(c, outerItem, down, available, slotOf)
  const inner = sideMember(c, innerItem, innerSet, innerDown)
  const join = type === 'full' ? 'full' : 'left'
  const joined = (outer: Path, ordered: boolean): Path =>
    filtered(c, joinPair(c, outer, inner, match, join, available, slotOf, false, ordered), rest, slotOf)
  const plain = joined(cheapest(outers), false)
  return join === 'full' ? [plain] : [plain, ...outers.filter(isNearest).map((outer) => joined(outer, true))]
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
  if (members.length > POOL_MEMBERS_MAX) {
    // The first ones as one member of their own.
    const size = (member: Member): number =>
      member.needs.size > 0 ? Infinity : rowsOf(cheapest(member.paths(own(member), available, slotOf)))
    const ordered = connectedFirst(members, usable, size)
    const head = ordered.slice(0, POOL_MEMBERS_MAX - 4)
    const inside = new Set(head.flatMap((member) => [...member.relations]))
    const within1 = usable.filter((e) => within(e, union(inside, available)))
    const path = cheapest(joinPool(c, head, within1, [], available, slotOf))
    const whole: Member = { relations: inside, needs: NONE, base: false, paths: () => [path] }
    const left = conditions.filter((e) => !within1.includes(e))
    return joinPool(c, [whole, ...ordered.slice(head.length)], left, semis, available, slotOf)
  }
  let paths =
    members.length === 1
      ? members[0]!.paths(own(members[0]!), available, slotOf)
      : orderedPaths(c, members, usable, own, available, slotOf)
  if (semis.length > 0) {
    const joined = (from: Path, ordered: boolean): Path =>
      semis.reduce((path, semi) => semiJoin(c, path, semi, available, slotOf, ordered), from)
    paths = [joined(cheapest(paths), false), ...paths.filter(isNearest).map((path) => joined(path, true))]
  }
  const top = [...floating, ...volatile]
  return top.length === 0 ? paths : paths.map((path) => filtered(c, path, top, slotOf))
}

/** Volatile functions (not mere subqueries) must see each joined row once. */
const isVolatileCall = (c: JoinContext, e: Expression): boolean =>
  some(e, (node) => node.kind === 'call' && c.level.shared.catalog.function(node.function)?.volatility === 'v')

/** EXISTS and IN as joins, after the pool: outer rows with (or without) a match. */
function semiJoin(
  c: JoinContext,
  outer: Path,
  semi: SemiJoin,
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
  ordered = false,
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
  const path = joinPair(c, outer, member, between, semi.join, available, slotOf, semi.nullAware, ordered)
  return { ...path, relations: outer.relations }
}
