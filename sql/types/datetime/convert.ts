/**
 * From one of the types to another, and from zone to zone (AT TIME ZONE). What depends on the session takes its zone;
 * offsets are seconds east of UTC.
 */
import { sqlError } from '../error.ts'
import type { CallInfo, FunctionTable } from '../function.ts'
import { bound, scalar } from '../function.ts'
import type { Settings } from '../settings.ts'
import type { Int64 } from '../value.ts'
import { Interval, TimeTz } from '../value.ts'
import {
  add64,
  canonical,
  dayOf,
  instantOf,
  isFinite64,
  isTimestamp,
  MICROS_PER_DAY,
  MICROS_PER_SECOND,
  newFields,
  setFromInstant,
  TIMESTAMP_END_DAY,
  timeOfDay,
} from './calendar.ts'
import { sessionZone } from './decode.ts'
import { unixSecond } from './encode.ts'
import { intervalText } from './encode-interval.ts'
import { unknownZone } from './failure.ts'
import { applyIntervalTypmod } from './interval-typmod.ts'
import { currentDate } from './now.ts'
import { scaleInstant, scaleTime } from './types.ts'
import type { Zone } from './zones.ts'
import { abbreviationNamed, offsetOfDynamic, zoneNamed } from './zones.ts'

export const outOfRange = (what: 'timestamp' | 'date' | 'interval' | 'time') =>
  sqlError('22008', `${what} out of range`)

export function checkTimestamp(instant: Int64): Int64 {
  if (!isTimestamp(instant)) throw outOfRange('timestamp')
  return instant
}

/** Midnight of a date. Throws 22008 beyond the timestamps' range. */
export function timestampOfDate(day: number): Int64 {
  if (!Number.isFinite(day)) return day
  if (day >= TIMESTAMP_END_DAY) throw sqlError('22008', 'date out of range for timestamp')
  return instantOf(day, 0)
}

const dateOfTimestamp = (instant: Int64): number => (isFinite64(instant) ? dayOf(instant) : (instant as number))

/** An instant as local time in a zone, unchecked. */
export function toLocal(instant: Int64, zone: Zone): Int64 {
  if (!isFinite64(instant)) return instant
  return add64(instant, zone.offsetAt(unixSecond(instant)) * MICROS_PER_SECOND)
}

/** A local time in a zone as an instant, unchecked. */
export function fromLocal(local: Int64, zone: Zone): Int64 {
  if (!isFinite64(local)) return local
  const offset = zone.offsetOfLocal(unixSecond(local))
  return offset === 0 ? local : add64(local, -offset * MICROS_PER_SECOND)
}

/** timestamptz → timestamp and back. Throw 22008. */
const timestampOfTimestamptz = (instant: Int64, zone: Zone): Int64 => checkTimestamp(toLocal(instant, zone))
export const timestamptzOfTimestamp = (local: Int64, zone: Zone): Int64 => checkTimestamp(fromLocal(local, zone))

export function timestamptzOfDate(day: number, zone: Zone): Int64 {
  if (!Number.isFinite(day)) return day
  if (day >= TIMESTAMP_END_DAY) throw sqlError('22008', 'date out of range for timestamp')
  const instant = fromLocal(instantOf(day, 0), zone)
  if (!isTimestamp(instant)) throw sqlError('22008', 'date out of range for timestamp')
  return instant
}

/** Time of day; NULL for an infinite timestamp. */
const timeOfTimestamp = (instant: Int64): number | null =>
  isFinite64(instant) ? timeOfDay(instant, dayOf(instant)) : null

function timetzOfTimestamptz(instant: Int64, zone: Zone): TimeTz | null {
  if (!isFinite64(instant)) return null
  const offset = zone.offsetAt(unixSecond(instant))
  const local = add64(instant, offset * MICROS_PER_SECOND)
  return new TimeTz(timeOfDay(local, dayOf(local)), offset === 0 ? 0 : -offset)
}

/** A time of day today in the session's zone. */
function timetzOfTime(micros: number, call: CallInfo): TimeTz {
  const zone = sessionZone(call.context.settings)
  const offset = zone.offsetOfLocal(unixSecond(instantOf(currentDate(call.context), micros)))
  return new TimeTz(micros, offset === 0 ? 0 : -offset)
}

function dateAndTime(day: number, micros: number): Int64 {
  const start = timestampOfDate(day)
  return isFinite64(start) ? checkTimestamp(add64(start, micros)) : start
}

function dateAndTimeTz(day: number, time: TimeTz): Int64 {
  const start = timestampOfDate(day)
  if (!isFinite64(start)) return start
  const instant = add64(start, time.micros + time.zoneSecondsWest * MICROS_PER_SECOND)
  if (!isTimestamp(instant)) throw sqlError('22008', 'date out of range for timestamp')
  return instant
}

/** A time of day from any number of microseconds. */
export function wrapTime(micros: number): number {
  const rest = micros % MICROS_PER_DAY
  return rest < 0 ? rest + MICROS_PER_DAY : rest + 0
}
const wrapInt64 = (micros: Int64): number =>
  typeof micros === 'number' ? wrapTime(micros) : wrapTime(Number(micros % 86_400_000_000n))

// --- AT TIME ZONE -------------------------------------------------------------------------------------------------

/** What a zone's text means: always one offset, or a zone. Abbreviations come before names, as in input. */
type Meaning =
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'zone'; readonly zone: Zone }
  | { readonly kind: 'dynamic'; readonly zone: Zone; readonly name: string }

let lastText: string | undefined
let lastMeaning: Meaning | undefined

/** Throws 22023 `time zone "…" not recognized`. */
export function zoneMeaning(text: string): Meaning {
  if (text === lastText && lastMeaning !== undefined) return lastMeaning
  const meaning = findMeaning(text)
  lastText = text
  lastMeaning = meaning
  return meaning
}

function findMeaning(text: string): Meaning {
  const abbreviation = abbreviationNamed(text.toLowerCase())
  if (abbreviation?.kind === 'fixed') return { kind: 'offset', offset: abbreviation.offset }
  const zone = zoneNamed(abbreviation === undefined ? text : abbreviation.zone)
  if (zone === undefined) throw unknownZone(text)
  return abbreviation === undefined ? { kind: 'zone', zone } : { kind: 'dynamic', zone, name: text }
}

function offsetAt(meaning: Meaning, second: number): number {
  switch (meaning.kind) {
    case 'offset':
      return meaning.offset
    case 'zone':
      return meaning.zone.offsetAt(second)
    case 'dynamic':
      return meaning.zone.offsetOfAbbreviation(meaning.name.toUpperCase(), second) ?? meaning.zone.offsetAt(second)
  }
}

function offsetOfLocal(meaning: Meaning, second: number): number {
  switch (meaning.kind) {
    case 'offset':
      return meaning.offset
    case 'zone':
      return meaning.zone.offsetOfLocal(second)
    case 'dynamic':
      return offsetOfDynamic(meaning.zone, meaning.name, second)
  }
}

function timestampAtZone(text: string, local: Int64): Int64 {
  if (!isFinite64(local)) return local
  const offset = offsetOfLocal(zoneMeaning(text), unixSecond(local))
  return checkTimestamp(add64(local, -offset * MICROS_PER_SECOND))
}

function timestamptzAtZone(text: string, instant: Int64): Int64 {
  if (!isFinite64(instant)) return instant
  const offset = offsetAt(zoneMeaning(text), unixSecond(instant))
  return checkTimestamp(add64(instant, offset * MICROS_PER_SECOND))
}

function timetzAtOffset(time: TimeTz, offset: number): TimeTz {
  const west = offset === 0 ? 0 : -offset
  return new TimeTz(wrapTime(time.micros + (time.zoneSecondsWest - west) * MICROS_PER_SECOND), west)
}

/** Seconds east of an interval given as a zone. */
function offsetOfInterval(value: Interval, settings: Settings): number {
  if (value.months !== 0 || value.days !== 0) {
    const text = intervalText(value, settings)
    throw sqlError('22023', `interval time zone "${text}" must not include months or days`)
  }
  return Math.trunc(Number(value.micros) / MICROS_PER_SECOND) + 0
}

const zoned = (call: CallInfo): Zone => sessionZone(call.context.settings)

export const CONVERT_FUNCTIONS: FunctionTable = {
  date_timestamp: scalar(timestampOfDate),
  date_timestamptz: bound((call) => {
    const zone = zoned(call)
    return (day: number) => timestamptzOfDate(day, zone)
  }),
  timestamp_date: scalar(dateOfTimestamp),
  timestamptz_date: bound((call) => {
    const zone = zoned(call)
    return (instant: Int64) => dateOfTimestamp(toLocal(instant, zone))
  }),
  timestamp_timestamptz: bound((call) => {
    const zone = zoned(call)
    return (local: Int64) => timestamptzOfTimestamp(local, zone)
  }),
  timestamptz_timestamp: bound((call) => {
    const zone = zoned(call)
    return (instant: Int64) => timestampOfTimestamptz(instant, zone)
  }),
  timestamp_time: scalar(timeOfTimestamp),
  timestamptz_time: bound((call) => {
    const zone = zoned(call)
    return (instant: Int64) => timeOfTimestamp(toLocal(instant, zone))
  }),
  timestamptz_timetz: bound((call) => {
    const zone = zoned(call)
    return (instant: Int64) => timetzOfTimestamptz(instant, zone)
  }),
  timetz_time: scalar((time: TimeTz) => time.micros),
  time_timetz: bound((call) => (micros: number) => timetzOfTime(micros, call)),
  time_interval: scalar((micros: number) => new Interval(0, 0, micros)),
  interval_time: scalar((value: Interval) => wrapInt64(value.micros)),
  datetime_timestamp: scalar(dateAndTime),
  datetimetz_timestamptz: scalar(dateAndTimeTz),
  'timestamptz(date,time)': bound((call) => {
    const zone = zoned(call)
    return (day: number, micros: number) => timestamptzOfTimestamp(dateAndTime(day, micros), zone)
  }),
  'timedate_pl(time,date)': scalar((micros: number, day: number) => dateAndTime(day, micros)),
  'timetzdate_pl(timetz,date)': scalar((time: TimeTz, day: number) => dateAndTimeTz(day, time)),

  timestamp_scale: scalar((value: Int64, typmod: number) => scaleInstant(value, typmod)),
  timestamptz_scale: scalar((value: Int64, typmod: number) => scaleInstant(value, typmod)),
  time_scale: scalar((value: number, typmod: number) => scaleTime(value, typmod)),
  timetz_scale: scalar(
    (value: TimeTz, typmod: number) => new TimeTz(scaleTime(value.micros, typmod), value.zoneSecondsWest),
  ),
  interval_scale: scalar((value: Interval, typmod: number) => applyIntervalTypmod(value, typmod)),

  timestamp_zone: scalar(timestampAtZone),
  timestamptz_zone: scalar(timestamptzAtZone),
  timetz_zone: bound((call) => (text: string, time: TimeTz) => {
    const now = unixSecond(call.context.transactionTimestamp)
    return timetzAtOffset(time, offsetAt(zoneMeaning(text), now))
  }),
  timestamp_izone: bound(({ context }) => (zone: Interval, local: Int64) => {
    if (!isFinite64(local)) return local
    return checkTimestamp(add64(local, -offsetOfInterval(zone, context.settings) * MICROS_PER_SECOND))
  }),
  timestamptz_izone: bound(({ context }) => (zone: Interval, instant: Int64) => {
    if (!isFinite64(instant)) return instant
    return checkTimestamp(add64(instant, offsetOfInterval(zone, context.settings) * MICROS_PER_SECOND))
  }),
  timetz_izone: bound(
    ({ context }) =>
      (zone: Interval, time: TimeTz) =>
        timetzAtOffset(time, offsetOfInterval(zone, context.settings)),
  ),
  float8_timestamptz: scalar((seconds: number) => {
    if (Number.isNaN(seconds)) throw sqlError('22008', 'timestamp cannot be NaN')
    if (!Number.isFinite(seconds)) return seconds
    const refuse = () => sqlError('22008', `timestamp out of range: "${shortNumber(seconds)}"`)
    if (seconds < -210866803200 || seconds >= 9224318016000) throw refuse()
    const micros = (seconds - 946684800) * MICROS_PER_SECOND
    const rounded = Math.round(micros)
    const even = rounded - micros === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
    const instant = Number.isSafeInteger(even) ? even + 0 : canonical(BigInt(even))
    if (!isTimestamp(instant)) throw refuse()
    return instant
  }),
}

/** A number as C's %g prints it. */
export function shortNumber(n: number): string {
  const exponent = n === 0 ? 0 : Number(n.toExponential(5).split('e')[1])
  if (exponent < -4 || exponent >= 6) {
    const [mantissa = '', power = ''] = n.toExponential(5).split('e')
    const sign = power.startsWith('-') ? '-' : '+'
    const shown = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa
    return `${shown}e${sign}${power.slice(1).padStart(2, '0')}`
  }
  const text = n.toPrecision(6)
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

/** The broken-down local time of an instant and its offset. */
export function localFields(instant: Int64, zone: Zone) {
  const fields = newFields()
  const offset = zone.offsetAt(unixSecond(instant))
  setFromInstant(instant, offset, fields)
  return { fields, offset }
}
