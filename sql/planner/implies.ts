/**
 * Whether a condition that holds makes another one hold: what lets a partial index serve a query (PostgreSQL's
 * predicate_implied_by, its common part).
 *
 *     a = 5            a > 3, a is not null, a in (4, 5)
 *     a > 5 and b      a >= 5
 */
import type { Catalog } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import { sameExpression } from '../plan/walk.ts'
import type { Value } from '../types/value.ts'
import { stripRelabel } from './estimate.ts'

export function impliedBy(catalog: Catalog, given: Expression, wanted: Expression): boolean {
  if (sameExpression(given, wanted)) return true
  if (given.kind === 'and') return given.args.some((arg) => impliedBy(catalog, arg, wanted))
  if (given.kind === 'or') return given.args.every((arg) => impliedBy(catalog, arg, wanted))
  if (wanted.kind === 'and') return wanted.args.every((arg) => impliedBy(catalog, given, arg))
  if (wanted.kind === 'or') return wanted.args.some((arg) => impliedBy(catalog, given, arg))
  if (wanted.kind === 'is-null' && wanted.negated && !wanted.argIsRow) return isStrictIn(catalog, given, wanted.arg)
  if (wanted.kind === 'boolean-test' && wanted.test === 'true' && !wanted.negated)
    return impliedBy(catalog, given, wanted.arg)
  const [have, need] = [comparison(catalog, given), comparison(catalog, wanted)]
  if (have === undefined || need === undefined) return false
  if (have.family !== need.family || have.type !== need.type || !sameExpression(have.column, need.column)) return false
  const compare = catalog.type(have.type).compare
  return (
    compare !== undefined &&
    have.values.every((value) => need.values.some((bound) => follows(have, value, need, bound, compare)))
  )
}

/** True only when `arg` is not NULL. */
function isStrictIn(catalog: Catalog, e: Expression, arg: Expression): boolean {
  if (sameExpression(e, arg)) return true
  switch (e.kind) {
    case 'call':
      return catalog.function(e.function)?.strict === true && e.args.some((each) => isStrictIn(catalog, each, arg))
    case 'relabel':
    case 'not':
      return isStrictIn(catalog, e.arg, arg)
    case 'any-array':
      return !e.all && isStrictIn(catalog, e.left, arg)
    default:
      return false
  }
}

type Strategy = 1 | 2 | 3 | 4 | 5
interface Comparison {
  readonly column: Expression
  readonly strategy: Strategy
  readonly family: number
  readonly type: Expression['type']
  /** One, or the elements of an IN list. */
  readonly values: readonly Value[]
}

const TURNED = { 1: 5, 2: 4, 3: 3, 4: 2, 5: 1 } as const

/** `column op constant`, or the reverse, or `column = any (constants)`. */
function comparison(catalog: Catalog, e: Expression): Comparison | undefined {
  if (e.kind === 'any-array' && !e.all && e.right.kind === 'array') {
    const found = catalog.btreeStrategy(e.operator)
    const values = e.right.elements.map((each) => (each.kind === 'const' ? each.value : null))
    const type = e.right.elements[0]?.type
    if (found?.strategy !== 3 || type === undefined || values.includes(null)) return undefined
    return { column: stripRelabel(e.left), strategy: 3, family: found.family, type, values }
  }
  if (e.kind !== 'call' || e.operator === undefined || e.args.length !== 2) return undefined
  const [left, right] = [e.args[0]!, e.args[1]!]
  const found = catalog.btreeStrategy(e.operator)
  if (found === undefined) return undefined
  if (right.kind === 'const' && right.value !== null)
    return { column: stripRelabel(left), ...found, type: right.type, values: [right.value] }
  if (left.kind === 'const' && left.value !== null)
    return {
      column: stripRelabel(right),
      strategy: TURNED[found.strategy],
      family: found.family,
      type: left.type,
      values: [left.value],
    }
  return undefined
}

/** x `have` a makes x `need` b, by where a lies from b. */
function follows(
  have: Comparison,
  a: Value,
  need: Comparison,
  b: Value,
  compare: (x: NonNullable<Value>, y: NonNullable<Value>) => number,
): boolean {
  const order = compare(a!, b!)
  switch (need.strategy) {
    case 1:
      return have.strategy === 1 ? order <= 0 : (have.strategy === 2 || have.strategy === 3) && order < 0
    case 2:
      return have.strategy <= 3 && order <= 0
    case 3:
      return have.strategy === 3 && order === 0
    case 4:
      return have.strategy >= 3 && order >= 0
    case 5:
      return have.strategy === 5 ? order >= 0 : (have.strategy === 4 || have.strategy === 3) && order > 0
  }
}
