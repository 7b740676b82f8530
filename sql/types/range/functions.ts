/**
 * The bodies of PostgreSQL's range and multirange functions and operators. All are polymorphic: a call is bound once to
 * the type of its range argument, or of its result for what makes ranges.
 * https://www.postgresql.org/docs/15/functions-range.html
 */
import { sqlError } from '../error.ts'
import {
  type AggregateBody,
  type AggregateTable,
  bound,
  type CallInfo,
  type FunctionBody,
  type FunctionTable,
  scalar,
  set,
} from '../function.ts'
import { type ArrayValue, type MultirangeValue, RangeValue, type Value } from '../value.ts'
import {
  compareRanges,
  difference,
  hull,
  intersection,
  isAdjacent,
  isBefore,
  isOverLeft,
  isOverRight,
  makeRange,
  overlaps,
  rangeContains,
  rangeContainsValue,
  type Subtype,
  union,
} from './bounds.ts'
import {
  compareMultiranges,
  containsMultirange,
  containsRange,
  containsValue,
  EMPTY_MULTIRANGE,
  intersectMultiranges,
  makeMultirange,
  overlapsMultirange,
  overlapsRange,
  span,
  subtractMultirange,
} from './multirange.ts'
import { isMultirangeType, isRangeType } from './range-type.ts'

/** The subtype of the first range or multirange among the call's arguments and result. */
function subtypeOf(call: CallInfo): Subtype {
  for (const oid of [...call.argTypes, call.returnType]) {
    const type = call.context.type(oid)
    if (isRangeType(type)) return type.subtype
    if (isMultirangeType(type)) return type.rangeType.subtype
  }
  throw sqlError('42804', `type ${call.argTypes[0]} is not a range type`)
}

/** A body that gets the subtype first. */
const over = <A extends Value[]>(run: (subtype: Subtype, ...args: A) => Value): FunctionBody =>
  bound<A>((call) => {
    const subtype = subtypeOf(call)
    return (...args) => run(subtype, ...args)
  })

type Relation<A, B> = (subtype: Subtype, a: A, b: B) => boolean
const swapped =
  <A, B>(relation: Relation<A, B>): Relation<B, A> =>
  (subtype, b, a) =>
    relation(subtype, a, b)

const last = ({ ranges }: MultirangeValue): RangeValue | undefined => ranges.at(-1)
const first = ({ ranges }: MultirangeValue): RangeValue | undefined => ranges[0]
/** A relation of ranges asked of one end of a multirange on either side; false for an empty one. */
const ofEnds =
  <A extends RangeValue | MultirangeValue, B extends RangeValue | MultirangeValue>(
    relation: Relation<RangeValue, RangeValue>,
    endA: typeof last,
    endB: typeof last,
  ): Relation<A, B> =>
  (subtype, a, b) => {
    const x = a instanceof RangeValue ? a : endA(a)
    const y = b instanceof RangeValue ? b : endB(b)
    return x !== undefined && y !== undefined && relation(subtype, x, y)
  }

/** The three functions of a relation that asks for one end of each side: `multirange_NAME_range` and its kin. */
function relationOfEnds(
  name: string,
  relation: Relation<RangeValue, RangeValue>,
  endA: typeof last,
  endB: typeof last,
): FunctionTable {
  const body = over(ofEnds(relation, endA, endB))
  return {
    [`range_${name}_multirange`]: body,
    [`multirange_${name}_range`]: body,
    [`multirange_${name}_multirange`]: body,
  }
}

/** They touch at the one's end and the other's beginning, either way round. */
const adjacentEnds: Relation<RangeValue | MultirangeValue, RangeValue | MultirangeValue> = (subtype, a, b) => {
  const touches: Relation<RangeValue, RangeValue> = (s, x, y) => isBefore(s, x, y) && isAdjacent(s, x, y)
  return ofEnds(touches, last, first)(subtype, a, b) || ofEnds(touches, last, first)(subtype, b, a)
}

function comparisons<T extends Value>(
  prefix: string,
  compare: (subtype: Subtype, a: T, b: T) => number,
): FunctionTable {
  const body = (test: (order: number) => Value) => over<[T, T]>((subtype, a, b) => test(compare(subtype, a, b)))
  return {
    [`${prefix}_eq`]: body((order) => order === 0),
    [`${prefix}_ne`]: body((order) => order !== 0),
    [`${prefix}_lt`]: body((order) => order < 0),
    [`${prefix}_le`]: body((order) => order <= 0),
    [`${prefix}_gt`]: body((order) => order > 0),
    [`${prefix}_ge`]: body((order) => order >= 0),
    [`${prefix}_cmp`]: body((order) => Math.sign(order)),
  }
}

function construct(subtype: Subtype, lower: Value, upper: Value, flags: string): RangeValue {
  if (!/^[[(][\])]$/.test(flags))
    throw sqlError('42601', 'invalid range bound flags', { hint: 'Valid values are "[]", "[)", "(]", and "()".' })
  return makeRange(
    subtype,
    { value: lower, inclusive: flags[0] === '[', isLower: true },
    { value: upper, inclusive: flags[1] === ']', isLower: false },
  )
}

function fromArray(subtype: Subtype, array: ArrayValue): MultirangeValue {
  if (array.dimensions.length > 1)
    throw sqlError('21000', 'multiranges cannot be constructed from multidimensional arrays')
  if (array.elements.includes(null)) throw sqlError('22004', 'multirange values cannot contain null members')
  return makeMultirange(subtype, array.elements as readonly RangeValue[])
}

/** What both kinds are asked about their bounds. */
function accessors(prefix: string, ends: (value: never) => readonly [RangeValue | undefined, RangeValue | undefined]) {
  const ask = (of: (lower: RangeValue | undefined, upper: RangeValue | undefined) => Value): FunctionBody =>
    scalar((value: RangeValue & MultirangeValue) => of(...ends(value as never)))
  const table: FunctionTable = {
    [`${prefix}_lower`]: ask((lower) => lower?.lower ?? null),
    [`${prefix}_upper`]: ask((_, upper) => upper?.upper ?? null),
    [`${prefix}_lower_inc`]: ask((lower) => lower?.lowerInclusive ?? false),
    [`${prefix}_upper_inc`]: ask((_, upper) => upper?.upperInclusive ?? false),
    [`${prefix}_lower_inf`]: ask((lower) => lower !== undefined && !lower.isEmpty && lower.lower === null),
    [`${prefix}_upper_inf`]: ask((_, upper) => upper !== undefined && !upper.isEmpty && upper.upper === null),
    [`${prefix}_empty`]: ask((lower) => lower === undefined || lower.isEmpty),
  }
  return table
}

type Range = RangeValue
type Multirange = MultirangeValue
const multirangeContainedBy: Relation<Multirange, Range> = (subtype, a, b) =>
  rangeContains(subtype, b, span(subtype, a))

export const RANGE_FUNCTIONS: FunctionTable = {
  range_constructor2: over<[Value, Value]>((subtype, lower, upper) => construct(subtype, lower, upper, '[)')),
  range_constructor3: over<[Value, Value, string | null]>((subtype, lower, upper, flags) => {
    if (flags === null) throw sqlError('22000', 'range constructor flags argument must not be null')
    return construct(subtype, lower, upper, flags)
  }),
  ...accessors('range', (range: Range) => [range, range]),
  ...comparisons<Range>('range', compareRanges),
  range_contains: over<[Range, Range]>(rangeContains),
  range_contained_by: over<[Range, Range]>(swapped(rangeContains)),
  range_contains_elem: over<[Range, Value]>(rangeContainsValue),
  elem_contained_by_range: over<[Value, Range]>(swapped(rangeContainsValue)),
  range_before: over<[Range, Range]>(isBefore),
  range_after: over<[Range, Range]>(swapped(isBefore)),
  range_overleft: over<[Range, Range]>(isOverLeft),
  range_overright: over<[Range, Range]>(isOverRight),
  range_overlaps: over<[Range, Range]>(overlaps),
  range_adjacent: over<[Range, Range]>(isAdjacent),
  range_union: over<[Range, Range]>(union),
  range_intersect: over<[Range, Range]>(intersection),
  range_minus: over<[Range, Range]>(difference),
  range_merge: over<[Range, Range]>(hull),
  // The canonical form is what every range is made in.
  int4range_canonical: scalar((range: Range) => range),
  int8range_canonical: scalar((range: Range) => range),
  daterange_canonical: scalar((range: Range) => range),

  multirange_constructor0: scalar(() => EMPTY_MULTIRANGE),
  multirange_constructor1: over<[Range]>((subtype, range) => makeMultirange(subtype, [range])),
  multirange_constructor2: over<[ArrayValue]>(fromArray),
  ...accessors('multirange', (value: Multirange) => [first(value), last(value)]),
  ...comparisons<Multirange>('multirange', compareMultiranges),
  multirange_contains_multirange: over<[Multirange, Multirange]>(containsMultirange),
  multirange_contained_by_multirange: over<[Multirange, Multirange]>(swapped(containsMultirange)),
  multirange_contains_range: over<[Multirange, Range]>(containsRange),
  range_contained_by_multirange: over<[Range, Multirange]>(swapped(containsRange)),
  range_contains_multirange: over<[Range, Multirange]>(swapped(multirangeContainedBy)),
  multirange_contained_by_range: over<[Multirange, Range]>(multirangeContainedBy),
  multirange_contains_elem: over<[Multirange, Value]>(containsValue),
  elem_contained_by_multirange: over<[Value, Multirange]>(swapped(containsValue)),
  multirange_overlaps_multirange: over<[Multirange, Multirange]>(overlapsMultirange),
  multirange_overlaps_range: over<[Multirange, Range]>(overlapsRange),
  range_overlaps_multirange: over<[Range, Multirange]>(swapped(overlapsRange)),
  ...relationOfEnds('before', isBefore, last, first),
  ...relationOfEnds('after', swapped(isBefore), first, last),
  ...relationOfEnds('overleft', isOverLeft, last, last),
  ...relationOfEnds('overright', isOverRight, first, first),
  range_adjacent_multirange: over<[Range, Multirange]>(adjacentEnds),
  multirange_adjacent_range: over<[Multirange, Range]>(adjacentEnds),
  multirange_adjacent_multirange: over<[Multirange, Multirange]>(adjacentEnds),
  multirange_union: over<[Multirange, Multirange]>((subtype, a, b) =>
    makeMultirange(subtype, [...a.ranges, ...b.ranges]),
  ),
  multirange_intersect: over<[Multirange, Multirange]>(intersectMultiranges),
  multirange_minus: over<[Multirange, Multirange]>(subtractMultirange),
  range_merge_from_multirange: over<[Multirange]>(span),
  multirange_unnest: set<[Multirange]>(
    () =>
      ({ ranges }) =>
        ranges,
  ),
}

/** Everything collected, joined at the end; null when there was nothing but NULLs. */
const collect = <T extends Range | Multirange>(rangesOf: (value: T) => readonly Range[]): AggregateBody => ({
  strict: false,
  bind: (call) => {
    const subtype = subtypeOf(call)
    return {
      init: () => undefined,
      step: (state, value: T | null) => {
        if (value === null) return state
        const all = (state as Range[] | undefined) ?? []
        all.push(...rangesOf(value))
        return all
      },
      final: (state) => (state === undefined ? null : makeMultirange(subtype, state as Range[])),
    }
  },
})

const intersected = <T extends Range | Multirange>(
  intersect: (subtype: Subtype, a: T, b: T) => T,
): AggregateBody<T | null> => ({
  strict: true,
  bind: (call) => {
    const subtype = subtypeOf(call)
    return {
      init: () => null,
      step: (state: T | null, value: T) => (state === null ? value : intersect(subtype, state, value)),
      final: (state) => state,
    }
  },
})

export const RANGE_AGGREGATES: AggregateTable = {
  'range_agg(anyrange)': collect((range: Range) => [range]),
  'range_agg(anymultirange)': collect(({ ranges }: Multirange) => ranges),
  'range_intersect_agg(anyrange)': intersected<Range>(intersection) as AggregateBody,
  'range_intersect_agg(anymultirange)': intersected<Multirange>(intersectMultiranges) as AggregateBody,
}
