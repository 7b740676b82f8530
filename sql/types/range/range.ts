/**
 * Ranges and multiranges: the door. The six built-in range types and their multiranges, and what is done with them; the
 * catalog makes those of CREATE TYPE … AS RANGE with `rangeType` and `multirangeType`.
 * https://www.postgresql.org/docs/15/rangetypes.html
 */
import { oid } from '../../../storage/keys/brand.ts'
import { addDays } from '../datetime/arithmetic.ts'
import { install, installAggregates } from '../function.ts'
import { int4, int8pl } from '../number/int.ts'
import { builtinTypes, registerTypes } from '../registry.ts'
import type { Int64, Value } from '../value.ts'
import { RANGE_AGGREGATES, RANGE_FUNCTIONS } from './functions.ts'
import { multirangeType, rangeType } from './range-type.ts'

interface Builtin {
  readonly range: readonly [number, string]
  readonly multirange: readonly [number, string]
  readonly bounds: number
  readonly next?: (value: Value) => Value
}

/** pg_range, with the step of the canonical functions. */
const BUILTIN: readonly Builtin[] = [
  {
    range: [3904, 'int4range'],
    multirange: [4451, 'int4multirange'],
    bounds: 23,
    next: (n) => int4((n as number) + 1),
  },
  { range: [3906, 'numrange'], multirange: [4532, 'nummultirange'], bounds: 1700 },
  { range: [3908, 'tsrange'], multirange: [4533, 'tsmultirange'], bounds: 1114 },
  { range: [3910, 'tstzrange'], multirange: [4534, 'tstzmultirange'], bounds: 1184 },
  {
    range: [3912, 'daterange'],
    multirange: [4535, 'datemultirange'],
    bounds: 1082,
    next: (day) => addDays(day as number, 1),
  },
  { range: [3926, 'int8range'], multirange: [4536, 'int8multirange'], bounds: 20, next: (n) => int8pl(n as Int64, 1) },
]

export function registerRanges(): void {
  install(RANGE_FUNCTIONS)
  installAggregates(RANGE_AGGREGATES)
  for (const { range, multirange, bounds, next } of BUILTIN) {
    const made = rangeType({
      oid: oid(range[0]),
      name: range[1],
      bounds: builtinTypes.get(oid(bounds))!,
      ...(next && { next }),
    })
    registerTypes([made, multirangeType(oid(multirange[0]), multirange[1], made)])
  }
}
