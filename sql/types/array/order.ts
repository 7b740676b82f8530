/** The order of arrays: elements one by one, then how many there are, then their shape. */
import type { ArrayValue, Value } from '../value.ts'

/** PostgreSQL's order of two arrays by their elements' order. */
export function compareArrays(a: ArrayValue, b: ArrayValue, compare: (a: Value, b: Value) => number): number {
  const left = a.elements
  const right = b.elements
  const shared = Math.min(left.length, right.length)
  for (let i = 0; i < shared; i++) {
    const x = left[i]!
    const y = right[i]!
    if (x === null || y === null) {
      if (x === y) continue
      return x === null ? 1 : -1
    }
    const order = compare(x, y)
    if (order !== 0) return order < 0 ? -1 : 1
  }
  if (left.length !== right.length) return left.length < right.length ? -1 : 1
  return compareNumbers(a.dimensions, b.dimensions) || compareNumbers(a.lower, b.lower)
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return a.length < b.length ? -1 : 1
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! < b[i]! ? -1 : 1
  return 0
}
