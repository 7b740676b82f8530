/**
 * The six comparison operators of a type as one table, from its compare function or from JavaScript's own operators.
 *
 *     comparisons((op) => `int4${op}`, NATIVE)   →   int4eq, int4ne, int4lt, int4le, int4gt, int4ge
 */
import { type FunctionBody, type FunctionTable, scalar } from '../function.ts'
import type { Value } from '../value.ts'

export type ComparisonName = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'
type Bodies = Readonly<Record<ComparisonName, FunctionBody>>

const SYMBOLS: Readonly<Record<ComparisonName, string>> = { eq: '===', ne: '!==', lt: '<', le: '<=', gt: '>', ge: '>=' }
export const COMPARISON_NAMES = Object.keys(SYMBOLS) as readonly ComparisonName[]

/** For values that are equal exactly when `===` and ordered as JavaScript's `<`: integers, booleans, oids. */
export const NATIVE: Bodies = {
  eq: scalar((a: number, b: number) => a === b, { js: (a, b) => `(${a} === ${b})` }),
  ne: scalar((a: number, b: number) => a !== b, { js: (a, b) => `(${a} !== ${b})` }),
  lt: scalar((a: number, b: number) => a < b, { js: (a, b) => `(${a} < ${b})` }),
  le: scalar((a: number, b: number) => a <= b, { js: (a, b) => `(${a} <= ${b})` }),
  gt: scalar((a: number, b: number) => a > b, { js: (a, b) => `(${a} > ${b})` }),
  ge: scalar((a: number, b: number) => a >= b, { js: (a, b) => `(${a} >= ${b})` }),
}

/**
 * From a compare function. `helper` is its name among the helpers, if it is one; with `sameIsEqual` equality is `===`.
 */
export function comparedBy<T extends Value>(
  compare: (a: T, b: T) => number,
  helper?: string,
  sameIsEqual = false,
): Bodies {
  const js = (op: ComparisonName) =>
    helper === undefined ? {} : { js: (a: string, b: string) => `(h.${helper}(${a}, ${b}) ${SYMBOLS[op]} 0)` }
  return {
    eq: sameIsEqual ? NATIVE.eq : scalar((a: T, b: T) => compare(a, b) === 0, js('eq')),
    ne: sameIsEqual ? NATIVE.ne : scalar((a: T, b: T) => compare(a, b) !== 0, js('ne')),
    lt: scalar((a: T, b: T) => compare(a, b) < 0, js('lt')),
    le: scalar((a: T, b: T) => compare(a, b) <= 0, js('le')),
    gt: scalar((a: T, b: T) => compare(a, b) > 0, js('gt')),
    ge: scalar((a: T, b: T) => compare(a, b) >= 0, js('ge')),
  }
}

export function comparisons(name: (op: ComparisonName) => string, bodies: Bodies): FunctionTable {
  const table: Record<string, FunctionBody> = {}
  for (const op of COMPARISON_NAMES) table[name(op)] = bodies[op]
  return table
}

/** Ascending order of values that JavaScript's `<` orders (numbers and bigints mixed too). */
export const compareNative = (a: Value, b: Value): number => (a! < b! ? -1 : a! > b! ? 1 : 0)
