/** make_date and its kin, generate_series, OVERLAPS and isfinite (PostgreSQL 15 manual, 9.9 and 9.25). */
import { sqlError } from '../error.ts'
import type { FunctionBody, FunctionTable } from '../function.ts'
import { bound, scalar, set } from '../function.ts'
import type { Int64, TimeTz, Value } from '../value.ts'
import { Interval } from '../value.ts'
import { timestampPlusInterval, timestamptzPlusInterval } from './arithmetic.ts'
import {
  add64,
  DATE_END,
  DATE_MIN,
  daysInMonth,
  EPOCH_JULIAN,
  instantOf,
  isFinite64,
  isJulianDate,
  isTimestamp,
  julianDay,
  MICROS_PER_DAY,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
} from './calendar.ts'
import { compareTimeTz, spanOf } from './compare.ts'
import { checkTimestamp, fromLocal, outOfRange, shortNumber, wrapTime, zoneMeaning } from './convert.ts'
import { decodeOffset, sessionZone } from './decode.ts'
import { two } from './encode.ts'
import { DecodeFailure, unknownZone } from './failure.ts'
import { offsetOfDynamic } from './zones.ts'

const roundEven = (n: number): number => {
  const rounded = Math.round(n)
  return rounded - n === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
const signedTwo = (n: number): string => (n < 0 ? String(n) : two(n))
const dateWords = (year: number, month: number, day: number): string => `${year}-${signedTwo(month)}-${signedTwo(day)}`
const clockWords = (hour: number, minute: number, second: number): string =>
  `${hour}:${signedTwo(minute)}:${shortNumber(second).padStart(2, '0')}`

/** Days since 2000; a negative year is BC. Throws 22008, which names the year as `named`. */
function dayOfParts(year: number, month: number, day: number, named: number): number {
  const counted = astronomical(year)
  const isDate = year !== 0 && month >= 1 && month <= 12 && day >= 1 && day <= 31 && day <= daysInMonth(counted, month)
  if (!isDate) throw sqlError('22008', `date field value out of range: ${dateWords(named, month, day)}`)
  const result = isJulianDate(counted, month) ? julianDay(counted, month, day) - EPOCH_JULIAN : Number.NaN
  if (!(result >= DATE_MIN && result < DATE_END)) {
    throw sqlError('22008', `date out of range: ${dateWords(named, month, day)}`)
  }
  return result
}
/** 1 BC is year 0. */
const astronomical = (year: number): number => (year < 0 ? year + 1 : year)
const makeDate = (year: number, month: number, day: number): number => dayOfParts(year, month, day, astronomical(year))

/** Microseconds since midnight; 24:00:00 and seconds up to 60 are allowed. Throws 22008. */
function makeTime(hour: number, minute: number, second: number): number {
  const refuse = () => sqlError('22008', `time field value out of range: ${clockWords(hour, minute, second)}`)
  if (!(hour >= 0 && hour <= 24 && minute >= 0 && minute <= 59) || Number.isNaN(second)) throw refuse()
  const micros = roundEven(second * MICROS_PER_SECOND)
  if (micros < 0 || micros > 60 * MICROS_PER_SECOND) throw refuse()
  const total = (hour * 60 + minute) * MICROS_PER_MINUTE + micros
  if (total > MICROS_PER_DAY) throw refuse()
  return total
}

function makeTimestamp(year: number, month: number, day: number, hour: number, minute: number, second: number): Int64 {
  const instant = instantOf(dayOfParts(year, month, day, year), makeTime(hour, minute, second))
  if (!isTimestamp(instant)) {
    const shown = `${dateWords(year, month, day)} ${clockWords(hour, minute, second)}`
    throw sqlError('22008', `timestamp out of range: ${shown}`)
  }
  return instant
}

/** A zone's text as the offset of a local time: a number with a sign, an abbreviation or a name. */
function offsetOfZoneText(text: string, local: Int64): number {
  if (/^\d/.test(text)) {
    throw sqlError('22023', `invalid input syntax for type numeric time zone: "${text}"`, {
      hint: 'Numeric time zones must have "-" or "+" as first character.',
    })
  }
  try {
    return decodeOffset(text)
  } catch (error) {
    if (!(error instanceof DecodeFailure)) throw error
    if (error.kind === 'zone') throw sqlError('22023', `numeric time zone "${text}" out of range`)
    if (error.kind !== 'format') throw unknownZone(text)
  }
  const meaning = zoneMeaning(text)
  const second = Number(BigInt(local) / 1_000_000n) + 946_684_800
  switch (meaning.kind) {
    case 'offset':
      return meaning.offset
    case 'zone':
      return meaning.zone.offsetOfLocal(second)
    case 'dynamic':
      return offsetOfDynamic(meaning.zone, meaning.name, second)
  }
}

function makeIntervalOf(
  years: number,
  months: number,
  weeks: number,
  days: number,
  hours: number,
  minutes: number,
  seconds: number,
): Interval {
  if (!Number.isFinite(seconds)) throw outOfRange('interval')
  const micros = roundEven(seconds * MICROS_PER_SECOND)
  const time = add64(
    add64(hours * MICROS_PER_HOUR, minutes * MICROS_PER_MINUTE),
    Number.isSafeInteger(micros) ? micros + 0 : BigInt(micros),
  )
  // Whole numbers wrap around in 32 bits, as PostgreSQL 15 lets them.
  const wrap = (n: number): number => Number(BigInt.asIntN(32, BigInt(n)))
  return new Interval(wrap(years * 12 + months), wrap(weeks * 7 + days), time)
}

// --- generate_series ----------------------------------------------------------------------------------------------

function* series(
  start: Int64,
  stop: Int64,
  step: Interval,
  next: (at: Int64) => Int64,
  check: () => void,
): Iterable<Value> {
  const span = spanOf(step)
  if (span === 0) throw sqlError('22023', 'step size cannot equal zero')
  let count = 0
  for (let at = start; span > 0 ? at <= stop : at >= stop; at = next(at)) {
    if ((++count & 1023) === 0) check()
    yield at
  }
}

// --- OVERLAPS -----------------------------------------------------------------------------------------------------

type Endpoint<T> = T | null

/** SQL's OVERLAPS over half-open spans, either end first; null ends may leave the answer open. */
function overlaps<T>(
  start1: Endpoint<T>,
  end1: Endpoint<T>,
  start2: Endpoint<T>,
  end2: Endpoint<T>,
  compare: (a: T, b: T) => number,
): boolean | null {
  const sorted = (a: Endpoint<T>, b: Endpoint<T>): readonly [T, Endpoint<T>] | undefined => {
    if (a === null) return b === null ? undefined : [b, null]
    if (b === null) return [a, null]
    return compare(a, b) > 0 ? [b, a] : [a, b]
  }
  const first = sorted(start1, end1)
  const second = sorted(start2, end2)
  if (first === undefined || second === undefined) return null
  const order = compare(first[0], second[0])
  if (order === 0) return first[1] === null || second[1] === null ? null : true
  const [later, earlier] = order > 0 ? [first, second] : [second, first]
  if (earlier[1] === null) return null
  if (compare(later[0], earlier[1]) < 0) return true
  return later[1] === null ? null : false
}

const order = (a: Int64, b: Int64): number => (a < b ? -1 : a > b ? 1 : 0)

/** The forms of OVERLAPS with a length in place of an end. */
function overlapForms(type: string, plus: (at: Int64, length: Interval) => Int64): [string, FunctionBody][] {
  const end = (start: Endpoint<Int64>, length: Interval | null) =>
    start === null || length === null ? null : plus(start, length)
  type E = Endpoint<Int64>
  type L = Interval | null
  return [
    [
      `overlaps(${type},interval,${type},interval)`,
      scalar((a: E, b: L, c: E, d: L) => overlaps(a, end(a, b), c, end(c, d), order)),
    ],
    [
      `overlaps(${type},${type},${type},interval)`,
      scalar((a: E, b: E, c: E, d: L) => overlaps(a, b, c, end(c, d), order)),
    ],
    [
      `overlaps(${type},interval,${type},${type})`,
      scalar((a: E, b: L, c: E, d: E) => overlaps(a, end(a, b), c, d, order)),
    ],
  ]
}

/** The same for timestamptz, which needs the session's zone. */
function zonedOverlapForms(): [string, FunctionBody][] {
  return overlapForms('timestamptz', timestampPlusInterval).map(([signature], form): [string, FunctionBody] => [
    signature,
    bound(({ context }) => {
      const zone = sessionZone(context.settings)
      const forms = overlapForms('timestamptz', (at, length) => timestamptzPlusInterval(at, length, zone))
      const body = forms[form]?.[1]
      if (body?.kind !== 'scalar') throw new TypeError('overlaps has three forms')
      return body.run as (...args: Value[]) => Value
    }),
  ])
}

export const MAKE_FUNCTIONS: FunctionTable = {
  make_date: scalar(makeDate),
  make_time: scalar(makeTime),
  make_timestamp: scalar(makeTimestamp),
  make_timestamptz: bound(({ context }) => {
    const zone = sessionZone(context.settings)
    return (year: number, month: number, day: number, hour: number, minute: number, second: number) =>
      checkTimestamp(fromLocal(makeTimestamp(year, month, day, hour, minute, second), zone))
  }),
  make_timestamptz_at_timezone: scalar(
    (year: number, month: number, day: number, hour: number, minute: number, second: number, zone: string) => {
      const local = makeTimestamp(year, month, day, hour, minute, second)
      return checkTimestamp(add64(local, -offsetOfZoneText(zone, local) * MICROS_PER_SECOND))
    },
  ),
  make_interval: scalar(makeIntervalOf),
  date_finite: scalar((day: number) => Number.isFinite(day)),
  timestamp_finite: scalar((instant: Int64) => isFinite64(instant)),
  interval_finite: scalar((_: Interval) => true),
  generate_series_timestamp: set(
    ({ context }) =>
      (start: Int64, stop: Int64, step: Interval) =>
        series(
          start,
          stop,
          step,
          (at) => timestampPlusInterval(at, step),
          () => context.checkInterrupts(),
        ),
  ),
  generate_series_timestamptz: set(({ context }) => {
    const zone = sessionZone(context.settings)
    return (start: Int64, stop: Int64, step: Interval) =>
      series(
        start,
        stop,
        step,
        (at) => timestamptzPlusInterval(at, step, zone),
        () => context.checkInterrupts(),
      )
  }),
  overlaps_timestamp: scalar((a: Endpoint<Int64>, b: Endpoint<Int64>, c: Endpoint<Int64>, d: Endpoint<Int64>) =>
    overlaps(a, b, c, d, order),
  ),
  overlaps_time: scalar((a: Endpoint<number>, b: Endpoint<number>, c: Endpoint<number>, d: Endpoint<number>) =>
    overlaps(a, b, c, d, order),
  ),
  overlaps_timetz: scalar((a: Endpoint<TimeTz>, b: Endpoint<TimeTz>, c: Endpoint<TimeTz>, d: Endpoint<TimeTz>) =>
    overlaps(a, b, c, d, compareTimeTz),
  ),
  ...Object.fromEntries([
    ...overlapForms('timestamp', timestampPlusInterval),
    ...zonedOverlapForms(),
    ...overlapForms('time', (at, length) => {
      const delta =
        typeof length.micros === 'number' ? length.micros % MICROS_PER_DAY : Number(length.micros % 86_400_000_000n)
      return wrapTime((at as number) + delta)
    }),
  ]),
}
