/** to_char of timestamps and intervals: each pattern of the template written with its value (PostgreSQL 15 manual, 9.8). */
import { sqlError } from '../error.ts'
import type { FunctionTable } from '../function.ts'
import { bound, scalar } from '../function.ts'
import type { Int64, Interval } from '../value.ts'
import type { Fields } from './calendar.ts'
import { dayOfWeek, isFinite64, isoWeek, isoWeekMonday, julianDay, newFields, setFromInstant } from './calendar.ts'
import { localFields } from './convert.ts'
import { sessionZone } from './decode.ts'
import { two, unixSecond } from './encode.ts'
import { intervalParts } from './encode-interval.ts'
import type { Node, Pattern } from './template.ts'
import { FULL_DAYS, FULL_MONTHS, parseTemplate, ROMAN_MONTHS } from './template.ts'

/** What patterns draw from: a broken-down time, or an interval's parts in the same places. */
interface Source {
  readonly isInterval: boolean
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
  readonly micros: number
  /** Of the year from 1; an interval's days in all. */
  readonly dayOfYear: number
  /** The zone's offset in seconds east and abbreviation, for timestamptz. */
  readonly offset: number
  readonly zoneName: string | undefined
}

/** `%0*d`: zeros up to `width`, the sign counted. */
function zeros(n: number, width: number): string {
  if (width === 2 && n >= 0) return two(n)
  const digits = String(Math.abs(n))
  return n < 0 ? `-${digits.padStart(width - 1, '0')}` : digits.padStart(width, '0')
}

function withOrdinal(text: string, p: Pattern): string {
  if (p.ordinal === undefined) return text
  const isTeen = text.at(-2) === '1'
  const suffix = isTeen ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[text.at(-1) ?? ''] ?? 'th')
  return text + (p.ordinal === 'upper' ? suffix.toUpperCase() : suffix)
}

/** A number of `width` digits, one more when negative, unpadded under FM. */
const number = (n: number, width: number, p: Pattern, isNegative = n < 0): string =>
  withOrdinal(zeros(n, p.isFill ? 0 : isNegative ? width + 1 : width), p)

const inLetters = (text: string, p: Pattern): string =>
  p.letters === 'upper' ? text.toUpperCase() : p.letters === 'lower' ? text.toLowerCase() : text
const name = (text: string, width: number, p: Pattern): string =>
  inLetters(text, p).padEnd(p.isFill || p.isTranslated ? 0 : width)

const refuseInterval = (s: Source): void => {
  if (!s.isInterval) return
  throw sqlError('22007', 'invalid format specification for an interval value', {
    hint: 'Intervals are not tied to specific calendar dates.',
  })
}

/** The year as it is counted: no year 0, BC without sign. */
const shownYear = (year: number, s: Source): number => (s.isInterval || year > 0 ? year : 1 - year)
const julian = (s: Source): number => julianDay(s.year, s.month, s.day)
const quotient = (a: number, b: number): number => Math.trunc(a / b) + 0

function half(p: Pattern, first: string, second: string, isSecond: boolean): string {
  const text = isSecond ? second : first
  return inLetters(p.isDotted ? `${text[0]}.${text[1]}.` : text, p)
}

function century(s: Source): number {
  if (s.isInterval) return quotient(s.year, 100)
  return s.year > 0 ? quotient(s.year - 1, 100) + 1 : quotient(s.year, 100) - 1
}

/** The months' Roman numerals count down for intervals of negative months. */
function romanMonth(s: Source): string | undefined {
  if (s.month === 0 && s.year === 0) return undefined
  const backward = s.month === 0 ? (s.year >= 0 ? 0 : 11) : s.month < 0 ? -1 * (s.month + 1) : 12 - s.month
  return ROMAN_MONTHS[11 - backward]
}

function years(year: number, p: Pattern, s: Source): string {
  const shown = shownYear(year, s)
  // An ISO year is as wide as the calendar's year asks for.
  const isNegative = shownYear(s.year, s) < 0
  switch (p.field) {
    case 'YYYY':
    case 'IYYY':
      return number(shown, 4, p, isNegative)
    case 'YYY':
    case 'IYY':
      return number((shown % 1000) + 0, 3, p, isNegative)
    case 'YY':
    case 'IY':
      return number((shown % 100) + 0, 2, p, isNegative)
    default:
      return withOrdinal(String((shown % 10) + 0), p)
  }
}

function patternText(p: Pattern, s: Source): string {
  switch (p.field) {
    case 'AM':
      return half(p, 'AM', 'PM', (s.hour % 24) + 0 >= 12)
    case 'HH12': {
      const hour = (s.hour % 12) + 0
      return withOrdinal(zeros(hour === 0 ? 12 : hour, p.isFill ? 0 : s.hour >= 0 ? 2 : 3), p)
    }
    case 'HH24':
      return number(s.hour, 2, p)
    case 'MI':
      return number(s.minute, 2, p)
    case 'SS':
      return number(s.second, 2, p)
    case 'FF':
      return withOrdinal(zeros(quotient(s.micros, 10 ** (6 - p.precision)), p.precision), p)
    case 'MS':
      return withOrdinal(zeros(quotient(s.micros, 1000), 3), p)
    case 'US':
      return withOrdinal(zeros(s.micros, 6), p)
    case 'SSSS':
      return withOrdinal(String(s.hour * 3600 + s.minute * 60 + s.second), p)
    case 'TZ':
      refuseInterval(s)
      return s.zoneName === undefined ? '' : p.letters === 'lower' ? s.zoneName.toLowerCase() : s.zoneName
    case 'TZH':
      refuseInterval(s)
      return (s.offset >= 0 ? '+' : '-') + two(quotient(Math.abs(s.offset), 3600))
    case 'TZM':
      refuseInterval(s)
      return two(quotient(Math.abs(s.offset) % 3600, 60))
    case 'OF': {
      refuseInterval(s)
      const seconds = Math.abs(s.offset)
      const minutes = seconds % 3600 === 0 ? '' : `:${two(quotient(seconds % 3600, 60))}`
      return (s.offset >= 0 ? '+' : '-') + zeros(quotient(seconds, 3600), p.isFill ? 0 : 2) + minutes
    }
    case 'AD':
      refuseInterval(s)
      return half(p, 'AD', 'BC', s.year <= 0)
    case 'MONTH':
    case 'MON': {
      refuseInterval(s)
      const month = FULL_MONTHS[s.month - 1]
      if (month === undefined) return ''
      return p.field === 'MONTH' ? name(month, 9, p) : inLetters(month.slice(0, 3), p)
    }
    case 'MM':
      return number(s.month, 2, p)
    case 'DAY':
    case 'DY': {
      refuseInterval(s)
      const day = FULL_DAYS[dayOfWeek(julian(s))] ?? ''
      return p.field === 'DAY' ? name(day, 9, p) : inLetters(day.slice(0, 3), p)
    }
    case 'DDD':
      return withOrdinal(zeros(s.dayOfYear, p.isFill ? 0 : 3), p)
    case 'IDDD':
      return withOrdinal(
        zeros(julian(s) - isoWeekMonday(isoWeek(s.year, s.month, s.day).year, 1) + 1, p.isFill ? 0 : 3),
        p,
      )
    case 'DD':
      return withOrdinal(zeros(s.day, p.isFill ? 0 : 2), p)
    case 'D':
      refuseInterval(s)
      return withOrdinal(String(dayOfWeek(julian(s)) + 1), p)
    case 'ID':
      refuseInterval(s)
      return withOrdinal(String(dayOfWeek(julian(s)) || 7), p)
    case 'WW':
      return withOrdinal(zeros(quotient(s.dayOfYear - 1, 7) + 1, p.isFill ? 0 : 2), p)
    case 'IW':
      return withOrdinal(zeros(isoWeek(s.year, s.month, s.day).week, p.isFill ? 0 : 2), p)
    case 'Q':
      return s.month === 0 ? '' : withOrdinal(String(quotient(s.month - 1, 3) + 1), p)
    case 'CC': {
      const n = century(s)
      return n <= 99 && n >= -99 ? number(n, 2, p) : withOrdinal(String(n), p)
    }
    case 'Y,YYY': {
      const year = shownYear(s.year, s)
      const thousands = quotient(year, 1000)
      return withOrdinal(`${thousands},${zeros(year - thousands * 1000, 3)}`, p)
    }
    case 'YYYY':
    case 'YYY':
    case 'YY':
    case 'Y':
      return years(s.year, p, s)
    case 'IYYY':
    case 'IYY':
    case 'IY':
    case 'I':
      return years(isoWeek(s.year, s.month, s.day).year, p, s)
    case 'RM':
      return inLetters(romanMonth(s) ?? '', p).padEnd(romanMonth(s) === undefined || p.isFill ? 0 : 4)
    case 'W':
      return withOrdinal(String(quotient(s.day - 1, 7) + 1), p)
    case 'J':
      return withOrdinal(String(julian(s)), p)
    case 'FX':
      return ''
  }
}

const nodeText = (node: Node, source: Source): string =>
  node.kind === 'pattern' ? patternText(node, source) : node.text

function write(source: Source, template: string): string {
  let text = ''
  for (const node of parseTemplate(template)) text += nodeText(node, source)
  return text
}

const dayOfYear = (f: { year: number; month: number; day: number }): number =>
  julianDay(f.year, f.month, f.day) - julianDay(f.year, 1, 1) + 1

/** Member by member: spreading an object costs more than all else here. */
const sourceOf = (f: Fields, offset: number, zoneName: string | undefined): Source => ({
  isInterval: false,
  year: f.year,
  month: f.month,
  day: f.day,
  hour: f.hour,
  minute: f.minute,
  second: f.second,
  micros: f.micros,
  dayOfYear: dayOfYear(f),
  offset,
  zoneName,
})

function timestampToChar(instant: Int64, template: string): string | null {
  if (template === '' || !isFinite64(instant)) return null
  const fields = newFields()
  setFromInstant(instant, 0, fields)
  return write(sourceOf(fields, 0, undefined), template)
}

function intervalToChar(value: Interval, template: string): string | null {
  if (template === '') return null
  const p = intervalParts(value)
  const source: Source = {
    isInterval: true,
    year: p.years,
    month: p.months,
    day: p.days,
    hour: p.hours,
    minute: p.minutes,
    second: p.seconds,
    micros: p.micros + 0,
    dayOfYear: (p.years * 12 + p.months) * 30 + p.days,
    offset: 0,
    zoneName: undefined,
  }
  return write(source, template)
}

export const TO_CHAR_FUNCTIONS: FunctionTable = {
  timestamp_to_char: scalar(timestampToChar),
  timestamptz_to_char: bound(({ context }) => {
    const zone = sessionZone(context.settings)
    return (instant: Int64, template: string) => {
      if (template === '' || !isFinite64(instant)) return null
      const { fields, offset } = localFields(instant, zone)
      const zoneName = zone.nameAt(unixSecond(instant)).text
      return write(sourceOf(fields, offset, zoneName), template)
    }
  }),
  interval_to_char: scalar(intervalToChar),
}
