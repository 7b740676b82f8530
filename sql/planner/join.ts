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
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { COST, DISABLED, type Estimator } from './estimate.ts'
import { layoutOf } from './layout.ts'
import type { Level } from './level.ts'
import { costOf, type Order, type Path, pathOf, rowsOf, satisfies } from './path.ts'
import { collectRelations, conjunction, conjuncts, isVolatile, relationsIn, relationsInQuery } from './scan.ts'

const POOL_MEMBERS_MAX = 28 // sets of members are bits of one number
const FIRST_PASS = 0.01 // what of a pass over a nested loop's inner side the first one saves
const COST_TIE = 1e-9 // costs nearer to each other than this are the same
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
  /** Inner sides that read the outer row through slots, by the conditions they answer: made once for all join orders. */
  readonly inner?: Map<string, SlotInner | undefined>
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

/** Rows that come by distance, through joins that keep the order of their outer side. */
export function isNearest(path: Path): boolean {
  if (path.order.length === 0) return false
  for (let plan = path.plan; ; ) {
    if (plan.kind === 'vector-scan') return true
    if (plan.kind === 'nested-loop') plan = plan.outer
    else if (plan.kind === 'filter' || plan.kind === 'project') plan = plan.input
    else return false
  }
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
  let paths: Path[]
  if (members.length === 1) paths = members[0]!.paths(own(members[0]!), available, slotOf)
  else {
    const pool = poolOf(c, members, usable, own, available, slotOf)
    paths = [members.length <= DP_RELATIONS ? bySubsets(pool) : greedily(pool), ...nearestFirst(pool)]
  }
  if (semis.length > 0) {
    const joined = (from: Path, ordered: boolean): Path =>
      semis.reduce((path, semi) => semiJoin(c, path, semi, available, slotOf, ordered), from)
    paths = [joined(cheapest(paths), false), ...paths.filter(isNearest).map((path) => joined(path, true))]
  }
  const top = [...floating, ...volatile]
  return top.length === 0 ? paths : paths.map((path) => filtered(c, path, top, slotOf))
}

/** From the smallest member on, the smallest of those that a condition joins to what stands before; needs are met by then. */
function connectedFirst(
  members: readonly Member[],
  conditions: readonly Expression[],
  rows: (member: Member) => number,
): Member[] {
  const bySize = members.map((member) => ({ member, rows: rows(member) })).sort((a, b) => a.rows - b.rows)
  const sets = conditions.map(relationsIn)
  const inside = new Set<number>()
  const pooled = new Set(members.flatMap((member) => [...member.relations]))
  const isReady = ({ needs }: Member): boolean => [...needs].every((each) => inside.has(each) || !pooled.has(each))
  const isJoined = ({ relations }: Member): boolean =>
    sets.some((set) => [...set].some((each) => inside.has(each)) && [...set].some((each) => relations.has(each)))
  const ordered: Member[] = []
  while (bySize.length > 0) {
    const joined = bySize.findIndex(({ member }) => isReady(member) && isJoined(member))
    const next = joined === -1 ? bySize.findIndex(({ member }) => isReady(member)) : joined
    invariant(next !== -1, 'a LATERAL reference cannot be met')
    const { member } = bySize[next]!
    bySize.splice(next, 1)
    ordered.push(member)
    for (const relation of member.relations) inside.add(relation)
  }
  return ordered
}

/** Volatile functions (not mere subqueries) must see each joined row once. */
const isVolatileCall = (c: JoinContext, e: Expression): boolean =>
  some(e, (node) => node.kind === 'call' && c.level.shared.catalog.function(node.function)?.volatility === 'v')

/** A pool with its conditions as sets of members: bit i stands for member i. */
interface Pool {
  readonly c: JoinContext
  readonly members: readonly PoolMember[]
  readonly conditions: readonly { readonly e: Expression; readonly set: number }[]
  readonly available: ReadonlySet<number>
  readonly slotOf: (e: Expression) => Expression
}
/** A member with its own conditions inside, and what it needs as a set of members. */
interface PoolMember extends Member {
  readonly bit: number
  readonly neededBits: number
}

function poolOf(
  c: JoinContext,
  members: readonly Member[],
  conditions: readonly Expression[],
  own: (member: Member) => Expression[],
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
): Pool {
  const bitOf = new Map<number, number>()
  members.forEach((member, i) => {
    for (const relation of member.relations) bitOf.set(relation, 1 << i)
  })
  const bitsOf = (relations: ReadonlySet<number>): number => {
    let set = 0
    for (const relation of relations) if (!available.has(relation)) set |= bitOf.get(relation) ?? 0
    return set
  }
  return {
    c,
    available,
    slotOf,
    members: members.map((member, i): PoolMember => {
      const mine = own(member)
      return {
        ...member,
        bit: 1 << i,
        neededBits: bitsOf(member.needs),
        paths: (more, reachable, slots) =>
          member.paths(more.length === 0 ? mine : [...mine, ...more], reachable, slots),
        inner: new Map(),
      }
    }),
    conditions: conditions
      .map((e) => ({ e, set: bitsOf(relationsIn(e)) }))
      .filter(({ set }) => (set & (set - 1)) !== 0),
  }
}

/** The conditions that can be asked first when a member joins these others. */
function conditionsBetween(pool: Pool, outer: number, bit: number): Expression[] {
  const found: Expression[] = []
  for (const { e, set } of pool.conditions) if ((set & bit) !== 0 && (set & ~(outer | bit)) === 0) found.push(e)
  return found
}

/** What a member joined to others costs; the plan is made for the cheapest only. */
function bestJoin(pool: Pool, outer: Path, outerSet: number, member: PoolMember, ordered = false): JoinOption {
  const between = conditionsBetween(pool, outerSet, member.bit)
  return joinOption(pool.c, outer, member, between, 'inner', pool.available, pool.slotOf, false, ordered)
}

/** All members joined to one whose rows come by distance, so that they go on doing so. */
function nearestFirst(pool: Pool): Path[] {
  return pool.members
    .filter((member) => member.neededBits === 0)
    .flatMap((member) => {
      const others = new Set(pool.members.filter((other) => other !== member))
      return member
        .paths([], pool.available, pool.slotOf)
        .filter(isNearest)
        .map((path) => joinOthers(pool, path, member.bit, new Set(others), true))
    })
}

function bySubsets(pool: Pool): Path {
  const { members } = pool
  const n = members.length
  const all = (1 << n) - 1
  const best: (Path | undefined)[] = new Array<Path | undefined>(1 << n)
  for (const member of members) {
    if (member.neededBits === 0) best[member.bit] = cheapest(member.paths([], pool.available, pool.slotOf))
  }
  // First only joins that some condition asks for; products where that leads nowhere.
  for (const products of [false, true]) {
    for (let set = 3; set <= all; set++) {
      if (best[set] !== undefined || (set & (set - 1)) === 0) continue
      let found: JoinOption | undefined
      // Of orders that cost the same FROM's own is kept: the last member is tried as the inner side first.
      for (let i = n - 1; i >= 0; i--) {
        const member = members[i]!
        if ((set & member.bit) === 0) continue
        const rest = set & ~member.bit
        const outer = best[rest]
        if (outer === undefined || (member.neededBits & ~rest) !== 0) continue
        if (!products && (member.neededBits & rest) === 0 && !isConnected(pool, rest, member.bit)) continue
        const option = bestJoin(pool, outer, rest, member)
        if (found === undefined || option.cost < found.cost * (1 - COST_TIE)) found = option
      }
      best[set] = found?.build()
    }
    if (best[all] !== undefined) break
  }
  const path = best[all]
  invariant(path !== undefined, 'every order of joins has an unmet LATERAL reference')
  return path
}

function isConnected(pool: Pool, outer: number, bit: number): boolean {
  for (const { set } of pool.conditions)
    if ((set & bit) !== 0 && (set & outer) !== 0 && (set & ~(outer | bit)) === 0) return true
  return false
}

/** From the smallest member on, each time the one that joins most cheaply; those without a condition last. */
function greedily(pool: Pool): Path {
  const left = new Set(pool.members)
  let path: Path | undefined
  let inside = 0
  for (const member of pool.members) {
    if (member.neededBits !== 0) continue
    const start = cheapest(member.paths([], pool.available, pool.slotOf))
    if (path !== undefined && rowsOf(path) <= rowsOf(start)) continue
    path = start
    inside = member.bit
  }
  invariant(path !== undefined, 'a LATERAL reference cannot be met')
  for (const member of left) if (member.bit === inside) left.delete(member)
  return joinOthers(pool, path, inside, left, false)
}

/** The cheapest of those that are left, one after the other. `ordered`: only by joins that keep the order of `start`. */
function joinOthers(pool: Pool, start: Path, startSet: number, left: Set<PoolMember>, ordered: boolean): Path {
  let path = start
  let inside = startSet
  while (left.size > 0) {
    let choice: { member: PoolMember; option: JoinOption; connected: boolean } | undefined
    for (const member of left) {
      if ((member.neededBits & ~inside) !== 0) continue
      const connected = member.neededBits !== 0 || isConnected(pool, inside, member.bit)
      if (choice?.connected === true && !connected) continue
      const option = bestJoin(pool, path, inside, member, ordered)
      if (choice === undefined || (connected && !choice.connected) || option.cost < choice.option.cost) {
        choice = { member, option, connected }
      }
    }
    invariant(choice !== undefined, 'a LATERAL reference cannot be met')
    path = choice.option.build()
    inside |= choice.member.bit
    left.delete(choice.member)
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

/** A way to join, its plan not yet made. */
interface JoinOption {
  readonly cost: number
  build(): Path
}

/** A member's path with conditions answered through slots, and which outer values the slots hold. */
interface SlotInner {
  readonly path: Path
  readonly params: readonly { readonly slot: number; readonly source: Expression }[]
}

const conditionNumbers = new WeakMap<Expression, number>()
let conditionCount = 0
const numberOf = (e: Expression): number => {
  let number = conditionNumbers.get(e)
  if (number === undefined) conditionNumbers.set(e, (number = ++conditionCount))
  return number
}

function slotInner(
  c: JoinContext,
  member: Member,
  between: readonly Expression[],
  outer: Path,
  lateral: boolean,
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
): SlotInner | undefined {
  const key = member.inner === undefined ? '' : between.map(numberOf).join(',')
  if (member.inner?.has(key)) return member.inner.get(key)
  const params: { slot: number; source: Expression }[] = []
  const slots = (e: Expression): Expression => {
    if (e.kind === 'var' && available.has(e.relation)) return slotOf(e)
    let known = params.find((param) => sameVar(param.source, e))
    if (known === undefined) params.push((known = { slot: c.level.newSlot(), source: e }))
    const { type, typmod, collation } = e
    return { kind: 'outer', slot: known.slot, type, typmod, ...(collation === undefined ? {} : { collation }) }
  }
  const reachable = new Set([...available, ...outer.relations])
  for (const e of between) for (const each of relationsIn(e)) if (!member.relations.has(each)) reachable.add(each)
  const paths = member
    .paths(between, reachable, slots)
    .filter((path) => lateral || path.plan.kind === 'index-scan' || path.plan.kind === 'virtual-scan')
  const found = paths.length === 0 ? undefined : { path: cheapest(paths), params }
  member.inner?.set(key, found)
  return found
}

/** The cheapest join of a planned outer side with a member. */
const joinPair = (...args: Parameters<typeof joinOption>): Path => joinOption(...args).build()

function joinOption(
  c: JoinContext,
  outer: Path,
  member: Member,
  between: readonly Expression[],
  join: PlanJoin,
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
  nullAware: boolean,
  /** Only joins that keep the outer side's order. */
  ordered = false,
): JoinOption {
  const options: JoinOption[] = []
  const lateral = [...member.needs].some((need) => !available.has(need))
  const selectivity = between.reduce((product, e) => product * joinSelectivity(c, e), 1)
  if (!lateral) {
    const paths = member.paths([], available, slotOf)
    const inner = cheapest(paths)
    const pair: JoinedPair = {
      c,
      outer,
      inner,
      between,
      join,
      slotOf,
      nullAware,
      relations: union(outer.relations, member.relations),
      keys: hashKeys(c, between, outer.relations, member.relations),
      rows: joinedRows(join, rowsOf(outer), rowsOf(outer) * rowsOf(inner) * selectivity),
    }
    if (
      join === 'full' &&
      between.length > 0 &&
      pair.keys.outer.length === 0 &&
      !between.some((e) => isMergeable(c, e))
    ) {
      throw sqlError('0A000', 'FULL JOIN is only supported with merge-joinable or hash-joinable join conditions')
    }
    if (pair.keys.outer.length > 0 && !ordered) options.push(...hashOptions(pair), ...mergeOptions(pair, paths))
    if (!nullAware || options.length === 0) options.push(loopOption(pair, ordered))
  }
  if (join !== 'full' && !nullAware && (member.base || lateral) && (between.length > 0 || lateral)) {
    const inner = slotInner(c, member, between, outer, lateral, available, slotOf)
    if (inner !== undefined) options.push(slotOption(c, outer, member, inner, join, slotOf, lateral, ordered))
  }
  invariant(options.length > 0, 'no way to join')
  return options.reduce((best, option) => (option.cost < best.cost ? option : best))
}

interface JoinedPair {
  readonly c: JoinContext
  readonly outer: Path
  readonly inner: Path
  readonly between: readonly Expression[]
  readonly join: PlanJoin
  readonly slotOf: (e: Expression) => Expression
  readonly nullAware: boolean
  readonly relations: ReadonlySet<number>
  readonly keys: HashKeys
  readonly rows: number
}

function joinedRows(join: PlanJoin, outerRows: number, found: number): number {
  const matches = Math.max(1, found)
  switch (join) {
    case 'left':
      return Math.max(matches, outerRows)
    case 'full':
      return matches + outerRows
    case 'semi':
      return Math.max(1, Math.min(outerRows, matches) * 0.5)
    case 'anti':
      return Math.max(1, outerRows * 0.5)
    default:
      return matches
  }
}

const penalty = (c: JoinContext, setting: string): number => (c.level.shared.enabled(setting) ? 0 : DISABLED)

const joinedEntries = (pair: JoinedPair): readonly Expression[] =>
  pair.join === 'semi' || pair.join === 'anti'
    ? pair.outer.layout.entries
    : [...pair.outer.layout.entries, ...pair.inner.layout.entries]

function keyedJoin(
  pair: JoinedPair,
  kind: 'hash-join' | 'merge-join',
  inner: Path,
  cost: number,
  order: readonly Order[],
): Path {
  const { c, outer, join, keys, slotOf, nullAware } = pair
  const both = layoutOf([...outer.layout.entries, ...inner.layout.entries])
  const node = {
    kind,
    join,
    outer: outer.plan,
    inner: inner.plan,
    outerKeys: keys.outer.map((e) => c.level.lower(e, outer.layout, slotOf)),
    innerKeys: keys.inner.map((e) => c.level.lower(e, inner.layout, slotOf)),
    on: conjunction(keys.rest.map((e) => c.level.lower(e, both, slotOf))),
    nullAware,
  } as const
  const startup = kind === 'hash-join' ? costOf(inner) : 0
  return pathOf(node, joinedEntries({ ...pair, inner }), pair.rows, startup, cost, pair.relations, order)
}

function hashOptions(pair: JoinedPair): JoinOption[] {
  const { c, outer, inner, keys, rows } = pair
  const cost =
    costOf(outer) +
    costOf(inner) +
    rowsOf(inner) * COST.row * 1.5 +
    rowsOf(outer) * COST.operator * keys.outer.length +
    rows * COST.row +
    penalty(c, 'enable_hashjoin')
  return [{ cost, build: () => keyedJoin(pair, 'hash-join', inner, cost, []) }]
}

/** Both sides come in the order of the one key. */
function mergeOptions(pair: JoinedPair, innerPaths: readonly Path[]): JoinOption[] {
  const { c, outer, keys, rows, join, nullAware } = pair
  const [outerKey, innerKey] = [keys.outer[0]!, keys.inner[0]!]
  if (keys.outer.length !== 1 || nullAware || outerKey.type !== innerKey.type || join === 'full' || join === 'right')
    return []
  if (outer.order.length === 0 || !satisfies(outer.order, [ascending(outerKey)])) return []
  return innerPaths.flatMap((inner) => {
    if (inner.order.length === 0 || !satisfies(inner.order, [ascending(innerKey)])) return []
    const cost =
      costOf(outer) +
      costOf(inner) +
      (rowsOf(outer) + rowsOf(inner)) * COST.operator * 2 +
      rows * COST.row +
      penalty(c, 'enable_mergejoin')
    return [{ cost, build: () => keyedJoin(pair, 'merge-join', inner, cost, outer.order) }]
  })
}
const ascending = (expression: Expression): Order => ({ expression, descending: false, nullsFirst: false })

function loopOption(pair: JoinedPair, ordered: boolean): JoinOption {
  const { c, outer, inner, between, join, slotOf, rows, relations } = pair
  // Of two products the one with fewer passes over its inner side is a little cheaper.
  const passes = rowsOf(outer) * Math.max(1, between.length) - FIRST_PASS
  const cost =
    costOf(outer) +
    costOf(inner) +
    passes * rowsOf(inner) * COST.operator +
    rows * COST.row +
    penalty(c, 'enable_nestloop')
  const build = (): Path => {
    const both = layoutOf([...outer.layout.entries, ...inner.layout.entries])
    const on = conjunction(between.map((e) => c.level.lower(e, both, slotOf)))
    const node = { kind: 'nested-loop', join, outer: outer.plan, inner: inner.plan, params: [], on } as const
    // The inner side is read once before the first row comes.
    const startup = ordered ? outer.plan.estimate.startupCost + costOf(inner) : 0
    return pathOf(node, joinedEntries(pair), rows, startup, cost, relations, join === 'full' ? [] : outer.order)
  }
  return { cost, build }
}

/** The inner side runs once for each outer row, reading it through slots. */
function slotOption(
  c: JoinContext,
  outer: Path,
  member: Member,
  inner: SlotInner,
  join: PlanJoin,
  slotOf: (e: Expression) => Expression,
  lateral: boolean,
  ordered: boolean,
): JoinOption {
  const { path, params } = inner
  const rows = joinedRows(join, rowsOf(outer), rowsOf(outer) * rowsOf(path))
  const cost = costOf(outer) + rowsOf(outer) * (costOf(path) + COST.row) + (lateral ? 0 : penalty(c, 'enable_nestloop'))
  const build = (): Path => {
    const keepsInner = join !== 'semi' && join !== 'anti'
    const entries = keepsInner ? [...outer.layout.entries, ...path.layout.entries] : outer.layout.entries
    const filled = params.map(({ slot, source }) => ({ slot, expression: c.level.lower(source, outer.layout, slotOf) }))
    const node = {
      kind: 'nested-loop',
      join,
      outer: outer.plan,
      inner: path.plan,
      params: filled,
      on: undefined,
    } as const
    const startup = ordered ? outer.plan.estimate.startupCost : 0
    return pathOf(node, entries, rows, startup, cost, union(outer.relations, member.relations), outer.order)
  }
  return { cost, build }
}

const sameVar = (x: Expression, y: Expression): boolean =>
  x.kind === 'var' && y.kind === 'var' && x.relation === y.relation && x.column === y.column && x.level === y.level

const isMergeable = (c: JoinContext, e: Expression): boolean =>
  e.kind === 'call' && e.operator !== undefined && c.level.shared.catalog.operator(e.operator)?.canMerge === true

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
