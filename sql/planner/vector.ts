/**
 * Paths through vector indexes: rows by ascending distance, for `ORDER BY v <-> $1 LIMIT k`.
 *
 *     graph       no filter: the index gives the k nearest
 *     widening    rows are taken from the graph, nearest first, and asked for the filter until k have passed:
 *                 about k / share of them
 *     gather      another index knows which rows match: their distances are computed, exactly, or the graph is asked for
 *                 them alone when they are many
 *
 * The exact way, a scan with a sort above it, is among the other paths; costs decide. Which operators an index orders by
 * comes from its operator class (pg_amop). What the estimates got wrong the executor mends (executor/vector-scan.ts).
 */
import type { IndexKey, RelationRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import { sameExpression, some } from '../plan/walk.ts'
import { COST, DISABLED, stripRelabel } from './estimate.ts'
import { impliedBy } from './implies.ts'
import { infoOf, layoutOf, ROW_KEY } from './layout.ts'
import { type Path, pathOf, type WantedOrder } from './path.ts'
import { columnCondition, conjunction, conjuncts, entriesOf, rebase, relationsIn, type ScanRequest } from './scan.ts'
import { columnsUsed } from './used.ts'
import { type Distance, distanceIn, isAscending } from './vector-order.ts'

/** What walking the graph to one more row and fetching it costs. */
const CANDIDATE = COST.seek * 0.6 + COST.row + COST.indexRow + 0.05
/** A search's beginning, and what each doubling of the index adds. */
const SEARCH = 2
const DOUBLING = 0.3
/** A row's key read from another index, and its distance computed. */
const GATHERED = COST.row + COST.indexRow + COST.operator * 2
/** An index that names more of the rows is no quicker than a scan. */
const OTHERWISE_SHARE = 0.25

type Call = Extract<Expression, { kind: 'call' }>
type Var = Extract<Expression, { kind: 'var' }>
type IndexScan = Extract<Plan, { kind: 'index-scan' }>

interface Source {
  readonly row: RelationRow
  readonly alias: string
  readonly wanted: readonly number[]
  readonly withKey: boolean
  readonly total: number
  /** Paths through other indexes. */
  readonly others: readonly Path[]
}

/** `others`: the paths to the same rows that there are without vector indexes. */
export function vectorPaths(r: ScanRequest, others: readonly Path[]): Path[] {
  const { order } = r
  const relation = r.relations[r.relation]!
  const { catalog } = r.level.shared
  const row = relation.kind === 'table' ? catalog.relation(relation.oid) : undefined
  if (order === undefined || row === undefined) return []
  const indexes = row.indexes.flatMap((oid) => {
    const index = catalog.relation(oid)
    const method = index?.index?.method
    const isRead = index?.index?.valid === true && index.index.unread === undefined
    return (method === 'hnsw' || method === 'ivfflat') && isRead ? [index] : []
  })
  if (indexes.length === 0) return []
  // Everything in order is what a sort does best.
  if (order.rows === undefined && r.level.shared.enabled('enable_seqscan')) return []
  if (r.conditions.some((e) => [...relationsIn(e)].some((each) => each !== r.relation))) return []
  const wanted = [...r.wanted].filter((column) => column !== ROW_KEY).sort((x, y) => x - y)
  const withKey = r.wanted.has(ROW_KEY)
  const source: Source = {
    row,
    alias: relation.alias,
    wanted,
    withKey,
    total: r.estimator.rowsOf(row.oid),
    others,
  }
  return indexes.flatMap((index) => pathsOf(r, source, index, order))
}

/** Nothing of this row is in it, and it stays the same all through the scan. */
function isFixed(r: ScanRequest, e: Expression): boolean {
  if (relationsIn(e).size > 0) return false
  return !some(e, (node) => {
    if (node.kind === 'call') return r.level.shared.catalog.function(node.function)?.volatility === 'v'
    return node.kind === 'aggregate' || node.kind === 'window' || node.kind === 'grouping'
  })
}

function isKey(r: ScanRequest, key: IndexKey, e: Expression): boolean {
  const bare = stripRelabel(e)
  if (key.expression === undefined)
    return bare.kind === 'var' && bare.level === 0 && bare.relation === r.relation && bare.column === key.column
  const indexed = stripRelabel(rebase(key.expression, r.relation))
  return sameExpression(indexed, bare) || sameExpression(r.level.shared.fold(indexed), bare)
}

/** The two sides of a distance over this index: its value and what it is compared with. */
function sides(
  r: ScanRequest,
  key: IndexKey,
  e: Call,
): { readonly value: Expression; readonly query: Expression } | undefined {
  const { catalog } = r.level.shared
  const family = catalog.opclass(key.opclass)?.family
  const [left, right] = e.args
  if (e.operator === undefined || family === undefined || left === undefined || right === undefined) return undefined
  if (catalog.isOrderingOperator(family, e.operator) && isKey(r, key, left) && isFixed(r, right))
    return { value: left, query: right }
  const turned = catalog.operator(e.operator)?.commutator
  if (turned !== undefined && catalog.isOrderingOperator(family, turned) && isKey(r, key, right) && isFixed(r, left))
    return { value: right, query: left }
  return undefined
}

function pathsOf(r: ScanRequest, source: Source, index: RelationRow, order: WantedOrder): Path[] {
  const info = index.index!
  const { level, estimator, relations } = r
  const { catalog } = level.shared
  const first = order.order[0]
  const key = info.keys.at(-1)!
  if (first === undefined) return []
  const fixed = (e: Expression): boolean => isFixed(r, e)
  const ours = (call: Call): boolean => sides(r, key, call) !== undefined
  // As it is written, so that those above find it in the row; only where that hides constants, folded.
  const written = distanceIn(first.expression, catalog, ours, fixed)
  const distance = written ?? distanceIn(level.shared.fold(first.expression), catalog, ours, fixed)
  if (distance === undefined || !isAscending(first, distance)) return []
  const { value, query } = sides(r, key, distance.call)!

  const parts = conjuncts(info.predicate).map((e) => level.shared.fold(rebase(e, r.relation)))
  if (!parts.every((part) => r.conditions.some((e) => impliedBy(catalog, e, part)))) return []
  const tenants = tenantValues(r, info.keys.slice(0, -1))
  if (tenants === undefined) return []

  const within = r.conditions.filter((e) => isWithin(r, e, distance, key))
  const others = level.shared.enabled('enable_seqscan')

  const filters = r.conditions.filter((e) => !within.includes(e) && !parts.some((part) => sameExpression(part, e)))
  const share = (list: readonly Expression[]): number =>
    list.reduce((product, e) => product * estimator.selectivity(e, relations), 1)
  const inPart = Math.max(share(parts), 1e-9)
  const entries = Math.max(1, source.total * inPart * share(tenants.map((each) => each.source)))
  const stronger = filters.filter((e) => parts.some((part) => impliedBy(catalog, e, part)))
  const asked = filters.filter((e) => !tenants.some((each) => each.source === e))
  const kept = Math.min(1, share(asked) / (stronger.length > 0 ? inPart : 1))
  const near = share(within)

  // What hides constants is folded here and not above: there the value is computed again.
  const beside = written === undefined ? r.wanted : r.beside(written.call, r.conditions)
  const entriesFor = (list: readonly number[], withKey: boolean): Expression[] =>
    entriesOf(relations[r.relation]!, r.relation, list, withKey)
  const outside = (e: Expression): Expression => level.lower(e, layoutOf([]), r.slotOf)
  /** `gather`: an index whose bounds stand for all conditions but `rest`, which its rows are asked for. */
  const scan = (gather: IndexScan | undefined, rest: readonly Expression[]) => {
    const inRest = columnsUsed(undefined, [rest]).get(r.relation)
    const isMeasured = (column: number): boolean => !beside.has(column) && inRest?.has(column) !== true
    const wanted = source.wanted.filter((column) => !isMeasured(column))
    const measured = entriesFor(source.wanted.filter(isMeasured), false)
    const columns = entriesFor(wanted, false)
    const row = entriesFor(wanted, source.withKey)
    const out = [...columns, distance.call, ...row.slice(columns.length)]
    const measuring = layoutOf([...columns, ...measured])
    const full = layoutOf(out)
    const over = (e: Expression): Expression => level.lower(e, measuring, r.slotOf)
    const asked = filters.map((e) => ({ e, lowered: over(e) }))
    const node = {
      kind: 'vector-scan',
      table: source.row.oid,
      alias: source.alias,
      wanted,
      withKey: source.withKey,
      filter: conjunction(asked.map(({ lowered }) => lowered)),
      rest: conjunction(asked.filter(({ e }) => rest.includes(e)).map(({ lowered }) => lowered)),
      index: index.oid,
      query: outside(query),
      measured: measured.map((e) => ({ attribute: (e as Var).column, info: infoOf(e) })),
      value: over(value),
      distance: over(distance.call),
      limit: order.limit,
      offset: order.offset,
      ties: order.withTies || order.order.length > 1,
      within: conjunction(within.map((e) => level.lower(e, full, r.slotOf))),
      predicate: conjunction(parts.map(over)),
      tenant: tenants.map((each) => outside(each.value)),
      gather,
      otherwise: undefined,
      others,
      nulls: first.nullsFirst ? 'first' : 'last',
      nans: distance.turned ? 'first' : 'last',
      share: kept,
      entries,
    } as const
    return { node, out }
  }
  const disabled = level.shared.enabled('enable_indexscan') ? 0 : DISABLED
  const inside = new Set([r.relation])
  const candidates = entries * near
  const start = disabled + SEARCH + DOUBLING * Math.log2(Math.max(2, entries))
  const gathers = source.others.flatMap(({ plan, found, rest }) =>
    plan.kind !== 'index-scan' || plan.unique || plan.reverse || found === undefined || rest === undefined
      ? []
      : [{ plan, found, rest }],
  )
  const fewest = gathers.reduce<(typeof gathers)[number] | undefined>(
    (best, each) => (each.found < (best?.found ?? entries * OTHERWISE_SHARE) ? each : best),
    undefined,
  )
  const walk = scan(undefined, filters)
  const widening = { ...walk.node, otherwise: fewest?.plan }
  const paths = [pathOf(widening, walk.out, candidates * kept, start, start + candidates * CANDIDATE, inside, [first])]
  for (const { plan, found, rest } of gathers) {
    const gathered = disabled + SEARCH + found * GATHERED
    const rows = Math.max(1, Math.min(found, entries * kept) * near)
    const total = gathered + found * near * CANDIDATE
    const { node, out } = scan(plan, rest)
    paths.push(pathOf(node, out, rows, gathered, total, inside, [first]))
  }
  return paths
}

interface TenantValue {
  readonly value: Expression
  readonly source: Expression
}
/** One equality for each of the leading columns; undefined: one is missing. */
function tenantValues(r: ScanRequest, keys: readonly IndexKey[]): TenantValue[] | undefined {
  const found: TenantValue[] = []
  for (const key of keys) {
    const family = r.level.shared.catalog.opclass(key.opclass)?.family
    const source = r.conditions.find((e) => {
      const match = columnCondition(r, e)
      return (
        match?.strategy === 3 && match.value.type === key.type && isKey(r, key, match.column) && fits(r, match, family)
      )
    })
    if (source === undefined) return undefined
    found.push({ source, value: columnCondition(r, source)!.value })
  }
  return found
}
/** Equality as the column's type has it; the class of a leading column need not be a b-tree's. */
const fits = (
  r: ScanRequest,
  match: { readonly family: number; readonly column: Expression },
  family: number | undefined,
): boolean => match.family === family || match.family === r.level.shared.catalog.btree(match.column.type)?.family

/** A condition that holds up to some distance: `v <-> $1 < 0.5`, `1 - (v <=> $1) > 0.8`. */
function isWithin(r: ScanRequest, e: Expression, distance: Distance, key: IndexKey): boolean {
  if (e.kind !== 'call' || e.operator === undefined || e.args.length !== 2) return false
  const { catalog } = r.level.shared
  const strategy = catalog.btreeStrategy(e.operator)?.strategy
  if (strategy === undefined || strategy === 3) return false
  const ours = (call: Call): boolean => sides(r, key, call) !== undefined && sameExpression(call, distance.call)
  const fixed = (each: Expression): boolean => isFixed(r, each)
  const [left, right] = [e.args[0]!, e.args[1]!]
  const below = strategy < 3
  if (fixed(right)) {
    const inner = distanceIn(left, catalog, ours, fixed)
    return inner !== undefined && below !== inner.turned
  }
  if (!fixed(left)) return false
  const inner = distanceIn(right, catalog, ours, fixed)
  return inner !== undefined && below === inner.turned
}
