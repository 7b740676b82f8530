/**
 * Multiranges as sets: ranges in order with gaps between them, so that most questions are answered by the first, the last
 * or one found on the way. https://www.postgresql.org/docs/15/functions-range.html
 */
import { MultirangeValue, type RangeValue, type Value } from '../value.ts'
import {
  compareBounds,
  compareRanges,
  EMPTY_RANGE,
  hull,
  intersection,
  isAdjacent,
  isBefore,
  lowerOf,
  rangeContains,
  rangeContainsValue,
  remainders,
  type Subtype,
  upperOf,
} from './bounds.ts'

export const EMPTY_MULTIRANGE = new MultirangeValue([])

/** From ranges in any order: sorted, without empty ones, joined where they overlap or touch. */
export function makeMultirange(subtype: Subtype, ranges: readonly RangeValue[]): MultirangeValue {
  const sorted = ranges.filter((range) => !range.isEmpty).sort((a, b) => compareRanges(subtype, a, b))
  const joined: RangeValue[] = []
  for (const range of sorted) {
    const last = joined.at(-1)
    if (last === undefined || (isBefore(subtype, last, range) && !isAdjacent(subtype, last, range))) joined.push(range)
    else joined[joined.length - 1] = hull(subtype, last, range)
  }
  return joined.length === 0 ? EMPTY_MULTIRANGE : new MultirangeValue(joined)
}

/** From the first lower to the last upper bound. */
export function span(subtype: Subtype, value: MultirangeValue): RangeValue {
  const first = value.ranges[0]
  return first === undefined ? EMPTY_RANGE : hull(subtype, first, value.ranges.at(-1)!)
}

/** Range by range, then the shorter first. */
export function compareMultiranges(subtype: Subtype, a: MultirangeValue, b: MultirangeValue): number {
  const shared = Math.min(a.ranges.length, b.ranges.length)
  for (let i = 0; i < shared; i++) {
    const [x, y] = [a.ranges[i]!, b.ranges[i]!]
    const order = compareBounds(subtype, lowerOf(x), lowerOf(y)) || compareBounds(subtype, upperOf(x), upperOf(y))
    if (order !== 0) return order
  }
  return a.ranges.length - b.ranges.length
}

/** The first range that does not lie before what `isBelow` says, by halving. */
function search(ranges: readonly RangeValue[], isBelow: (range: RangeValue) => boolean): RangeValue | undefined {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBelow(ranges[middle]!)) low = middle + 1
    else high = middle
  }
  return ranges[low]
}

export function containsValue(subtype: Subtype, { ranges }: MultirangeValue, value: Value): boolean {
  const found = search(ranges, ({ upper, upperInclusive }) => {
    if (upper === null) return false
    const order = subtype.compare(upper, value)
    return order < 0 || (order === 0 && !upperInclusive)
  })
  return found !== undefined && rangeContainsValue(subtype, found, value)
}

export function containsRange(subtype: Subtype, { ranges }: MultirangeValue, range: RangeValue): boolean {
  if (range.isEmpty) return true
  const found = search(ranges, (each) => isBefore(subtype, each, range))
  return found !== undefined && rangeContains(subtype, found, range)
}

export const containsMultirange = (subtype: Subtype, a: MultirangeValue, b: MultirangeValue): boolean =>
  b.ranges.every((range) => containsRange(subtype, a, range))

export function overlapsRange(subtype: Subtype, { ranges }: MultirangeValue, range: RangeValue): boolean {
  if (range.isEmpty) return false
  const found = search(ranges, (each) => isBefore(subtype, each, range))
  return found !== undefined && !isBefore(subtype, range, found)
}

export const overlapsMultirange = (subtype: Subtype, a: MultirangeValue, b: MultirangeValue): boolean =>
  b.ranges.some((range) => overlapsRange(subtype, a, range))

/** Both walked once, side by side. */
export function intersectMultiranges(subtype: Subtype, a: MultirangeValue, b: MultirangeValue): MultirangeValue {
  const shared: RangeValue[] = []
  for (let i = 0, j = 0; i < a.ranges.length && j < b.ranges.length; ) {
    const [x, y] = [a.ranges[i]!, b.ranges[j]!]
    const both = intersection(subtype, x, y)
    if (!both.isEmpty) shared.push(both)
    if (compareBounds(subtype, upperOf(x), upperOf(y)) <= 0) i++
    else j++
  }
  return makeMultirange(subtype, shared)
}

export function subtractMultirange(subtype: Subtype, a: MultirangeValue, b: MultirangeValue): MultirangeValue {
  const left: RangeValue[] = []
  let from = 0
  for (const range of a.ranges) {
    while (from < b.ranges.length && isBefore(subtype, b.ranges[from]!, range)) from++
    let rest: RangeValue | undefined = range
    for (let i = from; rest !== undefined && i < b.ranges.length && !isBefore(subtype, rest, b.ranges[i]!); i++) {
      const parts: RangeValue[] = remainders(subtype, rest, b.ranges[i]!)
      // What lies above the part that is taken out may meet the next one.
      rest = parts.find((part) => compareBounds(subtype, lowerOf(part), lowerOf(b.ranges[i]!)) > 0)
      left.push(...parts.filter((part) => part !== rest))
    }
    if (rest !== undefined) left.push(rest)
  }
  return makeMultirange(subtype, left)
}
