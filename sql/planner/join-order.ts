/**
 * The order of inner joins: by dynamic programming over subsets up to DP_RELATIONS members, else greedily.
 */
import { invariant } from '../../storage/keys/invariant.ts'
import type { Expression } from '../plan/expression.ts'
import { cheapest, isNearest, type JoinContext, type JoinOption, joinOption, type Member } from './join-pair.ts'
import { type Path, rowsOf } from './path.ts'
import { relationsIn } from './scan.ts'

/** Sets of members are bits of one number. */
export const POOL_MEMBERS_MAX = 28
const COST_TIE = 1e-9 // costs nearer to each other than this are the same
const DP_RELATIONS = 9 // subsets to look at double with each; above it the order is found greedily

/** From the smallest member on, the smallest of those that a condition joins to what stands before; needs are met by then. */
export function connectedFirst(
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

/** Paths of two members or more, with the usable conditions: the cheapest order found, and those whose rows come by distance. */
export function orderedPaths(
  c: JoinContext,
  members: readonly Member[],
  conditions: readonly Expression[],
  own: (member: Member) => Expression[],
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
): Path[] {
  const pool = poolOf(c, members, conditions, own, available, slotOf)
  return [members.length <= DP_RELATIONS ? bySubsets(pool) : greedily(pool), ...nearestFirst(pool)]
}

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
