/**
 * The comparison operators of the six types and between date, timestamp and timestamptz; min and max come from the same
 * orders. A date beyond the timestamps' range still compares: its midnight is only too large for the type, not for us.
 */
import type { AggregateBody, AggregateTable, FunctionBody, FunctionTable } from '../function.ts'
import { bound, scalar } from '../function.ts'
import type { Int64, Interval, TimeTz, Value } from '../value.ts'
import { compareIntervals, compareTimeTz } from './compare.ts'
import { fromLocal } from './convert.ts'
import { sessionZone } from './decode.ts'
import { midnight } from './types.ts'
import type { Zone } from './zones.ts'

const OPERATORS = {
  eq: { test: (order: number) => order === 0, js: '===' },
  ne: { test: (order: number) => order !== 0, js: '!==' },
  lt: { test: (order: number) => order < 0, js: '<' },
  le: { test: (order: number) => order <= 0, js: '<=' },
  gt: { test: (order: number) => order > 0, js: '>' },
  ge: { test: (order: number) => order >= 0, js: '>=' },
} as const

type Compare<A extends Value = Value, B extends Value = A> = (a: A, b: B) => number

const numbers = (a: Int64, b: Int64): number => (a < b ? -1 : a > b ? 1 : 0)

/** date_eq … date_cmp, date_larger, date_smaller. `isPrimitive`: JavaScript's own operators order the values. */
function family<A extends Value>(name: string, compare: Compare<A>, isPrimitive: boolean): FunctionTable {
  const table: Record<string, FunctionBody> = {}
  for (const [suffix, { test, js }] of Object.entries(OPERATORS)) {
    table[`${name}_${suffix}`] = scalar(
      (a: A, b: A) => test(compare(a, b)),
      isPrimitive ? { js: (a, b) => `(${a} ${js} ${b})` } : {},
    )
  }
  table[`${name}_cmp`] = scalar((a: A, b: A) => Math.sign(compare(a, b)))
  table[`${name}_larger`] = scalar((a: A, b: A) => (compare(a, b) > 0 ? a : b))
  table[`${name}_smaller`] = scalar((a: A, b: A) => (compare(a, b) < 0 ? a : b))
  return table
}

/** date_eq_timestamp and timestamp_eq_date, and so on: both made instants first. */
function across(
  left: string,
  right: string,
  convert: { readonly left: (value: Int64, zone: Zone) => Int64; readonly right: (value: Int64, zone: Zone) => Int64 },
): FunctionTable {
  const table: Record<string, FunctionBody> = {}
  const operators: [string, (order: number) => Value][] = [
    ...Object.entries(OPERATORS).map(([suffix, { test }]): [string, (order: number) => Value] => [suffix, test]),
    ['cmp', (order) => order],
  ]
  for (const [suffix, result] of operators) {
    table[`${left}_${suffix}_${right}`] = bound(({ context }) => {
      const zone = sessionZone(context.settings)
      return (a: Int64, b: Int64) => result(numbers(convert.left(a, zone), convert.right(b, zone)))
    })
    table[`${right}_${suffix}_${left}`] = bound(({ context }) => {
      const zone = sessionZone(context.settings)
      return (a: Int64, b: Int64) => result(numbers(convert.right(a, zone), convert.left(b, zone)))
    })
  }
  return table
}

const same = (value: Int64): Int64 => value
const dateMidnight = (value: Int64): Int64 => midnight(value as number)
const dateMidnightIn = (value: Int64, zone: Zone): Int64 => fromLocal(midnight(value as number), zone)

export const ORDER_FUNCTIONS: FunctionTable = {
  ...family<number>('date', numbers, true),
  ...family<number>('time', numbers, true),
  ...family<Int64>('timestamp', numbers, true),
  ...family<TimeTz>('timetz', compareTimeTz, false),
  ...family<Interval>('interval', compareIntervals, false),
  ...across('date', 'timestamp', { left: dateMidnight, right: same }),
  ...across('date', 'timestamptz', { left: dateMidnightIn, right: same }),
  ...across('timestamp', 'timestamptz', { left: fromLocal, right: same }),
}

/** The value that wins against all before it; the first stays among equals. */
const extreme = (wins: (a: never, b: never) => boolean): AggregateBody<Value> => ({
  strict: true,
  bind: () => ({
    init: () => null,
    step: (state: Value, value: Value) => (state === null || wins(value as never, state as never) ? value : state),
    final: (state: Value) => state,
  }),
})

export const ORDER_AGGREGATES: AggregateTable = Object.fromEntries(
  (
    [
      ['date', numbers],
      ['time', numbers],
      ['timestamp', numbers],
      ['timestamptz', numbers],
      ['timetz', compareTimeTz],
      ['interval', compareIntervals],
    ] as [string, (a: never, b: never) => number][]
  ).flatMap(([type, compare]) => [
    [`min(${type})`, extreme((a, b) => compare(a, b) < 0) as AggregateBody],
    [`max(${type})`, extreme((a, b) => compare(a, b) > 0) as AggregateBody],
  ]),
)
