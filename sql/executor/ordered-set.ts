/**
 * Ordered-set and hypothetical-set aggregates (PostgreSQL 15 manual, tables 9.61 and 9.62): functions of the group's rows in
 * order and the direct arguments. A hypothetical row stands before the rows that are equal to it.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { notSupported, sqlError } from '../types/error.ts'
import { type CallContext, functionBodies } from '../types/function.ts'
import { OID } from '../types/oids.ts'
import { ArrayValue, type Row, type Value } from '../types/value.ts'
import type { Callable } from './functions.ts'
import { hashKeyOf } from './hashing.ts'
import type { RowOrder } from './order.ts'

export interface OrderedSetInfo {
  readonly catalog: Catalog
  readonly context: CallContext
  /** Of the sort columns. */
  readonly types: readonly Oid[]
  readonly order: RowOrder
  readonly returnType: Oid
}
/** `rows` sorted; those with a NULL are left out before for all but the hypothetical ones. */
export type OrderedSet = (rows: readonly Row[], direct: readonly Value[], info: OrderedSetInfo) => Value

/** By the signature's name and its arguments. */
export function orderedSet(signature: string): OrderedSet | undefined {
  return BODIES[signature] ?? BODIES[signature.slice(0, signature.indexOf('('))]
}

const BODIES: Readonly<Record<string, OrderedSet>> = {
  'percentile_disc(float8,anyelement)': (rows, [fraction]) =>
    rows.length === 0 || fraction === null ? null : discrete(rows, checked(fraction as number)),
  'percentile_disc(_float8,anyelement)': (rows, [fractions]) =>
    each(rows, fractions!, (fraction) => discrete(rows, fraction)),
  'percentile_cont(float8,float8)': (rows, [fraction]) =>
    rows.length === 0 || fraction === null ? null : continuous(rows, checked(fraction as number), betweenNumbers),
  'percentile_cont(_float8,float8)': (rows, [fractions]) =>
    each(rows, fractions!, (fraction) => continuous(rows, fraction, betweenNumbers)),
  'percentile_cont(float8,interval)': (rows, [fraction], { context }) =>
    rows.length === 0 || fraction === null
      ? null
      : continuous(rows, checked(fraction as number), betweenIntervals(context)),
  'percentile_cont(_float8,interval)': (rows, [fractions], { context }) =>
    each(rows, fractions!, (fraction) => continuous(rows, fraction, betweenIntervals(context))),
  mode,
  rank: (rows, direct, { order }) => before(rows, direct, order) + 1,
  dense_rank: (rows, direct, { order }) => {
    const count = before(rows, direct, order)
    let groups = 0
    for (let i = 0; i < count; i++) if (i === 0 || order(rows[i - 1]!, rows[i]!) !== 0) groups++
    return groups + 1
  },
  percent_rank: (rows, direct, { order }) => (rows.length === 0 ? 0 : before(rows, direct, order) / rows.length),
  cume_dist: (rows, direct, { order }) => {
    let upTo = 0
    while (upTo < rows.length && order(rows[upTo]!, direct) <= 0) upTo++
    return (upTo + 1) / (rows.length + 1)
  },
}

function before(rows: readonly Row[], direct: Row, order: RowOrder): number {
  let count = 0
  while (count < rows.length && order(rows[count]!, direct) < 0) count++
  return count
}

function checked(fraction: number): number {
  if (fraction < 0 || fraction > 1 || Number.isNaN(fraction))
    throw sqlError('22003', `percentile value ${fraction} is not between 0 and 1`)
  return fraction
}

function each(rows: readonly Row[], fractions: Value, one: (fraction: number) => Value): Value {
  if (rows.length === 0 || fractions === null) return null
  const { elements, dimensions, lower } = fractions as ArrayValue
  return new ArrayValue(
    elements.map((f) => (f === null ? null : one(checked(f as number)))),
    dimensions,
    lower,
  )
}

function discrete(rows: readonly Row[], fraction: number): Value {
  return rows[Math.max(Math.ceil(fraction * rows.length), 1) - 1]![0]!
}

function continuous(
  rows: readonly Row[],
  fraction: number,
  between: (low: Value, high: Value, part: number) => Value,
): Value {
  const position = fraction * (rows.length - 1)
  const first = Math.floor(position)
  const second = Math.ceil(position)
  const low = rows[first]![0]!
  return first === second ? low : between(low, rows[second]![0]!, position - first)
}
const betweenNumbers = (low: Value, high: Value, part: number): Value =>
  (low as number) + part * ((high as number) - (low as number))

function betweenIntervals(context: CallContext) {
  const call = (prosrc: string, argTypes: readonly Oid[]): Callable => {
    const body = functionBodies.get(prosrc)
    if (body === undefined || body.kind === 'set') throw notSupported(`percentile_cont of intervals (${prosrc})`)
    if (body.kind === 'scalar') return body.run as unknown as Callable
    return body.bind({
      argTypes,
      argTypmods: argTypes.map(() => -1),
      returnType: OID.interval,
      variadic: false,
      context,
    }) as unknown as Callable
  }
  const minus = call('interval_mi', [OID.interval, OID.interval])
  const times = call('interval_mul', [OID.interval, OID.float8])
  const plus = call('interval_pl', [OID.interval, OID.interval])
  return (low: Value, high: Value, part: number): Value => plus(times(minus(high, low), part), low)
}

/** The most frequent value; the first of them in order when several are. */
function mode(rows: readonly Row[], _direct: readonly Value[], { catalog, types }: OrderedSetInfo): Value {
  const key = hashKeyOf(catalog.type(types[0]!))
  let best: Value = null
  let bestCount = 0
  for (let from = 0; from < rows.length; ) {
    const value = rows[from]![0]!
    const k = key(value)
    let to = from + 1
    while (to < rows.length && Object.is(key(rows[to]![0]!), k)) to++
    if (to - from > bestCount) {
      best = value
      bestCount = to - from
    }
    from = to
  }
  return best
}
