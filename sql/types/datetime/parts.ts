/**
 * Parts of a value: extract (numeric), date_part (double precision), date_trunc and date_bin (PostgreSQL 15 manual, 9.9.1
 * to 9.9.3). An infinite value has NULL parts where a part comes round again, and an infinite one where it only grows.
 */
import { sqlError } from '../error.ts'
import type { FunctionTable } from '../function.ts'
import { bound, scalar } from '../function.ts'
import type { Int64, Value } from '../value.ts'
import { Interval, Numeric, type TimeTz } from '../value.ts'
import type { Fields } from './calendar.ts'
import {
  add64,
  canonical,
  dayOfWeek,
  EPOCH_JULIAN,
  EPOCH_UNIX_SECONDS,
  instantOfFields,
  isFinite64,
  isInt64,
  isoWeek,
  isoWeekMonday,
  julianDay,
  MICROS_PER_DAY,
  MICROS_PER_SECOND,
  newFields,
  setFromInstant,
  setFromJulian,
  setFromTime,
  subtract64,
  timeOfFields,
} from './calendar.ts'
import { checkTimestamp, localFields, outOfRange, timestampOfDate, zoneMeaning } from './convert.ts'
import { offsetOfFields, sessionZone } from './decode.ts'
import type { IntervalParts } from './encode-interval.ts'
import { intervalParts } from './encode-interval.ts'
import type { Unit } from './words.ts'
import { intervalUnitNamed, unitNamed } from './words.ts'
import type { Zone } from './zones.ts'

/** How a part is given back: exact (numeric), or as PostgreSQL's C computes a double. */
type Part = { readonly digits: Int64; readonly scale: number; readonly float?: number }
const whole = (n: Int64): Part => ({ digits: n, scale: 0 })

const POWERS = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] as const
const asNumeric = ({ digits, scale }: Part): Numeric => new Numeric(BigInt(digits), scale)
const asFloat = ({ digits, scale, float }: Part): number => float ?? Number(digits) / (POWERS[scale] ?? 10 ** scale)

const TYPE_NAMES = {
  date: 'date',
  time: 'time without time zone',
  timetz: 'time with time zone',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  interval: 'interval',
} as const
type TypeName = keyof typeof TYPE_NAMES

const unsupported = (unit: string, type: TypeName, detail?: string) =>
  sqlError('0A000', `unit "${unit}" not supported for type ${TYPE_NAMES[type]}`, { detail })
const unrecognized = (unit: string, type: TypeName) =>
  sqlError('22023', `unit "${unit}" not recognized for type ${TYPE_NAMES[type]}`)

interface NamedUnit {
  readonly unit: Unit
  /** The word in lower case, for messages. */
  readonly shown: string
}

const UNITS_MAX = 256 // words kept; statements use few
/** Units by word as written, of extract and of date_trunc: a call a row asks for the same one again. */
const known = new Map<(word: string) => Unit | undefined, Map<string, NamedUnit>>()

/** A unit by its word, in any case. Throws 22023. */
function unitOf(word: string, type: TypeName, find: (word: string) => Unit | undefined = unitNamed): NamedUnit {
  let units = known.get(find)
  if (units === undefined) known.set(find, (units = new Map()))
  const seen = units.get(word)
  if (seen !== undefined) return seen
  const shown = word.toLowerCase()
  const unit = find(shown)
  if (unit === undefined) throw unrecognized(shown, type)
  if (units.size >= UNITS_MAX) units.clear()
  const named = { unit, shown }
  units.set(word, named)
  return named
}

/** Truncated division, as C's. */
const quotient = (a: number, b: number): number => Math.trunc(a / b) + 0

function clockPart(unit: Unit, f: Fields): Part | undefined {
  const micros = f.second * MICROS_PER_SECOND + f.micros
  switch (unit) {
    case 'microsecond':
      return whole(micros)
    case 'millisecond':
      return { digits: micros, scale: 3, float: f.second * 1000 + f.micros / 1000 }
    case 'second':
      return { digits: micros, scale: 6, float: f.second + f.micros / MICROS_PER_SECOND }
    case 'minute':
      return whole(f.minute)
    case 'hour':
      return whole(f.hour)
    default:
      return undefined
  }
}

function calendarPart(unit: Unit, f: Fields): Part | undefined {
  const { year, month, day } = f
  switch (unit) {
    case 'day':
      return whole(day)
    case 'month':
      return whole(month)
    case 'quarter':
      return whole(Math.floor((month - 1) / 3) + 1)
    case 'week':
      return whole(isoWeek(year, month, day).week)
    case 'year':
      return whole(year > 0 ? year : year - 1)
    case 'decade':
      return whole(year >= 0 ? quotient(year, 10) : -quotient(8 - (year - 1), 10))
    case 'century':
      return whole(year > 0 ? quotient(year + 99, 100) : -quotient(99 - (year - 1), 100))
    case 'millennium':
      return whole(year > 0 ? quotient(year + 999, 1000) : -quotient(999 - (year - 1), 1000))
    case 'isoyear': {
      const iso = isoWeek(year, month, day).year
      return whole(iso > 0 ? iso : iso - 1)
    }
    case 'dow':
      return whole(dayOfWeek(julianDay(year, month, day)))
    case 'isodow':
      return whole(dayOfWeek(julianDay(year, month, day)) || 7)
    case 'doy':
      return whole(julianDay(year, month, day) - julianDay(year, 1, 1) + 1)
    default:
      return undefined
  }
}

/** Digits after the point of a quotient below 1, as numeric division gives them: 16 significant, in groups of four. */
function julianPart(f: Fields): Part {
  const day = julianDay(f.year, f.month, f.day)
  const micros = timeOfFields(f)
  const float = day + ((f.hour * 60 + f.minute) * 60 + f.second + f.micros / MICROS_PER_SECOND) / 86_400
  const scale = quotientScale(micros)
  const digits =
    BigInt(day) * 10n ** BigInt(scale) + roundedQuotient(BigInt(micros) * 10n ** BigInt(scale), 86_400_000_000n)
  return { digits, scale, float }
}

function roundedQuotient(a: bigint, b: bigint): bigint {
  return (2n * a + b) / (2n * b)
}

/** numeric's rule for the scale of micros / 86400000000 (select_div_scale): base 10000 weights and first digits. */
function quotientScale(micros: number): number {
  const divisorWeight = 2
  const divisorFirst = 864
  let weight = 0
  let first = 0
  if (micros > 0) {
    for (let rest = micros; rest > 0; rest = Math.floor(rest / 10_000)) {
      first = rest
      weight++
    }
    weight--
  }
  const quotientWeight = weight - divisorWeight - (first <= divisorFirst ? 1 : 0)
  return Math.min(Math.max(16 - quotientWeight * 4, 0), 1000)
}

/** Parts that only grow with time. */
const GROWING: ReadonlySet<Unit> = new Set<Unit>([
  'year',
  'decade',
  'century',
  'millennium',
  'julian',
  'isoyear',
  'epoch',
])
const ROUND_AGAIN: ReadonlySet<Unit> = new Set<Unit>([
  'microsecond',
  'millisecond',
  'second',
  'minute',
  'hour',
  'day',
  'month',
  'quarter',
  'week',
  'dow',
  'isodow',
  'doy',
])
const ZONE_UNITS: ReadonlySet<Unit> = new Set<Unit>(['timezone', 'timezone_hour', 'timezone_minute'])

function zonePart(unit: Unit, offset: number): Part | undefined {
  if (unit === 'timezone') return whole(offset)
  if (unit === 'timezone_hour') return whole(quotient(offset, 3600))
  if (unit === 'timezone_minute') return whole((quotient(offset, 60) % 60) + 0)
  return undefined
}

/** Unix seconds as a part, of microseconds since 2000. */
function epochPart(instant: Int64): Part {
  const unix = add64(instant, EPOCH_UNIX_SECONDS * MICROS_PER_SECOND)
  return { digits: unix, scale: 6, float: Number(unix) / MICROS_PER_SECOND }
}

/** A part of a timestamp; `zone` for timestamptz. An infinite one answers a number or null. */
function instantPart(
  word: string,
  instant: Int64,
  type: 'timestamp' | 'timestamptz',
  zone?: Zone,
): Part | number | null {
  const { unit, shown } = unitOf(word, type)
  if (!isFinite64(instant)) {
    if (GROWING.has(unit)) return instant as number
    if (ROUND_AGAIN.has(unit) || ZONE_UNITS.has(unit)) return null
    throw unsupported(shown, type)
  }
  if (unit === 'epoch') return epochPart(instant)
  let fields: Fields
  let offset = 0
  if (zone === undefined) setFromInstant(instant, 0, (fields = newFields()))
  else ({ fields, offset } = localFields(instant, zone))
  if (unit === 'julian') return julianPart(fields)
  const part =
    clockPart(unit, fields) ?? calendarPart(unit, fields) ?? (zone === undefined ? undefined : zonePart(unit, offset))
  if (part === undefined) throw unsupported(shown, type)
  return part
}

function datePart(word: string, day: number): Part | number | null {
  const { unit, shown } = unitOf(word, 'date')
  const hasClock = unit === 'microsecond' || unit === 'millisecond' || unit === 'second' || unit === 'minute'
  if (hasClock || unit === 'hour') throw unsupported(shown, 'date')
  if (!Number.isFinite(day)) {
    if (GROWING.has(unit)) return day
    if (ROUND_AGAIN.has(unit)) return null
    throw unsupported(shown, 'date')
  }
  if (unit === 'julian') return whole(day + EPOCH_JULIAN)
  if (unit === 'epoch') return whole((day + 10957) * 86_400)
  const fields = newFields()
  setFromJulian(day + EPOCH_JULIAN, fields)
  const part = calendarPart(unit, fields)
  if (part === undefined) throw unsupported(shown, 'date')
  return part
}

function timePart(word: string, micros: number): Part {
  const { unit, shown } = unitOf(word, 'time')
  if (unit === 'epoch') return { digits: micros, scale: 6 }
  const fields = newFields()
  setFromTime(micros, fields)
  const part = clockPart(unit, fields)
  if (part === undefined) throw unsupported(shown, 'time')
  return part
}

function timetzPart(word: string, { micros, zoneSecondsWest }: TimeTz): Part {
  const { unit, shown } = unitOf(word, 'timetz')
  if (unit === 'epoch') {
    return {
      digits: micros + zoneSecondsWest * MICROS_PER_SECOND,
      scale: 6,
      float: micros / MICROS_PER_SECOND + zoneSecondsWest,
    }
  }
  const fields = newFields()
  setFromTime(micros, fields)
  const part = clockPart(unit, fields) ?? zonePart(unit, zoneSecondsWest === 0 ? 0 : -zoneSecondsWest)
  if (part === undefined) throw unsupported(shown, 'timetz')
  return part
}

/** An interval's epoch counts a year as 365.25 days and a month as 30. */
function intervalEpoch({ months, days, micros }: Interval): Part {
  const years = quotient(months, 12)
  const rest = months % 12
  const quarterDays = 1461 * years + 120 * rest + 4 * days
  const seconds = quarterDays * 21_600
  const float = Number(micros) / MICROS_PER_SECOND + 365.25 * 86_400 * years + 30 * 86_400 * rest + 86_400 * days
  return { digits: canonical(BigInt(seconds) * 1_000_000n + BigInt(micros)), scale: 6, float }
}

function intervalPart(word: string, value: Interval): Part {
  const { unit, shown } = unitOf(word, 'interval')
  if (unit === 'epoch') return intervalEpoch(value)
  const p = intervalParts(value)
  switch (unit) {
    case 'microsecond':
    case 'millisecond':
    case 'second': {
      const micros = p.seconds * MICROS_PER_SECOND + p.micros
      if (unit === 'microsecond') return whole(micros)
      return unit === 'millisecond'
        ? { digits: micros, scale: 3, float: p.seconds * 1000 + p.micros / 1000 }
        : { digits: micros, scale: 6, float: p.seconds + p.micros / MICROS_PER_SECOND }
    }
    case 'minute':
      return whole(p.minutes)
    case 'hour':
      return whole(p.hours)
    case 'day':
      return whole(p.days)
    case 'month':
      return whole(p.months)
    case 'quarter':
      return whole(quotient(p.months, 3) + 1)
    case 'year':
      return whole(p.years)
    case 'decade':
      return whole(quotient(p.years, 10))
    case 'century':
      return whole(quotient(p.years, 100))
    case 'millennium':
      return whole(quotient(p.years, 1000))
    default:
      throw unsupported(shown, 'interval')
  }
}

const numeric = (part: Part | number | null): Value => {
  if (part === null) return null
  if (typeof part === 'number') return new Numeric(0n, 0, part > 0 ? 'Infinity' : '-Infinity')
  return asNumeric(part)
}
const float = (part: Part | number | null): Value => (part === null || typeof part === 'number' ? part : asFloat(part))

// --- date_trunc ---------------------------------------------------------------------------------------------------

function clearTime(f: Fields): void {
  f.hour = f.minute = f.second = f.micros = 0
}

/** Cuts fields to a unit; answers whether the zone's offset is to be found anew, undefined for another unit. */
function truncateFields(unit: Unit, f: Fields): boolean | undefined {
  const { year } = f
  switch (unit) {
    case 'week': {
      const iso = isoWeek(f.year, f.month, f.day)
      setFromJulian(isoWeekMonday(iso.year, iso.week), f)
      clearTime(f)
      return true
    }
    case 'millennium':
      f.year = year > 0 ? quotient(year + 999, 1000) * 1000 - 999 : -quotient(999 - (year - 1), 1000) * 1000 + 1
      break
    case 'century':
      f.year = year > 0 ? quotient(year + 99, 100) * 100 - 99 : -quotient(99 - (year - 1), 100) * 100 + 1
      break
    case 'decade':
      f.year = year > 0 ? quotient(year, 10) * 10 : -quotient(8 - (year - 1), 10) * 10
      break
    case 'year':
      break
    case 'quarter':
      f.month = Math.floor((f.month - 1) / 3) * 3 + 1
      f.day = 1
      clearTime(f)
      return true
    case 'month':
      f.day = 1
      clearTime(f)
      return true
    case 'day':
      clearTime(f)
      return true
    case 'hour':
      f.minute = f.second = f.micros = 0
      return false
    case 'minute':
      f.second = f.micros = 0
      return false
    case 'second':
      f.micros = 0
      return false
    case 'millisecond':
      f.micros -= f.micros % 1000
      return false
    case 'microsecond':
      return false
    default:
      return undefined
  }
  f.month = 1
  f.day = 1
  clearTime(f)
  return true
}

function truncateTimestamp(word: string, instant: Int64): Int64 {
  if (!isFinite64(instant)) return instant
  const { unit, shown } = unitOf(word, 'timestamp', intervalUnitNamed)
  const fields = newFields()
  setFromInstant(instant, 0, fields)
  if (truncateFields(unit, fields) === undefined) throw unsupported(shown, 'timestamp')
  const result = instantOfFields(fields, 0)
  if (result === undefined) throw outOfRange('timestamp')
  return result
}

function truncateTimestamptz(word: string, instant: Int64, zone: Zone): Int64 {
  if (!isFinite64(instant)) return instant
  const { unit, shown } = unitOf(word, 'timestamptz', intervalUnitNamed)
  const { fields, offset } = localFields(instant, zone)
  const isDate = truncateFields(unit, fields)
  if (isDate === undefined) throw unsupported(shown, 'timestamptz')
  const result = instantOfFields(fields, isDate ? offsetOfFields(fields, zone) : offset)
  if (result === undefined) throw outOfRange('timestamp')
  return result
}

/** What each unit of an interval sets to zero, from the largest on. */
const INTERVAL_UNITS: readonly Unit[] = [
  'year',
  'month',
  'day',
  'hour',
  'minute',
  'second',
  'millisecond',
  'microsecond',
]

function truncateInterval(word: string, value: Interval): Interval {
  const { unit, shown } = unitOf(word, 'interval', intervalUnitNamed)
  const p: IntervalParts = intervalParts(value)
  const large: Partial<Record<Unit, number>> = { millennium: 1000, century: 100, decade: 10 }
  const years = large[unit]
  if (years !== undefined) p.years = quotient(p.years, years) * years
  if (unit === 'quarter') p.months = quotient(p.months, 3) * 3
  const level = years !== undefined ? 0 : unit === 'quarter' ? 1 : INTERVAL_UNITS.indexOf(unit)
  if (level < 0) {
    throw unsupported(shown, 'interval', unit === 'week' ? 'Months usually have fractional weeks.' : undefined)
  }
  if (level < 1) p.months = 0
  if (level < 2) p.days = 0
  if (level < 3) p.hours = 0
  if (level < 4) p.minutes = 0
  if (level < 5) p.seconds = 0
  if (level < 6) p.micros = 0
  else if (level < 7) p.micros = quotient(p.micros, 1000) * 1000
  const micros = add64(
    p.hours * 3_600_000_000 > Number.MAX_SAFE_INTEGER || p.hours * 3_600_000_000 < -Number.MAX_SAFE_INTEGER
      ? canonical(BigInt(p.hours) * 3_600_000_000n)
      : p.hours * 3_600_000_000 + 0,
    (p.minutes * 60 + p.seconds) * MICROS_PER_SECOND + p.micros + 0,
  )
  return new Interval(p.years * 12 + p.months + 0, p.days, micros)
}

/** The start of the bin of `stride` that holds the instant, bins being laid from `origin`. */
function bin(stride: Interval, instant: Int64, origin: Int64): Int64 {
  if (!isFinite64(instant)) return instant
  if (!isFinite64(origin)) throw sqlError('22008', 'origin out of range')
  if (stride.months !== 0) {
    throw sqlError('0A000', 'timestamps cannot be binned into intervals containing months or years')
  }
  const step = canonical(BigInt(stride.days) * BigInt(MICROS_PER_DAY) + BigInt(stride.micros))
  if (!isInt64(step)) throw outOfRange('interval')
  if (step <= 0) throw sqlError('22008', 'stride must be greater than zero')
  const difference = subtract64(instant, origin)
  if (!isInt64(difference)) throw outOfRange('interval')
  const rest =
    typeof difference === 'number' && typeof step === 'number'
      ? difference % step
      : canonical(BigInt(difference) % BigInt(step))
  const result = subtract64(instant, rest)
  return checkTimestamp(rest < 0 ? subtract64(result, step) : result)
}

const zoneNamedFor = (text: string): Zone | number => {
  const meaning = zoneMeaning(text)
  return meaning.kind === 'offset' ? meaning.offset : meaning.zone
}

function truncateInZone(word: string, instant: Int64, text: string): Int64 {
  if (!isFinite64(instant)) return instant
  const zone = zoneNamedFor(text)
  if (typeof zone !== 'number') return truncateTimestamptz(word, instant, zone)
  const { unit, shown } = unitOf(word, 'timestamptz', intervalUnitNamed)
  const fields = newFields()
  setFromInstant(instant, zone, fields)
  if (truncateFields(unit, fields) === undefined) throw unsupported(shown, 'timestamptz')
  const result = instantOfFields(fields, zone)
  if (result === undefined) throw outOfRange('timestamp')
  return result
}

export const PART_FUNCTIONS: FunctionTable = {
  extract_date: scalar((word: string, day: number) => numeric(datePart(word, day))),
  'date_part(text,date)': scalar((word: string, day: number) =>
    float(instantPart(word, timestampOfDate(day), 'timestamp')),
  ),
  extract_time: scalar((word: string, micros: number) => numeric(timePart(word, micros))),
  time_part: scalar((word: string, micros: number) => float(timePart(word, micros))),
  extract_timetz: scalar((word: string, time: TimeTz) => numeric(timetzPart(word, time))),
  timetz_part: scalar((word: string, time: TimeTz) => float(timetzPart(word, time))),
  extract_timestamp: scalar((word: string, instant: Int64) => numeric(instantPart(word, instant, 'timestamp'))),
  timestamp_part: scalar((word: string, instant: Int64) => float(instantPart(word, instant, 'timestamp'))),
  extract_timestamptz: bound(({ context }) => {
    const zone = sessionZone(context.settings)
    return (word: string, instant: Int64) => numeric(instantPart(word, instant, 'timestamptz', zone))
  }),
  timestamptz_part: bound(({ context }) => {
    const zone = sessionZone(context.settings)
    return (word: string, instant: Int64) => float(instantPart(word, instant, 'timestamptz', zone))
  }),
  extract_interval: scalar((word: string, value: Interval) => numeric(intervalPart(word, value))),
  interval_part: scalar((word: string, value: Interval) => float(intervalPart(word, value))),
  timestamp_trunc: scalar(truncateTimestamp),
  timestamptz_trunc: bound(({ context }) => {
    const zone = sessionZone(context.settings)
    return (word: string, instant: Int64) => truncateTimestamptz(word, instant, zone)
  }),
  timestamptz_trunc_zone: scalar(truncateInZone),
  interval_trunc: scalar(truncateInterval),
  timestamp_bin: scalar(bin),
  timestamptz_bin: scalar(bin),
}
