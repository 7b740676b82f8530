/**
 * Ranges as sets: their order and what can be asked and made of them, over any ordered subtype. All of it rests on the
 * order of bounds, in which a lower bound `(3` lies after `[3`, and an upper bound `3)` before `3]`.
 *
 *     empty < (,1) < (,2] < [1,2) < (1,2) < [2,)
 *
 * https://www.postgresql.org/docs/15/functions-range.html
 */
import { sqlError } from '../error.ts'
import { RangeValue, type Value } from '../value.ts'

/** What ranges need to know of their subtype. */
export interface Subtype {
  compare(a: Value, b: Value): number
  /** Discrete subtypes: the value after this one. Their ranges are kept as `[a,b)`. */
  readonly next?: (value: Value) => Value
}

export interface Bound {
  /** null: infinite. */
  readonly value: Value
  readonly inclusive: boolean
  readonly isLower: boolean
}

export const lowerOf = (range: RangeValue): Bound => ({
  value: range.lower,
  inclusive: range.lowerInclusive,
  isLower: true,
})
export const upperOf = (range: RangeValue): Bound => ({
  value: range.upper,
  inclusive: range.upperInclusive,
  isLower: false,
})

export const EMPTY_RANGE = new RangeValue(null, null, false, false, true)

/** The order of two bounds, lower or upper ones. */
export function compareBounds(subtype: Subtype, a: Bound, b: Bound): number {
  if (a.value === null && b.value === null) return a.isLower === b.isLower ? 0 : a.isLower ? -1 : 1
  if (a.value === null) return a.isLower ? -1 : 1
  if (b.value === null) return b.isLower ? 1 : -1
  return subtype.compare(a.value, b.value) || shiftOf(a) - shiftOf(b)
}
/** Where an exclusive bound stands beside its value. */
const shiftOf = (bound: Bound): number => (bound.inclusive ? 0 : bound.isLower ? 1 : -1)

/** A range from its bounds in the canonical form. Throws 22000 when the lower bound lies above the upper one. */
export function makeRange(subtype: Subtype, lower: Bound, upper: Bound): RangeValue {
  if (lower.value !== null && upper.value !== null) {
    const order = subtype.compare(lower.value, upper.value)
    if (order > 0) throw sqlError('22000', 'range lower bound must be less than or equal to range upper bound')
    if (order === 0 && !(lower.inclusive && upper.inclusive)) return EMPTY_RANGE
  }
  const { next } = subtype
  if (next === undefined) {
    const lowerInclusive = lower.value !== null && lower.inclusive
    const upperInclusive = upper.value !== null && upper.inclusive
    return new RangeValue(lower.value, upper.value, lowerInclusive, upperInclusive, false)
  }
  const from = lower.value === null || lower.inclusive ? lower.value : next(lower.value)
  const to = upper.value === null || !upper.inclusive ? upper.value : next(upper.value)
  // A value that has no next one (the date infinity) stays as it was said.
  const isFixed = (before: Value, after: Value) => before !== null && subtype.compare(before, after) === 0
  const lowerInclusive = from !== null && (lower.inclusive || !isFixed(lower.value, from))
  const upperInclusive = to !== null && upper.inclusive && isFixed(upper.value, to)
  if (from !== null && to !== null && !(lowerInclusive && upperInclusive) && subtype.compare(from, to) >= 0)
    return EMPTY_RANGE
  return new RangeValue(from, to, lowerInclusive, upperInclusive, false)
}

/** The empty range first, then by lower bound, then by upper bound. */
export function compareRanges(subtype: Subtype, a: RangeValue, b: RangeValue): number {
  if (a.isEmpty || b.isEmpty) return a.isEmpty === b.isEmpty ? 0 : a.isEmpty ? -1 : 1
  return compareBounds(subtype, lowerOf(a), lowerOf(b)) || compareBounds(subtype, upperOf(a), upperOf(b))
}

export function rangeContainsValue(subtype: Subtype, range: RangeValue, value: Value): boolean {
  if (range.isEmpty) return false
  if (range.lower !== null) {
    const order = subtype.compare(range.lower, value)
    if (order > 0 || (order === 0 && !range.lowerInclusive)) return false
  }
  if (range.upper !== null) {
    const order = subtype.compare(range.upper, value)
    if (order < 0 || (order === 0 && !range.upperInclusive)) return false
  }
  return true
}

export function rangeContains(subtype: Subtype, a: RangeValue, b: RangeValue): boolean {
  if (b.isEmpty) return true
  if (a.isEmpty) return false
  return compareBounds(subtype, lowerOf(a), lowerOf(b)) <= 0 && compareBounds(subtype, upperOf(a), upperOf(b)) >= 0
}

/** Everything in `a` lies below everything in `b`. */
export const isBefore = (subtype: Subtype, a: RangeValue, b: RangeValue): boolean =>
  !a.isEmpty && !b.isEmpty && compareBounds(subtype, upperOf(a), lowerOf(b)) < 0

export const overlaps = (subtype: Subtype, a: RangeValue, b: RangeValue): boolean =>
  !a.isEmpty && !b.isEmpty && !isBefore(subtype, a, b) && !isBefore(subtype, b, a)

/** Nothing lies between an upper bound and the lower bound above it, and they share nothing. */
function areAdjacent(subtype: Subtype, upper: Bound, lower: Bound): boolean {
  if (upper.value === null || lower.value === null) return false
  const order = subtype.compare(upper.value, lower.value)
  if (order === 0) return upper.inclusive !== lower.inclusive
  if (order > 0 || subtype.next === undefined) return false
  const from = { value: upper.value, inclusive: !upper.inclusive, isLower: true }
  return makeRange(subtype, from, { value: lower.value, inclusive: !lower.inclusive, isLower: false }).isEmpty
}

export const isAdjacent = (subtype: Subtype, a: RangeValue, b: RangeValue): boolean =>
  !a.isEmpty &&
  !b.isEmpty &&
  (areAdjacent(subtype, upperOf(a), lowerOf(b)) || areAdjacent(subtype, upperOf(b), lowerOf(a)))

/** `a` does not reach above `b`. */
export const isOverLeft = (subtype: Subtype, a: RangeValue, b: RangeValue): boolean =>
  !a.isEmpty && !b.isEmpty && compareBounds(subtype, upperOf(a), upperOf(b)) <= 0

/** `a` does not reach below `b`. */
export const isOverRight = (subtype: Subtype, a: RangeValue, b: RangeValue): boolean =>
  !a.isEmpty && !b.isEmpty && compareBounds(subtype, lowerOf(a), lowerOf(b)) >= 0

/** The smallest range that holds both. */
export function hull(subtype: Subtype, a: RangeValue, b: RangeValue): RangeValue {
  if (a.isEmpty) return b
  if (b.isEmpty) return a
  const lower = compareBounds(subtype, lowerOf(a), lowerOf(b)) <= 0 ? a : b
  const upper = compareBounds(subtype, upperOf(a), upperOf(b)) >= 0 ? a : b
  return makeRange(subtype, lowerOf(lower), upperOf(upper))
}

/** Throws 22000 when there is a gap between the two. */
export function union(subtype: Subtype, a: RangeValue, b: RangeValue): RangeValue {
  if (!a.isEmpty && !b.isEmpty && !overlaps(subtype, a, b) && !isAdjacent(subtype, a, b))
    throw sqlError('22000', 'result of range union would not be contiguous')
  return hull(subtype, a, b)
}

export function intersection(subtype: Subtype, a: RangeValue, b: RangeValue): RangeValue {
  if (!overlaps(subtype, a, b)) return EMPTY_RANGE
  const lower = compareBounds(subtype, lowerOf(a), lowerOf(b)) >= 0 ? a : b
  const upper = compareBounds(subtype, upperOf(a), upperOf(b)) <= 0 ? a : b
  return makeRange(subtype, lowerOf(lower), upperOf(upper))
}

/** What is left of `a` below and above `b`: none, one or two ranges. */
export function remainders(subtype: Subtype, a: RangeValue, b: RangeValue): RangeValue[] {
  if (a.isEmpty) return []
  if (!overlaps(subtype, a, b)) return [a]
  const parts: RangeValue[] = []
  if (compareBounds(subtype, lowerOf(a), lowerOf(b)) < 0)
    parts.push(makeRange(subtype, lowerOf(a), { value: b.lower, inclusive: !b.lowerInclusive, isLower: false }))
  if (compareBounds(subtype, upperOf(a), upperOf(b)) > 0)
    parts.push(makeRange(subtype, { value: b.upper, inclusive: !b.upperInclusive, isLower: true }, upperOf(a)))
  return parts.filter((part) => !part.isEmpty)
}

/** Throws 22000 when `b` cuts `a` in two. */
export function difference(subtype: Subtype, a: RangeValue, b: RangeValue): RangeValue {
  const parts = remainders(subtype, a, b)
  if (parts.length > 1) throw sqlError('22000', 'result of range difference would not be contiguous')
  return parts[0] ?? EMPTY_RANGE
}
