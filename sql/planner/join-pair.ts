/**
 * Two sides and one join: the cheapest of hash join, merge join, nested loop over an index, and plain nested loop. The plan is
 * made for the one that is taken; what it would cost is known before.
 */
import { invariant } from '../../storage/keys/invariant.ts'
import type { Expression } from '../plan/expression.ts'
import type { PlanJoin } from '../plan/plan.ts'
import type { Relation } from '../plan/query.ts'
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { COST, DISABLED, type Estimator } from './estimate.ts'
import { layoutOf } from './layout.ts'
import type { Level } from './level.ts'
import { costOf, type Order, type Path, pathOf, rowsOf, satisfies } from './path.ts'
import { conjunction, relationsIn } from './scan.ts'

const FIRST_PASS = 0.01 // what of a pass over a nested loop's inner side the first one saves

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
export interface Member {
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

export function within(e: Expression, set: ReadonlySet<number>): boolean {
  for (const each of relationsIn(e)) if (!set.has(each)) return false
  return true
}
export const union = (x: ReadonlySet<number>, y: ReadonlySet<number>): Set<number> => new Set([...x, ...y])

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

export const NONE: ReadonlySet<number> = new Set()
export const noSlots = (e: Expression): Expression => {
  invariant(false, `no row gives ${e.kind}`)
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
export interface JoinOption {
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
export const joinPair = (...args: Parameters<typeof joinOption>): Path => joinOption(...args).build()

export function joinOption(
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
