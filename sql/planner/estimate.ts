/**
 * Estimates: how many rows a condition keeps and what an operator costs, in PostgreSQL's units (a sequentially read page is 1,
 * handling a row 0.01, an operator 0.0025). From ANALYZE's statistics where there are some, else PostgreSQL's defaults.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog, ColumnStatistics, TableStatistics } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Estimate } from '../plan/plan.ts'
import type { Relation } from '../plan/query.ts'
import type { Value } from '../types/value.ts'
import type { TableSizes } from './level.ts'

export const COST = { page: 1, randomPage: 1.1, row: 0.01, indexRow: 0.005, operator: 0.0025, seek: 0.4 } as const

/** What a switched-off way costs more (enable_seqscan = off …): PostgreSQL's disable_cost. */
export const DISABLED = 1e10

export const DEFAULT_ROWS = 1000 // of functions and unknown tables
const EQUAL = 0.005
const RANGE = 1 / 3
const BETWEEN = 0.005
const MATCH = 0.005
/** So many values of a histogram at least tell something of the others. */
const TRIED = 8

type CallExpression = Extract<Expression, { kind: 'call' }>

export interface Estimator {
  rowsOf(table: Oid): number
  /** Share of the rows that satisfies `e`, 0 to 1. `relations` are the query's. */
  selectivity(e: Expression, relations: readonly Relation[]): number
  /** Number of distinct values of an expression among `rows` rows. */
  distinct(e: Expression, relations: readonly Relation[], rows: number): number
}

/** Gives the value a parameter will have, when it is known while planning. */
export type Peek = (parameter: number) => Value | undefined

/** `fold` evaluates what is constant: for operators whose selectivity is seen on a column's own values. */
export function createEstimator(
  catalog: Catalog,
  sizes: TableSizes,
  peek: Peek = () => undefined,
  fold?: (e: Expression) => Expression,
): Estimator {
  /** undefined: not known now. */
  const known = (e: Expression): Value | undefined =>
    e.kind === 'const' ? e.value : e.kind === 'param' ? peek(e.index) : undefined
  const statistics = (relation: Relation | undefined): TableStatistics | undefined =>
    relation?.kind === 'table' ? catalog.statistics(relation.oid) : undefined
  const columnStatistics = (e: Expression, relations: readonly Relation[]): ColumnStatistics | undefined => {
    const column = stripRelabel(e)
    if (column.kind !== 'var' || column.level !== 0) return undefined
    return statistics(relations[column.relation])?.columns.find((each) => each.column === column.column)
  }
  const rowsOf = (table: Oid): number => Math.max(1, sizes.rows(table))
  const isUnique = (e: Expression, relations: readonly Relation[]): boolean => {
    const column = stripRelabel(e)
    if (column.kind !== 'var' || column.level !== 0) return false
    const relation = relations[column.relation]
    const row = relation?.kind === 'table' ? catalog.relation(relation.oid) : undefined
    return (
      row?.indexes.some((index) => {
        const info = catalog.relation(index)?.index
        return (
          info?.unique === true &&
          info.valid &&
          info.keys.length === 1 &&
          info.keys[0]!.column === column.column &&
          info.predicate === undefined
        )
      }) === true
    )
  }
  const distinct = (e: Expression, relations: readonly Relation[], rows: number): number => {
    if (e.kind === 'const' || e.kind === 'param') return 1
    if (e.type === 16) return 2
    const stats = columnStatistics(e, relations)
    if (stats !== undefined && stats.distinct !== 0) {
      const column = stripRelabel(e)
      const total = column.kind === 'var' ? (statistics(relations[column.relation])?.rows ?? rows) : rows
      return Math.max(1, Math.min(rows, stats.distinct > 0 ? stats.distinct : -stats.distinct * total))
    }
    if (isUnique(e, relations)) return rows
    return Math.max(1, Math.min(rows, 200))
  }

  const equality = (left: Expression, right: Expression, relations: readonly Relation[]): number => {
    const stats = columnStatistics(left, relations)
    const value = known(right)
    if (stats !== undefined && value !== undefined) {
      if (value === null) return 0
      const type = catalog.type(left.type)
      const key = type.hashKey?.(value)
      const at = stats.commonValues.findIndex((common) => common !== null && type.hashKey?.(common) === key)
      if (at >= 0) return stats.commonFrequencies[at]!
      const common = stats.commonFrequencies.reduce((sum, share) => sum + share, 0)
      const table = statistics(relations[(stripRelabel(left) as { relation: number }).relation])
      const others = Math.max(1, distinct(left, relations, table?.rows ?? DEFAULT_ROWS) - stats.commonValues.length)
      return Math.max(0, 1 - common - stats.nullFraction) / others
    }
    const relation =
      stripRelabel(left).kind === 'var' ? relations[(stripRelabel(left) as { relation: number }).relation] : undefined
    if (relation?.kind === 'table' && (stats !== undefined || isUnique(left, relations)))
      return 1 / distinct(left, relations, rowsOf(relation.oid))
    return EQUAL
  }

  const range = (left: Expression, right: Expression, below: boolean, relations: readonly Relation[]): number => {
    const stats = columnStatistics(left, relations)
    const compare = catalog.type(left.type).compare
    const wanted = known(right)
    if (
      stats === undefined ||
      wanted === undefined ||
      wanted === null ||
      compare === undefined ||
      right.type !== left.type
    )
      return RANGE
    const bounds = stats.histogram
    let share = 0
    stats.commonValues.forEach((value, i) => {
      if (value !== null && (below ? compare(value, wanted) < 0 : compare(value, wanted) > 0))
        share += stats.commonFrequencies[i]!
    })
    if (bounds.length > 1) {
      let at = 0
      while (at < bounds.length && compare(bounds[at]!, wanted) < 0) at++
      const within = at === 0 || at >= bounds.length ? 0 : fraction(bounds[at - 1]!, bounds[at]!, wanted)
      const lower = at === 0 ? 0 : at >= bounds.length ? 1 : (at - 1 + within) / (bounds.length - 1)
      const rest = Math.max(0, 1 - stats.nullFraction - stats.commonFrequencies.reduce((sum, each) => sum + each, 0))
      share += rest * (below ? lower : 1 - lower)
    }
    return Math.min(1, Math.max(0.0001, share))
  }

  /** How many of a column's values a condition on it keeps, by trying those of the statistics (PostgreSQL's mcv_ and histogram_selectivity). */
  const tried = (call: CallExpression, column: Expression, relations: readonly Relation[]): number | undefined => {
    const stats = columnStatistics(column, relations)
    const at = call.args.indexOf(column)
    const other = call.args[1 - at]!
    const value = other.kind === 'const' ? undefined : known(other)
    if (fold === undefined || stats === undefined || (other.kind !== 'const' && value === undefined)) return undefined
    const { type, typmod } = column
    const against: Expression = value === undefined ? other : { kind: 'const', value, type: other.type, typmod: -1 }
    const holds = (each: Value): boolean | undefined => {
      const own: Expression = { kind: 'const', value: each, type, typmod }
      const answer = fold({ ...call, args: at === 0 ? [own, against] : [against, own] })
      return answer.kind === 'const' ? answer.value === true : undefined
    }
    const common = stats.commonFrequencies.reduce((sum, each) => sum + each, 0)
    // The outermost values say little of the others.
    const inside = stats.histogram.slice(1, -1)
    if (inside.length < TRIED && common + stats.nullFraction < 0.99) return undefined
    let share = 0
    for (const [i, each] of stats.commonValues.entries()) {
      const answer = holds(each)
      if (answer === undefined) return undefined
      if (answer) share += stats.commonFrequencies[i]!
    }
    if (inside.length > 0) {
      const kept = inside.filter((each) => holds(each) === true).length / inside.length
      share += Math.min(0.9999, Math.max(0.0001, kept)) * Math.max(0, 1 - stats.nullFraction - common)
    }
    return Math.min(1, Math.max(0.0001, share))
  }

  /** A boolean column's TRUE. */
  const truth = (e: Expression, relations: readonly Relation[]): number =>
    columnStatistics(e, relations) === undefined
      ? 0.5
      : equality(e, { kind: 'const', value: true, type: e.type, typmod: -1 }, relations)

  const nulls = (e: Expression, relations: readonly Relation[]): number =>
    columnStatistics(e, relations)?.nullFraction ?? 0

  const selectivity = (e: Expression, relations: readonly Relation[]): number => {
    switch (e.kind) {
      case 'const':
        return e.value === true ? 1 : 0
      case 'and':
        return combineRanges(e.args, relations)
      case 'or':
        return 1 - e.args.reduce((product, arg) => product * (1 - selectivity(arg, relations)), 1)
      case 'not':
        return Math.max(0.0001, 1 - selectivity(e.arg, relations) - nulls(e.arg, relations))
      case 'is-null': {
        const share = columnStatistics(e.arg, relations)?.nullFraction ?? 0.005
        return e.negated ? 1 - share : share
      }
      case 'boolean-test':
        return tested(e, relations)
      case 'var':
        return truth(e, relations)
      case 'any-array': {
        const count =
          e.right.kind === 'array'
            ? e.right.elements.length
            : e.right.kind === 'const'
              ? arrayLength(e.right.value)
              : 10
        const one = binary(
          e.operator,
          e.left,
          e.right.kind === 'array' && e.right.elements.length > 0
            ? e.right.elements[0]!
            : ({ ...e.right, type: e.left.type, kind: 'case-test' } as Expression),
          relations,
        )
        return e.all ? one ** Math.min(count, 10) : Math.min(1, one * count)
      }
      case 'distinct':
        return 1 - EQUAL
      case 'call':
        if (e.operator !== undefined && e.args.length === 2)
          return binary(e.operator, e.args[0]!, e.args[1]!, relations, e)
        return RANGE
      case 'subquery':
      case 'subplan':
        return 0.5
      default:
        return RANGE
    }
  }

  const tested = (e: Extract<Expression, { kind: 'boolean-test' }>, relations: readonly Relation[]): number => {
    const none = nulls(e.arg, relations)
    const yes = selectivity(e.arg, relations)
    const share = e.test === 'true' ? yes : e.test === 'false' ? Math.max(0, 1 - yes - none) : none
    return Math.min(1, Math.max(0.0001, e.negated ? 1 - share : share))
  }

  /** x > a AND x < b on one column is a range of its own. */
  const combineRanges = (args: readonly Expression[], relations: readonly Relation[]): number => {
    let product = 1
    const sides = new Map<string, number[]>()
    for (const arg of args) {
      const side = rangeSide(arg)
      if (side === undefined) product *= selectivity(arg, relations)
      else sides.set(side, [...(sides.get(side) ?? []), selectivity(arg, relations)])
    }
    for (const shares of sides.values()) {
      if (shares.length < 2) product *= shares[0]!
      else {
        const joint = shares.reduce((sum, share) => sum + share, 0) - (shares.length - 1)
        product *= shares.every((share) => share === RANGE) ? BETWEEN : Math.max(joint, 0.0001)
      }
    }
    return product
  }
  const rangeSide = (e: Expression): string | undefined => {
    if (e.kind !== 'call' || e.operator === undefined || e.args.length !== 2) return undefined
    const name = catalog.operator(e.operator)?.restriction ?? ''
    if (!name.startsWith('scalar')) return undefined
    const column = stripRelabel(e.args[0]!)
    return column.kind === 'var' ? `${column.level}.${column.relation}.${column.column}` : undefined
  }

  const binary = (
    operator: Oid,
    left: Expression,
    right: Expression,
    relations: readonly Relation[],
    call?: CallExpression,
  ): number => {
    const row = catalog.operator(operator)
    const swap = stripRelabel(left).kind !== 'var' && stripRelabel(right).kind === 'var'
    const [column, other] = swap ? [right, left] : [left, right]
    switch (row?.restriction) {
      case 'eqsel': {
        if (stripRelabel(left).kind === 'var' && stripRelabel(right).kind === 'var')
          return (
            1 /
            Math.max(distinct(left, relations, DEFAULT_ROWS * 1000), distinct(right, relations, DEFAULT_ROWS * 1000))
          )
        return equality(column, other, relations)
      }
      case 'neqsel':
        return Math.max(0.0001, 1 - equality(column, other, relations) - nulls(column, relations))
      case 'scalarltsel':
      case 'scalarlesel':
        return range(column, other, !swap, relations)
      case 'scalargtsel':
      case 'scalargesel':
        return range(column, other, swap, relations)
      case 'likesel':
      case 'iclikesel':
      case 'regexeqsel':
      case 'icregexeqsel':
      case 'prefixsel':
        return (call && tried(call, column, relations)) ?? MATCH
      case 'nlikesel':
      case 'icnlikesel':
      case 'regexnesel':
      case 'icregexnesel':
        return (call && tried(call, column, relations)) ?? 1 - MATCH
      case 'contsel':
      case 'arraycontsel':
      case 'matchingsel':
        return (call && tried(call, column, relations)) ?? (row.result === 16 ? 0.3333 : RANGE)
      default:
        return row?.result === 16 ? 0.3333 : RANGE
    }
  }
  return { rowsOf, selectivity, distinct }
}

export const stripRelabel = (e: Expression): Expression =>
  e.kind === 'relabel' && e.collation === undefined ? stripRelabel(e.arg) : e

const arrayLength = (value: unknown): number =>
  typeof value === 'object' && value !== null && 'elements' in value
    ? (value as { elements: readonly unknown[] }).elements.length
    : 1

function fraction(low: unknown, high: unknown, value: unknown): number {
  if (typeof low === 'number' && typeof high === 'number' && typeof value === 'number' && high > low)
    return Math.min(1, Math.max(0, (value - low) / (high - low)))
  return 0.5
}

export const estimate = (rows: number, startupCost: number, totalCost: number, width: number): Estimate => ({
  rows: Math.max(1, Math.round(rows)),
  startupCost,
  totalCost,
  width,
})
