/**
 * Ways to read one relation: all of it, or a part through an index whose leading columns the conditions pin down. Values
 * for the bounds may come from other relations (`available`): then the path is the inner side of a nested loop.
 *
 *   conditions   a = $1 and b > t.x and c like 'q%'      index (a, b)
 *   bounds       equal [ $1 ], lower t.x                  filter  c like 'q%'
 */
import type { Oid } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import type { IndexRow, RelationRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { IndexBounds } from '../plan/plan.ts'
import type { Relation } from '../plan/query.ts'
import { forEachChild, sameExpression, some } from '../plan/walk.ts'
import { OID } from '../types/oids.ts'
import { COST, DISABLED, type Estimator, stripRelabel } from './estimate.ts'
import { impliedBy } from './implies.ts'
import { layoutOf, ROW_KEY } from './layout.ts'
import type { Level } from './level.ts'
import { type Order, type Path, pathOf, type WantedOrder } from './path.ts'

export interface ScanRequest {
  readonly level: Level
  readonly estimator: Estimator
  readonly relations: readonly Relation[]
  readonly relation: number
  /** Attribute numbers wanted (ROW_KEY for the key). */
  readonly wanted: ReadonlySet<number>
  /** Of these, what is read elsewhere than in the expression and the conditions. */
  beside(e: Expression, conditions: readonly Expression[]): ReadonlySet<number>
  /** Conditions over this relation, and for parameterized paths also over `available`. */
  readonly conditions: readonly Expression[]
  readonly available: ReadonlySet<number>
  /** How the rows are to come, when a path could give them so. */
  readonly order?: WantedOrder | undefined
  /** What an expression over available relations becomes inside the scan: a slot. */
  slotOf(e: Expression): Expression
}

const known = new WeakMap<Expression, ReadonlySet<number>>()
/** The relations of this level that an expression reads, inside subqueries too. */
export function relationsIn(e: Expression): ReadonlySet<number> {
  let found = known.get(e)
  if (found === undefined) {
    const into = new Set<number>()
    collectRelations(e, into)
    known.set(e, (found = into))
  }
  return found
}
export function collectRelations(e: Expression, into: Set<number>): void {
  if (e.kind === 'var') {
    if (e.level === 0) into.add(e.relation)
    return
  }
  if (e.kind === 'current-of') into.add(e.relation)
  if (e.kind === 'subquery') relationsInQuery(e.query, into)
  forEachChild(e, (child) => collectRelations(child, into))
}
/** Vars of this level inside a subquery: those whose level equals their nesting. */
export function relationsInQuery(tree: unknown, into: Set<number>, depth = 0): void {
  if (typeof tree !== 'object' || tree === null) return
  if (Array.isArray(tree)) {
    for (const each of tree) relationsInQuery(each, into, depth)
    return
  }
  if (Object.getPrototypeOf(tree) !== Object.prototype) return
  const node = tree as { kind?: string; level?: number; relation?: number; command?: unknown; relations?: unknown }
  const here = node.command !== undefined && node.relations !== undefined ? depth + 1 : depth
  if (node.kind === 'var' && node.level === here && here > 0) into.add(node.relation!)
  for (const value of Object.values(tree)) relationsInQuery(value, into, here)
}

export const isVolatile = (level: Level, e: Expression): boolean =>
  some(e, (node) => {
    if (node.kind === 'call') return level.shared.catalog.function(node.function)?.volatility === 'v'
    return node.kind === 'subquery' || node.kind === 'subplan'
  })

/** The parts of a condition that must all hold. */
export const conjuncts = (e: Expression | undefined): Expression[] =>
  e === undefined ? [] : e.kind === 'and' ? e.args.flatMap(conjuncts) : [e]

/** All paths for a table: the sequential scan first. */
export function tablePaths(r: ScanRequest): Path[] {
  const relation = r.relations[r.relation]!
  invariant(relation.kind === 'table', 'a table')
  const row = r.level.shared.catalog.relation(relation.oid)
  invariant(row !== undefined, `relation ${relation.oid}`)
  r.level.shared.reads.add(relation.oid)
  const wanted = [...r.wanted].filter((column) => column !== ROW_KEY).sort((x, y) => x - y)
  const withKey = r.wanted.has(ROW_KEY)
  const entries = entriesOf(relation, r.relation, wanted, withKey)
  const layout = layoutOf(entries)
  const lower = (e: Expression): Expression => r.level.lower(e, layout, r.slotOf)
  const local = r.conditions.filter((e) => [...relationsIn(e)].every((each) => each === r.relation))
  const total = r.estimator.rowsOf(relation.oid)
  const kept = total * local.reduce((product, e) => product * r.estimator.selectivity(e, r.relations), 1)
  const source = { table: relation.oid, alias: relation.alias, wanted, withKey }
  const inside = new Set([r.relation])
  const pages = Math.max(1, total / 80)

  if (row.virtual || row.kind === 'S') {
    const lookup = virtualLookup(r, row)
    const filter = conjunction(r.conditions.map(lower))
    const rows = lookup === undefined ? kept : Math.min(kept, 10)
    return [
      pathOf(
        {
          kind: 'virtual-scan',
          ...source,
          filter,
          lookup: lookup && { column: lookup.column, value: r.level.lower(lookup.value, layoutOf([]), r.slotOf) },
        },
        entries,
        rows,
        0,
        lookup === undefined ? pages + total * COST.row : 5,
        inside,
      ),
    ]
  }
  const current = r.conditions.find((e) => e.kind === 'current-of')
  if (current !== undefined) {
    const filter = conjunction(r.conditions.filter((e) => e !== current).map(lower))
    const node = { kind: 'seq-scan', ...source, filter, currentOf: current.cursor } as const
    return [pathOf(node, entries, 1, 0, COST.page + COST.row, inside)]
  }
  const paths: Path[] = []
  const disabled = r.level.shared.enabled('enable_seqscan') ? 0 : DISABLED
  const cost = disabled + pages * COST.page + total * (COST.row + r.conditions.length * COST.operator)
  const clustered = row.indexes
    .map((index) => r.level.shared.catalog.relation(index)!)
    .find((index) => index.index?.clustered)
  const order = clustered?.index === undefined ? [] : indexOrder(clustered.index, r.relation, relation, false)
  const matching =
    local.length === r.conditions.length
      ? kept
      : total * r.conditions.reduce((product, e) => product * r.estimator.selectivity(e, r.relations), 1)
  const node = { kind: 'seq-scan', ...source, filter: conjunction(r.conditions.map(lower)) } as const
  paths.push(pathOf(node, entries, matching, disabled, cost, inside, order))
  for (const oid of row.indexes) {
    const index = r.level.shared.catalog.relation(oid)
    if (index?.index === undefined || index.index.method !== 'btree') continue
    if (!index.index.valid || index.index.unread) continue
    paths.push(...indexPaths(r, relation, index, entries, lower, total))
  }
  return paths
}

export function entriesOf(relation: Relation, at: number, wanted: readonly number[], withKey: boolean): Expression[] {
  const entries = wanted.map((column): Expression => {
    if (column < 0) return { kind: 'var', level: 0, relation: at, column, type: OID.oid, typmod: -1 }
    const info = relation.columns[column - 1]!
    return {
      kind: 'var',
      level: 0,
      relation: at,
      column,
      type: info.type,
      typmod: info.typmod,
      ...(info.collation === undefined ? {} : { collation: info.collation }),
    }
  })
  if (withKey) entries.push({ kind: 'var', level: 0, relation: at, column: ROW_KEY, type: OID.internal, typmod: -1 })
  return entries
}

export const conjunction = (args: readonly Expression[]): Expression | undefined =>
  args.length === 0 ? undefined : args.length === 1 ? args[0] : { kind: 'and', args, type: OID.bool, typmod: -1 }

/** An equality of one column with something known from outside, for system catalogs. */
function virtualLookup(
  r: ScanRequest,
  row: RelationRow,
): { readonly column: number; readonly value: Expression } | undefined {
  let best: { readonly column: number; readonly value: Expression; readonly rank: number } | undefined
  for (const e of r.conditions) {
    const match = columnCondition(r, e)
    if (match === undefined || match.strategy !== 3 || match.column.kind !== 'var') continue
    const { column } = match.column
    const rank = LOOKUP_COLUMNS.findIndex((names) => names.has(row.columns[column - 1]?.name ?? ''))
    if (rank >= 0 && (best === undefined || rank < best.rank)) best = { column, value: match.value, rank }
  }
  return best
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '))
/** Columns of system catalogs with few rows a value, of types whose equal values are one number or text; the best first. */
const LOOKUP_COLUMNS: readonly ReadonlySet<string>[] = [
  words(
    'oid attrelid indexrelid seqrelid enumtypid starelid aggfnoid rngtypid rngmultitypid partrelid typrelid typarray',
  ),
  words('indrelid conrelid contypid conindid confrelid adrelid ev_class tgrelid inhrelid inhparent polrelid stxrelid'),
  words(
    'objoid objid refobjid typelem opcfamily amopfamily amprocfamily amopopr castsource casttarget roleid member mapcfg',
  ),
  words(
    'relname typname proname oprname collname nspname rolname datname amname lanname extname spcname conname opcname',
  ),
]

export interface ColumnCondition {
  readonly column: Expression
  readonly strategy: 1 | 2 | 3 | 4 | 5
  readonly value: Expression
  readonly family: Oid
  readonly source: Expression
}

/** `column op value` (either way round) where value does not read this relation. */
export function columnCondition(r: ScanRequest, e: Expression): ColumnCondition | undefined {
  if (e.kind !== 'call' || e.operator === undefined || e.args.length !== 2) return undefined
  const catalog = r.level.shared.catalog
  const usable = (value: Expression): boolean =>
    [...relationsIn(value)].every((each) => each !== r.relation && r.available.has(each)) && !isVolatile(r.level, value)
  const [left, right] = [e.args[0]!, e.args[1]!]
  if (relationsIn(left).has(r.relation) && usable(right)) {
    const strategy = catalog.btreeStrategy(e.operator)
    return (
      strategy && {
        column: stripRelabel(left),
        strategy: strategy.strategy,
        family: strategy.family,
        value: right,
        source: e,
      }
    )
  }
  if (relationsIn(right).has(r.relation) && usable(left)) {
    const commutator = catalog.operator(e.operator)?.commutator
    const strategy = commutator === undefined || commutator === 0 ? undefined : catalog.btreeStrategy(commutator)
    return (
      strategy && {
        column: stripRelabel(right),
        strategy: strategy.strategy,
        family: strategy.family,
        value: left,
        source: e,
      }
    )
  }
  return undefined
}

const INTEGERS = new Set<Oid>([OID.int2, OID.int4, OID.int8])

/** The index's bounds read values of the column's own type; integers of other widths are clamped by the scan. */
function comparable(columnType: Oid, valueType: Oid): boolean {
  return (
    columnType === valueType ||
    (INTEGERS.has(columnType) && INTEGERS.has(valueType)) ||
    (TEXTS.has(columnType) === TEXTS.has(valueType) && TEXTS.has(columnType))
  )
}
const TEXTS = new Set<Oid>([OID.text, OID.varchar, OID.name])

function indexPaths(
  r: ScanRequest,
  relation: Relation & { kind: 'table' },
  index: RelationRow,
  entries: readonly Expression[],
  lower: (e: Expression) => Expression,
  total: number,
): Path[] {
  const info = index.index!
  const catalog = r.level.shared.catalog
  if (
    info.predicate !== undefined &&
    !conjuncts(info.predicate).every((part) => {
      const wanted = r.level.shared.fold(rebase(part, r.relation))
      return r.conditions.some((e) => impliedBy(catalog, e, wanted))
    })
  )
    return []
  const matches = r.conditions.map((e) => columnCondition(r, e))
  const used = new Set<Expression>()
  const equal: IndexBounds['equal'][number][] = []
  let lowerBound: IndexBounds['lower']
  let upperBound: IndexBounds['upper']
  const outerOnly = (e: Expression): Expression => r.level.lower(e, layoutOf([]), r.slotOf)
  const isKey = (e: Expression, at: number): boolean => {
    const key = info.keys[at]!
    if (key.expression !== undefined) return sameExpression(stripRelabel(rebase(key.expression, r.relation)), e)
    return e.kind === 'var' && e.level === 0 && e.relation === r.relation && e.column === key.column
  }
  let multiple = 1
  for (let at = 0; at < info.keys.length; at++) {
    const key = info.keys[at]!
    const family = catalog.opclass(key.opclass)?.family
    const fits = (match: ColumnCondition | undefined): match is ColumnCondition =>
      match !== undefined &&
      match.family === family &&
      isKey(match.column, at) &&
      comparable(key.type, match.value.type)
    const equality = matches.find((match): match is ColumnCondition => fits(match) && match.strategy === 3)
    if (equality !== undefined) {
      equal.push({ kind: 'value', expression: outerOnly(equality.value) })
      used.add(equality.source)
      continue
    }
    const isNull = r.conditions.find(
      (e) => e.kind === 'is-null' && !e.negated && !e.argIsRow && isKey(stripRelabel(e.arg), at),
    )
    if (isNull !== undefined) {
      equal.push({ kind: 'null' })
      used.add(isNull)
      continue
    }
    const any = r.conditions.find(
      (e) =>
        e.kind === 'any-array' &&
        !e.all &&
        isKey(stripRelabel(e.left), at) &&
        catalog.btreeStrategy(e.operator)?.strategy === 3 &&
        catalog.btreeStrategy(e.operator)?.family === family &&
        ![...relationsIn(e.right)].includes(r.relation) &&
        [...relationsIn(e.right)].every((each) => r.available.has(each)),
    )
    if (
      any !== undefined &&
      any.kind === 'any-array' &&
      comparable(key.type, catalog.typeRow(any.right.type)?.element ?? any.right.type) &&
      multiple === 1
    ) {
      equal.push({ kind: 'any', array: outerOnly(any.right) })
      used.add(any)
      multiple = any.right.kind === 'array' ? any.right.elements.length : 10
      continue
    }
    for (const match of matches) {
      if (!fits(match)) continue
      const inclusive = match.strategy === 2 || match.strategy === 4
      if ((match.strategy === 4 || match.strategy === 5) && lowerBound === undefined) {
        lowerBound = { expression: outerOnly(match.value), inclusive }
        used.add(match.source)
      } else if ((match.strategy === 1 || match.strategy === 2) && upperBound === undefined) {
        upperBound = { expression: outerOnly(match.value), inclusive }
        used.add(match.source)
      }
    }
    break
  }
  const usedIn = [...used]
  const parameterized = r.conditions.some((e) => [...relationsIn(e)].some((each) => each !== r.relation))
  if (used.size === 0 && parameterized) return []
  const rest = r.conditions.filter((e) => !used.has(e))
  if (
    parameterized &&
    rest.some((e) => [...relationsIn(e)].some((each) => each !== r.relation && !r.available.has(each)))
  )
    return []
  const unique =
    info.unique &&
    equal.length === info.keys.length &&
    equal.every((each) => each.kind === 'value') &&
    lowerBound === undefined &&
    upperBound === undefined
  const share = usedIn.reduce((product, e) => product * r.estimator.selectivity(e, r.relations), 1)
  const found = unique ? 1 : Math.max(1, total * share)
  const rows = unique
    ? Math.min(1, found)
    : found * rest.reduce((product, e) => product * r.estimator.selectivity(e, r.relations), 1)
  const perRow = info.clustered ? COST.row : COST.row + COST.indexRow + COST.seek * 0.6
  // Backwards, and without bounds, an index is never preferred for reading everything.
  const pages = used.size === 0 ? Math.max(1, total / 80) * COST.page * 1.5 : 0
  const disabled = r.level.shared.enabled('enable_indexscan') ? 0 : DISABLED
  const cost = disabled + COST.seek * multiple + pages + found * (perRow + rest.length * COST.operator)
  const bounds: IndexBounds = {
    equal,
    lower: lowerBound,
    upper: upperBound,
    notNull: lowerBound !== undefined || upperBound !== undefined,
  }
  const make = (reverse: boolean): Path => ({
    ...pathOf(
      {
        kind: 'index-scan',
        table: relation.oid,
        alias: relation.alias,
        wanted: entries
          .filter((e) => e.kind === 'var' && e.column !== ROW_KEY)
          .map((e) => (e as { column: number }).column),
        withKey: r.wanted.has(ROW_KEY),
        filter: conjunction(rest.map(lower)),
        index: index.oid,
        bounds,
        reverse,
        unique,
      },
      entries,
      rows,
      disabled,
      cost,
      new Set([r.relation]),
      multiple > 1 ? [] : indexOrder(info, r.relation, relation, reverse),
    ),
    ...(used.size === 0 ? {} : { found, rest }),
  })
  // The rows' own order needs no bounds: that is the sequential scan.
  if (used.size === 0 && info.clustered) return [make(true)]
  return unique || multiple > 1 ? [make(false)] : [make(false), make(true)]
}

/** An expression kept over relation 0 (in the catalog) moved to where the table stands in this query. */
export const rebase = (e: Expression, relation: number): Expression => rebaseIn(e, relation) as Expression
function rebaseIn(node: unknown, relation: number): unknown {
  if (typeof node !== 'object' || node === null) return node
  if (Array.isArray(node)) return node.map((each) => rebaseIn(each, relation))
  if (Object.getPrototypeOf(node) !== Object.prototype) return node
  const result = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, rebaseIn(value, relation)]))
  if (result['kind'] === 'var' && result['relation'] === 0) result['relation'] = relation
  return result
}

function indexOrder(info: IndexRow, at: number, relation: Relation, reverse: boolean): Order[] {
  return info.keys.map((key): Order => {
    const column = relation.columns[key.column - 1]
    const expression: Expression =
      key.expression !== undefined
        ? rebase(key.expression, at)
        : {
            kind: 'var',
            level: 0,
            relation: at,
            column: key.column,
            type: key.type,
            typmod: column?.typmod ?? key.typmod,
            ...(column?.collation === undefined ? {} : { collation: column.collation }),
          }
    return { expression, descending: key.descending !== reverse, nullsFirst: key.nullsFirst !== reverse }
  })
}
