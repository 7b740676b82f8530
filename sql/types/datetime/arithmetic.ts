/**
 * Sums and differences. Adding an interval adds its months to the date (the day at most the month's last), then its days,
 * then its time; for timestamptz months and days go by the local calendar of the session's zone.
 */
import { sqlError } from '../error.ts'
import type { AggregateTable, FunctionTable } from '../function.ts'
import { bound, scalar } from '../function.ts'
import type { Int64 } from '../value.ts'
import { Interval, TimeTz } from '../value.ts'
import type { Fields } from './calendar.ts'
import {
  add64,
  canonical,
  DATE_END,
  DATE_MIN,
  dayOf,
  daysInMonth,
  EPOCH_JULIAN,
  instantOf,
  instantOfFields,
  isFinite64,
  isInt32,
  isInt64,
  MICROS_PER_DAY,
  MICROS_PER_SECOND,
  negate64,
  newFields,
  setFromInstant,
  subtract64,
  timeOfDay,
} from './calendar.ts'
import { spanOf } from './compare.ts'
import {
  checkTimestamp,
  fromLocal,
  localFields,
  outOfRange,
  timestampOfDate,
  timestamptzOfDate,
  toLocal,
  wrapTime,
} from './convert.ts'
import { offsetOfFields, sessionZone } from './decode.ts'
import { currentDate } from './now.ts'
import { bitsOfInstant } from './types.ts'
import type { Zone } from './zones.ts'

const negate = (value: Interval): Interval => {
  const micros = negate64(value.micros)
  if (!isInt32(-value.months) || !isInt32(-value.days) || !isInt64(micros)) throw outOfRange('interval')
  return new Interval(-value.months + 0, -value.days + 0, micros)
}

function makeInterval(months: number, days: number, micros: Int64): Interval {
  if (!isInt32(months) || !isInt32(days) || !isInt64(micros)) throw outOfRange('interval')
  return new Interval(months + 0, days + 0, micros)
}

const addIntervals = (a: Interval, b: Interval): Interval =>
  makeInterval(a.months + b.months, a.days + b.days, add64(a.micros, b.micros))
const subtractIntervals = (a: Interval, b: Interval): Interval =>
  makeInterval(a.months - b.months, a.days - b.days, subtract64(a.micros, b.micros))

/** Adds months to a date; its day becomes at most the month's last. */
function addMonths(fields: Fields, months: number): void {
  const total = fields.month - 1 + months
  fields.year += Math.floor(total / 12)
  fields.month = total - Math.floor(total / 12) * 12 + 1
  fields.day = Math.min(fields.day, daysInMonth(fields.year, fields.month))
}

/** Throws 22008 `timestamp out of range`. */
export function timestampPlusInterval(instant: Int64, value: Interval): Int64 {
  if (!isFinite64(instant)) return instant
  let result = instant
  if (value.months !== 0) {
    const fields = newFields()
    setFromInstant(result, 0, fields)
    addMonths(fields, value.months)
    const moved = instantOfFields(fields, 0)
    if (moved === undefined) throw outOfRange('timestamp')
    result = moved
  }
  if (value.days !== 0) {
    const day = dayOf(result)
    if (day + value.days < -EPOCH_JULIAN) throw outOfRange('timestamp')
    result = checkTimestamp(instantOf(day + value.days, timeOfDay(result, day)))
  }
  return checkTimestamp(add64(result, value.micros))
}

/** Throws 22008 `timestamp out of range`. */
export function timestamptzPlusInterval(instant: Int64, value: Interval, zone: Zone): Int64 {
  if (!isFinite64(instant)) return instant
  let result = instant
  if (value.months !== 0) {
    const { fields } = localFields(result, zone)
    addMonths(fields, value.months)
    const moved = instantOfFields(fields, offsetOfFields(fields, zone))
    if (moved === undefined) throw outOfRange('timestamp')
    result = moved
  }
  if (value.days !== 0) {
    const local = toLocal(result, zone)
    const day = dayOf(local)
    if (day + value.days < -EPOCH_JULIAN) throw outOfRange('timestamp')
    result = checkTimestamp(fromLocal(instantOf(day + value.days, timeOfDay(local, day)), zone))
  }
  return checkTimestamp(add64(result, value.micros))
}

const dayMicros = 86_400_000_000n
/** Whole days of microseconds toward zero, and the rest. */
function splitDays(micros: Int64): { days: number; micros: number } {
  if (typeof micros === 'number') {
    const rest = micros % MICROS_PER_DAY
    return { days: (micros - rest) / MICROS_PER_DAY + 0, micros: rest + 0 }
  }
  return { days: Number(micros / dayMicros), micros: Number(micros % dayMicros) }
}

/** Days out of every 24 hours; days and time of one sign. */
function justifyHours(value: Interval): Interval {
  const split = splitDays(value.micros)
  let days = value.days + split.days
  let { micros } = split
  if (!isInt32(days)) throw outOfRange('interval')
  if (days > 0 && micros < 0) {
    micros += MICROS_PER_DAY
    days--
  } else if (days < 0 && micros > 0) {
    micros -= MICROS_PER_DAY
    days++
  }
  return makeInterval(value.months, days, micros)
}

/** Months out of every 30 days; months and days of one sign. */
function justifyDays(value: Interval): Interval {
  const whole = Math.trunc(value.days / 30)
  let days = value.days - whole * 30
  let months = value.months + whole
  if (!isInt32(months)) throw outOfRange('interval')
  if (months > 0 && days < 0) {
    days += 30
    months--
  } else if (months < 0 && days > 0) {
    days -= 30
    months++
  }
  return makeInterval(months, days, value.micros)
}

function justifyInterval(value: Interval): Interval {
  const split = splitDays(value.micros)
  let days = value.days + split.days
  let { micros } = split
  const whole = Math.trunc(days / 30)
  days -= whole * 30
  let months = value.months + whole
  if (!isInt32(months)) throw outOfRange('interval')
  if (months > 0 && (days < 0 || (days === 0 && micros < 0))) {
    days += 30
    months--
  } else if (months < 0 && (days > 0 || (days === 0 && micros > 0))) {
    days -= 30
    months++
  }
  if (days > 0 && micros < 0) {
    micros += MICROS_PER_DAY
    days--
  } else if (days < 0 && micros > 0) {
    micros -= MICROS_PER_DAY
    days++
  }
  return makeInterval(months, days, micros)
}

/** Throws 22008 for infinite ones. */
function subtractTimestamps(a: Int64, b: Int64): Interval {
  if (!isFinite64(a) || !isFinite64(b)) throw sqlError('22008', 'cannot subtract infinite timestamps')
  // Beyond 64 bits PostgreSQL 15 wraps around.
  const difference = subtract64(a, b)
  const micros = isInt64(difference) ? difference : canonical(BigInt.asIntN(64, BigInt(difference)))
  return justifyHours(new Interval(0, 0, micros))
}

const roundEven = (n: number): number => {
  const rounded = Math.round(n)
  return rounded - n === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
const roundMicro = (n: number): number => roundEven(n * 1e6) / 1e6
const fitsInt32 = (n: number): boolean => n >= -2147483648 && n < 2147483648
const fitsInt64 = (n: number): boolean => n >= -(2 ** 63) && n < 2 ** 63

/** Scales each part; what is left of months goes to days, of days to time. */
function scaleInterval(months: number, days: number, micros: number): Interval {
  if (!fitsInt32(months) || !fitsInt32(days)) throw outOfRange('interval')
  const wholeMonths = Math.trunc(months)
  let wholeDays = Math.trunc(days)
  const remainderDays = roundMicro((months - wholeMonths) * 30)
  const wholeRemainder = Math.trunc(remainderDays)
  let seconds = roundMicro((days - wholeDays + remainderDays - wholeRemainder) * 86_400)
  if (Math.abs(seconds) >= 86_400) {
    const carried = Math.trunc(seconds / 86_400)
    wholeDays += carried
    seconds -= carried * 86_400
  }
  const time = roundEven(micros + seconds * MICROS_PER_SECOND)
  if (!fitsInt64(time)) throw outOfRange('interval')
  return makeInterval(
    wholeMonths,
    wholeDays + wholeRemainder,
    Number.isSafeInteger(time) ? time + 0 : canonical(BigInt(time)),
  )
}

const multiply = (value: Interval, factor: number): Interval =>
  scaleInterval(value.months * factor, value.days * factor, Number(value.micros) * factor)

function divide(value: Interval, divisor: number): Interval {
  if (divisor === 0) throw sqlError('22012', 'division by zero')
  return scaleInterval(value.months / divisor, value.days / divisor, Number(value.micros) / divisor)
}

/** The difference in years, months, days and time, as a person counts it. */
function ageOfFields(a: Fields, b: Fields, isBefore: boolean): Interval {
  const sign = isBefore ? -1 : 1
  let micros = sign * (a.micros - b.micros)
  let second = sign * (a.second - b.second)
  let minute = sign * (a.minute - b.minute)
  let hour = sign * (a.hour - b.hour)
  let day = sign * (a.day - b.day)
  let month = sign * (a.month - b.month)
  let year = sign * (a.year - b.year)
  if (micros < 0) {
    micros += MICROS_PER_SECOND
    second--
  }
  if (second < 0) {
    second += 60
    minute--
  }
  if (minute < 0) {
    minute += 60
    hour--
  }
  if (hour < 0) {
    hour += 24
    day--
  }
  const earlier = isBefore ? a : b
  while (day < 0) {
    day += daysInMonth(earlier.year, earlier.month)
    month--
  }
  while (month < 0) {
    month += 12
    year--
  }
  const time = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros
  return makeInterval(sign * (year * 12 + month), sign * day, sign * time + 0)
}

/** PostgreSQL 15 takes infinity for the last of 64 bits here. Throws 22008 for -infinity. */
function finite(instant: Int64): Int64 {
  if (instant === -Infinity) throw outOfRange('timestamp')
  return bitsOfInstant(instant)
}

function timestampAge(first: Int64, second: Int64): Interval {
  const a = finite(first)
  const b = finite(second)
  const [x, y] = [newFields(), newFields()]
  setFromInstant(a, 0, x)
  setFromInstant(b, 0, y)
  return ageOfFields(x, y, a < b)
}

function timestamptzAge(first: Int64, second: Int64, zone: Zone): Interval {
  const a = finite(first)
  const b = finite(second)
  return ageOfFields(localFields(a, zone).fields, localFields(b, zone).fields, a < b)
}

export function addDays(day: number, days: number): number {
  if (!Number.isFinite(day)) return day
  const result = day + days
  if (result < DATE_MIN || result >= DATE_END) throw outOfRange('date')
  return result
}

function subtractDates(a: number, b: number): number {
  if (!Number.isFinite(a) || !Number.isFinite(b)) throw sqlError('22008', 'cannot subtract infinite dates')
  return a - b
}

const wrapSum = (micros: number, delta: Int64): number =>
  wrapTime(micros + (typeof delta === 'number' ? delta % MICROS_PER_DAY : Number(delta % dayMicros)))
const shiftTimeTz = (time: TimeTz, delta: Int64): TimeTz =>
  new TimeTz(wrapSum(time.micros, delta), time.zoneSecondsWest)

// --- window frames ------------------------------------------------------------------------------------------------

const isNegative = (offset: Interval): boolean => spanOf(offset) < 0
const badFrame = () => sqlError('22013', 'invalid preceding or following size in window function')
const within = (order: number, isLess: boolean): boolean => (isLess ? order <= 0 : order >= 0)
const order64 = (a: Int64, b: Int64): number => (a < b ? -1 : a > b ? 1 : 0)

function inRange(value: Int64, base: Int64, offset: Interval, isSub: boolean, isLess: boolean, zone?: Zone): boolean {
  if (isNegative(offset)) throw badFrame()
  const delta = isSub ? negate(offset) : offset
  const bound = zone === undefined ? timestampPlusInterval(base, delta) : timestamptzPlusInterval(base, delta, zone)
  return within(order64(value, bound), isLess)
}

// --- the tables ---------------------------------------------------------------------------------------------------

const timestampPlus = scalar(timestampPlusInterval)
const timestamptzPlus = bound(({ context }) => {
  const zone = sessionZone(context.settings)
  return (instant: Int64, value: Interval) => timestamptzPlusInterval(instant, value, zone)
})

export const ARITHMETIC_FUNCTIONS: FunctionTable = {
  date_pli: scalar(addDays),
  date_mii: scalar((day: number, days: number) => addDays(day, -days)),
  date_mi: scalar(subtractDates),
  'integer_pl_date(int4,date)': scalar((days: number, day: number) => addDays(day, days)),
  date_pl_interval: scalar((day: number, value: Interval) => timestampPlusInterval(timestampOfDate(day), value)),
  date_mi_interval: scalar((day: number, value: Interval) =>
    timestampPlusInterval(timestampOfDate(day), negate(value)),
  ),
  'interval_pl_date(interval,date)': scalar((value: Interval, day: number) =>
    timestampPlusInterval(timestampOfDate(day), value),
  ),
  timestamp_pl_interval: timestampPlus,
  timestamp_mi_interval: scalar((instant: Int64, value: Interval) => timestampPlusInterval(instant, negate(value))),
  'interval_pl_timestamp(interval,timestamp)': scalar((value: Interval, instant: Int64) =>
    timestampPlusInterval(instant, value),
  ),
  timestamptz_pl_interval: timestamptzPlus,
  timestamptz_mi_interval: bound(({ context }) => {
    const zone = sessionZone(context.settings)
    return (instant: Int64, value: Interval) => timestamptzPlusInterval(instant, negate(value), zone)
  }),
  'interval_pl_timestamptz(interval,timestamptz)': bound(({ context }) => {
    const zone = sessionZone(context.settings)
    return (value: Interval, instant: Int64) => timestamptzPlusInterval(instant, value, zone)
  }),
  timestamp_mi: scalar(subtractTimestamps),
  time_pl_interval: scalar((time: number, value: Interval) => wrapSum(time, value.micros)),
  time_mi_interval: scalar((time: number, value: Interval) => wrapSum(time, negate64(value.micros))),
  time_mi_time: scalar((a: number, b: number) => new Interval(0, 0, a - b)),
  'interval_pl_time(interval,time)': scalar((value: Interval, time: number) => wrapSum(time, value.micros)),
  timetz_pl_interval: scalar((time: TimeTz, value: Interval) => shiftTimeTz(time, value.micros)),
  timetz_mi_interval: scalar((time: TimeTz, value: Interval) => shiftTimeTz(time, negate64(value.micros))),
  'interval_pl_timetz(interval,timetz)': scalar((value: Interval, time: TimeTz) => shiftTimeTz(time, value.micros)),
  interval_pl: scalar(addIntervals),
  interval_mi: scalar(subtractIntervals),
  interval_um: scalar(negate),
  interval_mul: scalar(multiply),
  mul_d_interval: scalar((factor: number, value: Interval) => multiply(value, factor)),
  interval_div: scalar(divide),
  interval_justify_hours: scalar(justifyHours),
  interval_justify_days: scalar(justifyDays),
  interval_justify_interval: scalar(justifyInterval),
  timestamp_age: scalar(timestampAge),
  timestamptz_age: bound(({ context }) => {
    const zone = sessionZone(context.settings)
    return (a: Int64, b: Int64) => timestamptzAge(a, b, zone)
  }),
  'age(timestamp)': bound(({ context }) => {
    const today = instantOf(currentDate(context), 0)
    return (instant: Int64) => timestampAge(today, instant)
  }),
  'age(timestamptz)': bound(({ context }) => {
    const zone = sessionZone(context.settings)
    const today = timestamptzOfDate(currentDate(context), zone)
    return (instant: Int64) => timestamptzAge(today, instant, zone)
  }),

  in_range_date_interval: scalar((value: number, base: number, offset: Interval, isSub: boolean, isLess: boolean) =>
    inRange(timestampOfDate(value), timestampOfDate(base), offset, isSub, isLess),
  ),
  in_range_timestamp_interval: scalar((value: Int64, base: Int64, offset: Interval, isSub: boolean, isLess: boolean) =>
    inRange(value, base, offset, isSub, isLess),
  ),
  in_range_timestamptz_interval: bound(({ context }) => {
    const zone = sessionZone(context.settings)
    return (value: Int64, base: Int64, offset: Interval, isSub: boolean, isLess: boolean) =>
      inRange(value, base, offset, isSub, isLess, zone)
  }),
  in_range_interval_interval: scalar(
    (value: Interval, base: Interval, offset: Interval, isSub: boolean, isLess: boolean) => {
      if (isNegative(offset)) throw badFrame()
      const sum = isSub ? subtractIntervals(base, offset) : addIntervals(base, offset)
      return within(order64(spanOf(value), spanOf(sum)), isLess)
    },
  ),
  in_range_time_interval: scalar((value: number, base: number, offset: Interval, isSub: boolean, isLess: boolean) => {
    if (offset.micros < 0) throw badFrame()
    // Past the day's end there is no wrapping round: everything is in range then.
    return within(order64(value, isSub ? subtract64(base, offset.micros) : add64(base, offset.micros)), isLess)
  }),
  in_range_timetz_interval: scalar((value: TimeTz, base: TimeTz, offset: Interval, isSub: boolean, isLess: boolean) => {
    if (offset.micros < 0) throw badFrame()
    const sum = isSub ? subtract64(base.micros, offset.micros) : add64(base.micros, offset.micros)
    const utc = (micros: Int64, west: number) => add64(micros, west * MICROS_PER_SECOND)
    const order = order64(utc(value.micros, value.zoneSecondsWest), utc(sum, base.zoneSecondsWest))
    return within(order !== 0 ? order : value.zoneSecondsWest - base.zoneSecondsWest, isLess)
  }),
}

// --- sum and avg --------------------------------------------------------------------------------------------------

interface IntervalSum {
  count: number
  sum: Interval
}
const sumOf = (finish: (state: IntervalSum) => Interval): AggregateTable[string] => ({
  strict: true,
  bind: () => ({
    init: (): IntervalSum => ({ count: 0, sum: new Interval(0, 0, 0) }),
    step(state: unknown, value: Interval) {
      const s = state as IntervalSum
      s.count++
      s.sum = addIntervals(s.sum, value)
      return s
    },
    inverse(state: unknown, value: Interval) {
      const s = state as IntervalSum
      s.count--
      s.sum = subtractIntervals(s.sum, value)
      return s
    },
    final: (state: unknown) => ((state as IntervalSum).count === 0 ? null : finish(state as IntervalSum)),
  }),
})

export const INTERVAL_AGGREGATES: AggregateTable = {
  'sum(interval)': sumOf(({ sum }) => sum),
  'avg(interval)': sumOf(({ sum, count }) => divide(sum, count)),
}
