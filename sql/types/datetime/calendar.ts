/**
 * The proleptic Gregorian calendar as PostgreSQL counts it: Julian day numbers, days since 2000-01-01, and instants as
 * microseconds since then. An instant is an Int64: a number while it is a safe integer (years 1714 to 2285), a bigint
 * beyond; here it is taken apart into whole days and microseconds of the day, which are numbers always.
 */
import type { Int64 } from '../value.ts'

export const MICROS_PER_SECOND = 1_000_000
export const MICROS_PER_MINUTE = 60_000_000
export const MICROS_PER_HOUR = 3_600_000_000
export const MICROS_PER_DAY = 86_400_000_000
export const SECONDS_PER_DAY = 86_400
/** The Julian day of 2000-01-01, PostgreSQL's day zero, and of 1970-01-01. */
export const EPOCH_JULIAN = 2_451_545
export const UNIX_EPOCH_JULIAN = 2_440_588
/** Seconds from 1970-01-01 to 2000-01-01. */
export const EPOCH_UNIX_SECONDS = 946_684_800

/** Days since 2000 of the first date and of the first that is no longer one (5874898-01-01). */
export const DATE_MIN = -EPOCH_JULIAN
export const DATE_END = 2_147_483_494 - EPOCH_JULIAN
/** The first instant, the first that is no longer one (294277-01-01), and that one's day. */
const TIMESTAMP_MIN = -211_813_488_000_000_000n
const TIMESTAMP_END = 9_223_371_331_200_000_000n
export const TIMESTAMP_END_DAY = 109_203_528 - EPOCH_JULIAN

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const

export const isLeap = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
export const daysInMonth = (year: number, month: number): number =>
  month === 2 && isLeap(year) ? 29 : (MONTH_DAYS[month - 1] ?? 0)

/** The Julian day of a date; year 0 is 1 BC. Months beyond 1..12 are not normalised. */
export function julianDay(year: number, month: number, day: number): number {
  const shifted = month > 2 ? month + 1 : month + 13
  const years = month > 2 ? year + 4800 : year + 4799
  const century = Math.floor(years / 100)
  return (
    years * 365 -
    32167 +
    Math.floor(years / 4) -
    century +
    Math.floor(century / 4) +
    Math.floor((7834 * shifted) / 256) +
    day
  )
}

/** Whether Julian day arithmetic takes the date (PostgreSQL's IS_VALID_JULIAN). */
export const isJulianDate = (year: number, month: number): boolean =>
  (year > -4713 || (year === -4713 && month >= 11)) && (year < 5874898 || (year === 5874898 && month < 6))

/** A broken-down time; `month` and `day` from 1, year 0 is 1 BC. Mutable: decoding fills it field by field. */
export interface Fields {
  year: number
  month: number
  day: number
  hour: number
  minute: number
  second: number
  micros: number
}

export const newFields = (): Fields => ({ year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0, micros: 0 })

/** Sets year, month and day from a Julian day. */
export function setFromJulian(julian: number, fields: Fields): void {
  // Days since 0000-03-01, in eras of 400 years.
  const days = julian - 1721120
  const era = Math.floor(days / 146097)
  const ofEra = days - era * 146097
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36524) - Math.floor(ofEra / 146096)) / 365,
  )
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * ofYear + 2) / 153)
  fields.day = (ofYear - Math.floor((153 * shifted + 2) / 5) + 1) | 0
  fields.month = (shifted < 10 ? shifted + 3 : shifted - 9) | 0
  fields.year = (yearOfEra + era * 400 + (fields.month <= 2 ? 1 : 0)) | 0
}

/** Sets hour, minute, second and micros from microseconds since midnight. */
export function setFromTime(micros: number, fields: Fields): void {
  // A day's seconds and a second's microseconds are small integers, and marked as such for speed.
  const seconds = Math.floor(micros / MICROS_PER_SECOND) | 0
  fields.micros = (micros - seconds * MICROS_PER_SECOND) | 0
  const minutes = (seconds / 60) | 0
  fields.second = seconds - minutes * 60
  const hour = (minutes / 60) | 0
  fields.hour = hour
  fields.minute = minutes - hour * 60
}

/** Microseconds since midnight. */
export const timeOfFields = (f: Fields): number =>
  ((f.hour * 60 + f.minute) * 60 + f.second) * MICROS_PER_SECOND + f.micros

/** 0 for Sunday. */
export const dayOfWeek = (julian: number): number => {
  const day = (julian + 1) % 7
  return day < 0 ? day + 7 : day
}

export const isFinite64 = (value: Int64): boolean => typeof value === 'bigint' || Number.isFinite(value)

/** Whole days since 2000 of a finite instant. */
export function dayOf(instant: Int64): number {
  if (typeof instant === 'number') {
    const day = Math.floor(instant / MICROS_PER_DAY)
    const rest = instant - day * MICROS_PER_DAY
    return rest < 0 ? day - 1 : rest >= MICROS_PER_DAY ? day + 1 : day
  }
  const day = instant / 86_400_000_000n
  return Number(instant < day * 86_400_000_000n ? day - 1n : day)
}

/** Microseconds of the day `day` that an instant is after its midnight. */
export const timeOfDay = (instant: Int64, day: number): number =>
  typeof instant === 'number' ? instant - day * MICROS_PER_DAY : Number(instant - BigInt(day) * 86_400_000_000n)

/** The canonical Int64 of a bigint. */
export const canonical = (n: bigint): Int64 => (n >= -9007199254740991n && n <= 9007199254740991n ? Number(n) : n)

/** Days and microseconds as an instant; no range check. `micros` may be any safe integer. */
export function instantOf(day: number, micros: number): Int64 {
  const n = day * MICROS_PER_DAY + micros
  return Number.isSafeInteger(n) ? n : canonical(BigInt(day) * 86_400_000_000n + BigInt(micros))
}

/** The exact sum; not checked against 64 bits. */
export function add64(a: Int64, b: Int64): Int64 {
  if (typeof a === 'number' && typeof b === 'number') {
    const n = a + b
    if (Number.isSafeInteger(n)) return n
  }
  return canonical(BigInt(a) + BigInt(b))
}
export const negate64 = (a: Int64): Int64 => (typeof a === 'number' ? (a === 0 ? 0 : -a) : canonical(-a))
export const subtract64 = (a: Int64, b: Int64): Int64 => add64(a, negate64(b))

export const isInt64 = (n: Int64): boolean =>
  typeof n === 'number' || (n >= -9223372036854775808n && n <= 9223372036854775807n)
export const isInt32 = (n: number): boolean => n >= -2147483648 && n <= 2147483647

/** Whether an instant is one that PostgreSQL's timestamps have. */
export const isTimestamp = (n: Int64): boolean => typeof n === 'number' || (n >= TIMESTAMP_MIN && n < TIMESTAMP_END)

/** The broken-down time of a finite instant, shifted by `offset` seconds east. */
export function setFromInstant(instant: Int64, offset: number, fields: Fields): void {
  const local = offset === 0 ? instant : add64(instant, offset * MICROS_PER_SECOND)
  const day = dayOf(local)
  setFromJulian(day + EPOCH_JULIAN, fields)
  setFromTime(timeOfDay(local, day), fields)
}

/**
 * The instant of a broken-down local time `offset` seconds east of UTC; undefined when it is out of range (the date
 * before Julian day 0, the instant after 294276 AD).
 */
export function instantOfFields(fields: Fields, offset: number): Int64 | undefined {
  if (!isJulianDate(fields.year, fields.month)) return undefined
  const day = julianDay(fields.year, fields.month, fields.day) - EPOCH_JULIAN
  const instant = instantOf(day, timeOfFields(fields) - offset * MICROS_PER_SECOND)
  return isTimestamp(instant) ? instant : undefined
}

/** The Julian day of the Monday of an ISO week. */
export function isoWeekMonday(year: number, week: number): number {
  const fourth = julianDay(year, 1, 4)
  return (week - 1) * 7 + fourth - (((fourth % 7) + 7) % 7)
}

/** The ISO 8601 week of a date and the year it belongs to. */
export function isoWeek(year: number, month: number, day: number): { readonly year: number; readonly week: number } {
  const julian = julianDay(year, month, day)
  for (const candidate of [year + 1, year]) {
    const first = isoWeekMonday(candidate, 1)
    if (julian >= first) return { year: candidate, week: Math.floor((julian - first) / 7) + 1 }
  }
  return { year: year - 1, week: Math.floor((julian - isoWeekMonday(year - 1, 1)) / 7) + 1 }
}
