/** Ranges and multiranges of integers against sets of integers, and the laws every type keeps. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  difference,
  hull,
  intersection,
  isAdjacent,
  isBefore,
  makeRange,
  overlaps,
  rangeContains,
  rangeContainsValue,
  union,
} from '../../sql/types/range/bounds.ts'
import {
  containsMultirange,
  containsRange,
  containsValue,
  intersectMultiranges,
  makeMultirange,
  overlapsMultirange,
  overlapsRange,
  subtractMultirange,
} from '../../sql/types/range/multirange.ts'
import type { MultirangeType, RangeType } from '../../sql/types/range/range-type.ts'
import { Numeric, type RangeValue, type Value } from '../../sql/types/value.ts'
import { named, registerAll } from '../types/cases.ts'
import { keyOf, signOf, throughBinary, throughStorage, throughText } from './values.ts'

registerAll()
const { subtype } = named('int4range') as RangeType
// Bounds are -4 … 4; what lies outside stands for the infinite.
const PLACES = Array.from({ length: 13 }, (_, i) => i - 6)

const bound = fc.option(fc.integer({ min: -4, max: 4 }))
const rangesOf = (name: string, toValue: (n: number) => Value) =>
  fc.tuple(bound, bound, fc.boolean(), fc.boolean()).map(([a, b, lowerInclusive, upperInclusive]) => {
    const [low, high] = a !== null && b !== null && a > b ? [b, a] : [a, b]
    return makeRange(
      (named(name) as RangeType).subtype,
      { value: low === null ? null : toValue(low), inclusive: lowerInclusive, isLower: true },
      { value: high === null ? null : toValue(high), inclusive: upperInclusive, isLower: false },
    )
  })
const ranges = rangesOf('int4range', (n) => n)
const multiranges = fc.array(ranges, { maxLength: 4 }).map((list) => makeMultirange(subtype, list))

const setOf = (range: RangeValue): Set<number> => new Set(PLACES.filter((n) => rangeContainsValue(subtype, range, n)))
const setOfMany = (list: readonly RangeValue[]): number[] =>
  PLACES.filter((n) => list.some((range) => rangeContainsValue(subtype, range, n)))
const sorted = (set: Iterable<number>): number[] => [...set].sort((a, b) => a - b)
const refused = (run: () => RangeValue): RangeValue | undefined => {
  try {
    return run()
  } catch {
    return undefined
  }
}
/** No gap inside. */
const isOneSpan = (set: readonly number[]): boolean => set.length === 0 || set.at(-1)! - set[0]! === set.length - 1

describe('ranges', () => {
  it('are sets', () => {
    fc.assert(
      fc.property(ranges, ranges, (a, b) => {
        const [x, y] = [setOf(a), setOf(b)]
        const both = sorted([...x].filter((n) => y.has(n)))
        const either = sorted(new Set([...x, ...y]))
        const only = sorted([...x].filter((n) => !y.has(n)))
        expect(sorted(setOf(intersection(subtype, a, b)))).toEqual(both)
        expect(overlaps(subtype, a, b)).toBe(both.length > 0)
        expect(rangeContains(subtype, a, b)).toBe([...y].every((n) => x.has(n)))
        const joined = refused(() => union(subtype, a, b))
        expect(joined && sorted(setOf(joined))).toEqual(isOneSpan(either) ? either : undefined)
        const left = refused(() => difference(subtype, a, b))
        expect(left && sorted(setOf(left))).toEqual(isOneSpan(only) ? only : undefined)
        const whole = sorted(setOf(hull(subtype, a, b)))
        expect(isOneSpan(whole) && either.every((n) => whole.includes(n))).toBe(true)
        const below = x.size > 0 && y.size > 0 && Math.max(...x) < Math.min(...y)
        expect(isBefore(subtype, a, b)).toBe(below)
        const above = x.size > 0 && y.size > 0 && Math.max(...y) < Math.min(...x)
        expect(isAdjacent(subtype, a, b)).toBe((below || above) && isOneSpan(either))
      }),
      { numRuns: 2000 },
    )
  })
  it('multiranges are sets', () => {
    fc.assert(
      fc.property(multiranges, multiranges, ranges, (a, b, range) => {
        const [x, y, z] = [setOfMany(a.ranges), setOfMany(b.ranges), [...setOf(range)]]
        expect(setOfMany(intersectMultiranges(subtype, a, b).ranges)).toEqual(x.filter((n) => y.includes(n)))
        expect(setOfMany(subtractMultirange(subtype, a, b).ranges)).toEqual(x.filter((n) => !y.includes(n)))
        const both = makeMultirange(subtype, [...a.ranges, ...b.ranges])
        expect(setOfMany(both.ranges)).toEqual(sorted(new Set([...x, ...y])))
        for (const [i, each] of both.ranges.slice(1).entries()) {
          expect(isBefore(subtype, both.ranges[i]!, each) && !isAdjacent(subtype, both.ranges[i]!, each)).toBe(true)
        }
        for (const n of PLACES) expect(containsValue(subtype, a, n)).toBe(x.includes(n))
        expect(containsRange(subtype, a, range)).toBe(z.every((n) => x.includes(n)))
        expect(overlapsRange(subtype, a, range)).toBe(z.some((n) => x.includes(n)))
        expect(containsMultirange(subtype, a, b)).toBe(y.every((n) => x.includes(n)))
        expect(overlapsMultirange(subtype, a, b)).toBe(y.some((n) => x.includes(n)))
      }),
      { numRuns: 2000 },
    )
  })
  it('come back from text, binary and rows; keys order as values, equal values hash alike', () => {
    const decimals = rangesOf('numrange', (n) => new Numeric(BigInt(n) * 5n, 1))
    const cases = [
      ['int4range', ranges],
      ['numrange', decimals],
      ['int4multirange', multiranges],
      [
        'nummultirange',
        fc
          .array(decimals, { maxLength: 4 })
          .map((list) => makeMultirange((named('nummultirange') as MultirangeType).rangeType.subtype, list)),
      ],
    ] as readonly (readonly [string, fc.Arbitrary<Value>])[]
    for (const [name, values] of cases) {
      const type = named(name)
      fc.assert(
        fc.property(values, values, (a, b) => {
          for (const way of [throughText, throughBinary, throughStorage]) expect(way(type, a)).toEqual(a)
          const order = Math.sign(type.compare!(a, b))
          expect(signOf(keyOf(type, a), keyOf(type, b))).toBe(order)
          expect(type.hashKey!(a) === type.hashKey!(b)).toBe(order === 0)
        }),
        { numRuns: 1000 },
      )
    }
  })
})
