/**
 * to_date and to_timestamp: text read along a template (PostgreSQL 15 manual, 9.8). Outside FX mode spaces are skipped
 * before and after fields, and a separator in the template takes one separator of the text or none.
 */
import { sqlError } from '../error.ts'
import type { FunctionTable } from '../function.ts'
import { bound, scalar } from '../function.ts'
import type { Settings } from '../settings.ts'
import type { Int64 } from '../value.ts'
import type { Fields } from './calendar.ts'
import {
  DATE_END,
  DATE_MIN,
  daysInMonth,
  EPOCH_JULIAN,
  instantOfFields,
  isJulianDate,
  isLeap,
  isoWeekMonday,
  julianDay,
  MICROS_PER_SECOND,
  newFields,
  setFromJulian,
} from './calendar.ts'
import { outOfRange } from './convert.ts'
import { offsetOfFields, sessionZone } from './decode.ts'
import { failureError } from './failure.ts'
import { roundMicros } from './interval-typmod.ts'
import type { Field, Node, Pattern } from './template.ts'
import { FULL_DAYS, FULL_MONTHS, isDigitField, isSeparator, parseTemplate, ROMAN_MONTHS } from './template.ts'

/** What the text gave, 0 where it gave nothing. */
interface Read {
  hour: number
  isTwelveHours: boolean
  pm: number
  minute: number
  second: number
  secondOfDay: number
  /** Of the week, 1 for Sunday. */
  weekday: number
  day: number
  dayOfYear: number
  month: number
  millis: number
  year: number
  bc: number
  week: number
  weekOfMonth: number
  century: number
  julian: number
  micros: number
  /** Digits of the year's pattern. */
  yearDigits: number
  zoneSign: number
  zoneHour: number
  zoneMinute: number
  precision: number
}
type NumberField = Exclude<keyof Read, 'isTwelveHours'>

const newRead = (): Read => ({
  hour: 0,
  isTwelveHours: false,
  pm: 0,
  minute: 0,
  second: 0,
  secondOfDay: 0,
  weekday: 0,
  day: 0,
  dayOfYear: 0,
  month: 0,
  millis: 0,
  year: 0,
  bc: 0,
  week: 0,
  weekOfMonth: 0,
  century: 0,
  julian: 0,
  micros: 0,
  yearDigits: 0,
  zoneSign: 0,
  zoneHour: 0,
  zoneMinute: 0,
  precision: 0,
})

/** Fields of the Gregorian and of the ISO week calendar must not be mixed. */
const MODES: Partial<Record<Field, 'gregorian' | 'isoWeek'>> = {
  DDD: 'gregorian',
  DD: 'gregorian',
  D: 'gregorian',
  MM: 'gregorian',
  MONTH: 'gregorian',
  MON: 'gregorian',
  RM: 'gregorian',
  WW: 'gregorian',
  W: 'gregorian',
  'Y,YYY': 'gregorian',
  YYYY: 'gregorian',
  YYY: 'gregorian',
  YY: 'gregorian',
  Y: 'gregorian',
  IDDD: 'isoWeek',
  ID: 'isoWeek',
  IW: 'isoWeek',
  IYYY: 'isoWeek',
  IYY: 'isoWeek',
  IY: 'isoWeek',
  I: 'isoWeek',
}

const isSpace = (c: string | undefined): boolean => c !== undefined && /[ \t\n\v\f\r]/.test(c)
const isDigit = (c: string | undefined): boolean => c !== undefined && c >= '0' && c <= '9'

const invalid = (message: string, detail?: string, hint?: string) => sqlError('22007', message, { detail, hint })
const FIXED_WIDTH_HINT = 'If your source string is not fixed-width, try using the "FM" modifier.'

class Reader {
  readonly text: string
  readonly nodes: readonly Node[]
  readonly read = newRead()
  mode: 'gregorian' | 'isoWeek' | undefined
  at = 0
  constructor(text: string, nodes: readonly Node[]) {
    this.text = text
    this.nodes = nodes
  }

  set(field: NumberField, value: number, p: Pattern): void {
    if (this.read[field] !== 0 && this.read[field] !== value) {
      throw invalid(
        `conflicting values for "${p.name}" field in formatting string`,
        'This value contradicts a previous setting for the same field type.',
      )
    }
    this.read[field] = value
  }

  skipSpaces(): number {
    const start = this.at
    while (isSpace(this.text[this.at])) this.at++
    return this.at - start
  }

  /** Whether what follows the node in the template ends a number. */
  endsNumber(index: number): boolean {
    const node = this.nodes[index]
    if (node?.kind === 'pattern' && node.ordinal !== undefined) return true
    const next = this.nodes[index + 1]
    if (next === undefined) return true
    return next.kind === 'pattern' ? !isDigitField(next.field) : !isDigit(next.text)
  }

  /** A whole number of `width` digits, or as many as there are where the template lets it. Answers the characters read. */
  integer(field: NumberField | undefined, width: number, p: Pattern, index: number): number {
    this.skipSpaces()
    const rest = this.text.slice(this.at)
    const copy = rest.slice(0, width)
    const isFree = p.isFill || this.endsNumber(index)
    if (!isFree && rest.length < width) {
      throw invalid(
        `source string too short for "${p.name}" formatting field`,
        `Field requires ${width} characters, but only ${rest.length} remain.`,
        FIXED_WIDTH_HINT,
      )
    }
    const digits = /^\s*[+-]?\d+/.exec(isFree ? rest : copy)?.[0] ?? ''
    if (!isFree && digits.length > 0 && digits.length < width) {
      throw invalid(
        `invalid value "${copy}" for "${p.name}"`,
        `Field requires ${width} characters, but only ${digits.length} could be parsed.`,
        FIXED_WIDTH_HINT,
      )
    }
    const before = this.at
    this.at += digits.length
    if (this.at === before) throw invalid(`invalid value "${copy}" for "${p.name}"`, 'Value must be an integer.')
    const value = Number(digits) + 0
    if (value < -2147483648 || value > 2147483647) {
      throw sqlError('22008', `value for "${p.name}" in source string is out of range`, {
        detail: 'Value must be in the range -2147483648 to 2147483647.',
      })
    }
    if (field !== undefined) this.set(field, value, p)
    return this.at - before
  }

  /** The first of some words that the text goes on with, in any case. */
  word(words: readonly string[], p: Pattern): number {
    const rest = this.text.slice(this.at).toLowerCase()
    const found = words.findIndex((word) => rest.startsWith(word.toLowerCase()))
    if (found >= 0) {
      this.at += words[found]?.length ?? 0
      return found
    }
    const shown = /^[^ \t\n\r\f]*/.exec(this.text.slice(this.at))?.[0] ?? ''
    throw invalid(
      `invalid value "${shown}" for "${p.name}"`,
      'The given value did not match any of the allowed values for this field.',
    )
  }

  skipOrdinal(p: Pattern): void {
    if (p.ordinal !== undefined) this.at = Math.min(this.at + 2, this.text.length)
  }
}

/** 0 to 69 are 2000 to 2069, 70 to 99 are 1970 to 1999, three digits fall around 2020. */
function near2020(year: number): number {
  if (year < 70) return year + 2000
  if (year < 100) return year + 1900
  if (year < 520) return year + 2000
  return year < 1000 ? year + 1000 : year
}

const SHORT_MONTHS = FULL_MONTHS.map((month) => month.slice(0, 3))
const SHORT_DAYS = FULL_DAYS.map((day) => day.slice(0, 3))
const ROMAN_BACKWARD = [...ROMAN_MONTHS].reverse()

/** `isStandard`: as SQL/JSON's datetime() wants it, separators and letters exactly and nothing left over. */
function readTemplate(text: string, template: string, isStandard: boolean): Reader {
  const nodes = parseTemplate(template, isStandard)
  const r = new Reader(text, nodes)
  let isFixed = isStandard
  let extra = 0
  for (const [index, node] of nodes.entries()) {
    if (r.at >= text.length) {
      if (isStandard) throw invalid('input string is too short for datetime format')
      break
    }
    if (!isFixed && !(node.kind === 'pattern' && node.field === 'FX') && (node.kind === 'pattern' || index === 0)) {
      extra += r.skipSpaces()
    }
    if (isStandard && node.kind !== 'pattern') {
      if (!text.startsWith(node.text, r.at)) {
        const what = node.kind === 'text' ? 'character' : 'separator'
        throw invalid(`unmatched format ${what} "${node.text}"`)
      }
      r.at += node.text.length
      continue
    }
    if (node.kind === 'space' || node.kind === 'separator') {
      if (isFixed) r.at += characterLength(text, r.at)
      else {
        extra--
        const c = text[r.at]
        if (c !== undefined && (isSpace(c) || isSeparator(c))) {
          r.at++
          extra++
        }
      }
      continue
    }
    if (node.kind === 'text') {
      if (isFixed) r.at += characterLength(text, r.at)
      else if (extra > 0) extra--
      else r.at += characterLength(text, r.at)
      continue
    }
    const mode = MODES[node.field]
    if (mode !== undefined) {
      if (r.mode !== undefined && r.mode !== mode) {
        throw invalid(
          'invalid combination of date conventions',
          undefined,
          'Do not mix Gregorian and ISO week date conventions in a formatting template.',
        )
      }
      r.mode = mode
    }
    if (node.field === 'FX') isFixed = true
    else readPattern(r, node, index, extra)
    if (!isFixed) extra = r.skipSpaces()
  }
  if (isStandard) {
    r.skipSpaces()
    if (r.at < text.length) throw invalid('trailing characters remain in input string after datetime format')
  }
  return r
}

const characterLength = (text: string, at: number): number =>
  (text.codePointAt(at) ?? 0) > 0xffff ? 2 : at < text.length ? 1 : 0

function readPattern(r: Reader, p: Pattern, index: number, extra: number): void {
  const { read } = r
  switch (p.field) {
    case 'FX':
      return
    case 'AM':
      r.set('pm', r.word(p.isDotted ? ['a.m.', 'p.m.'] : ['am', 'pm'], p), p)
      read.isTwelveHours = true
      return
    case 'HH12':
      r.integer('hour', 2, p, index)
      read.isTwelveHours = true
      r.skipOrdinal(p)
      return
    case 'HH24':
      r.integer('hour', 2, p, index)
      r.skipOrdinal(p)
      return
    case 'MI':
      r.integer('minute', 2, p, index)
      r.skipOrdinal(p)
      return
    case 'SS':
      r.integer('second', 2, p, index)
      r.skipOrdinal(p)
      return
    case 'MS': {
      const length = r.integer('millis', 3, p, index)
      // 25 is 0.25 as 250 is; 025 is 0.025.
      read.millis *= length === 1 ? 100 : length === 2 ? 10 : 1
      r.skipOrdinal(p)
      return
    }
    case 'FF':
    case 'US': {
      if (p.field === 'FF') read.precision = p.precision
      const length = r.integer('micros', p.field === 'US' ? 6 : p.precision, p, index)
      read.micros *= length < 6 ? 10 ** (6 - length) : 1
      r.skipOrdinal(p)
      return
    }
    case 'SSSS':
      r.integer('secondOfDay', p.name.length, p, index)
      r.skipOrdinal(p)
      return
    case 'TZ':
    case 'OF':
      throw sqlError('0A000', `formatting field "${p.name}" is only supported in to_char`)
    case 'TZH': {
      const c = r.text[r.at]
      if (c === '+' || c === '-' || c === ' ') {
        read.zoneSign = c === '-' ? -1 : 1
        r.at++
      } else read.zoneSign = extra > 0 && r.text[r.at - 1] === '-' ? -1 : 1
      r.integer('zoneHour', 2, p, index)
      return
    }
    case 'TZM':
      if (read.zoneSign === 0) read.zoneSign = 1
      r.integer('zoneMinute', 2, p, index)
      return
    case 'AD':
      r.set('bc', r.word(p.isDotted ? ['a.d.', 'b.c.'] : ['ad', 'bc'], p), p)
      return
    case 'MONTH':
      r.set('month', r.word(FULL_MONTHS, p) + 1, p)
      return
    case 'MON':
      r.set('month', r.word(SHORT_MONTHS, p) + 1, p)
      return
    case 'MM':
      r.integer('month', 2, p, index)
      r.skipOrdinal(p)
      return
    case 'DAY':
      r.set('weekday', r.word(FULL_DAYS, p), p)
      read.weekday++
      return
    case 'DY':
      r.set('weekday', r.word(SHORT_DAYS, p), p)
      read.weekday++
      return
    case 'DDD':
    case 'IDDD':
      r.integer('dayOfYear', 3, p, index)
      r.skipOrdinal(p)
      return
    case 'DD':
      r.integer('day', 2, p, index)
      r.skipOrdinal(p)
      return
    case 'D':
      r.integer('weekday', 1, p, index)
      r.skipOrdinal(p)
      return
    case 'ID':
      r.integer('weekday', 1, p, index)
      // Monday is 1 here, Sunday in what is kept.
      if (++read.weekday > 7) read.weekday = 1
      r.skipOrdinal(p)
      return
    case 'WW':
    case 'IW':
      r.integer('week', 2, p, index)
      r.skipOrdinal(p)
      return
    case 'Q':
      // A quarter is read but tells no date.
      r.integer(undefined, 1, p, index)
      r.skipOrdinal(p)
      return
    case 'CC':
      r.integer('century', 2, p, index)
      r.skipOrdinal(p)
      return
    case 'Y,YYY': {
      const match = /^\s*([+-]?\d+),(\s*[+-]?\d{1,3})/.exec(r.text.slice(r.at))
      if (match === null) throw invalid('invalid input string for "Y,YYY"')
      r.set('year', Number(match[2]) + Number(match[1]) * 1000, p)
      read.yearDigits = 4
      r.at += match[0].length
      r.skipOrdinal(p)
      return
    }
    case 'YYYY':
    case 'IYYY':
    case 'YYY':
    case 'IYY':
    case 'YY':
    case 'IY':
    case 'Y':
    case 'I': {
      const digits = p.field.length
      const length = r.integer('year', digits, p, index)
      if (digits < 4 && length < 4) read.year = near2020(read.year)
      read.yearDigits = digits
      r.skipOrdinal(p)
      return
    }
    case 'RM':
      r.set('month', 12 - r.word(ROMAN_BACKWARD, p), p)
      return
    case 'W':
      r.integer('weekOfMonth', 1, p, index)
      r.skipOrdinal(p)
      return
    case 'J':
      r.integer('julian', 1, p, index)
      r.skipOrdinal(p)
  }
}

const rangeError = (text: string) => failureError('field', text, 'timestamp')

/** The year that year, century and era give; undefined when the text names none. */
function yearOfRead(read: Read): number | undefined {
  if (read.year !== 0) {
    if (read.century !== 0 && read.yearDigits <= 2) {
      const century = read.bc !== 0 ? -read.century : read.century
      const year = read.year % 100
      if (year === 0) return century * 100 + (century >= 0 ? 0 : 1)
      return century >= 0 ? year + (century - 1) * 100 : (century + 1) * 100 - year + 1
    }
    const year = read.bc !== 0 ? -read.year : read.year
    return year < 0 ? year + 1 : year
  }
  if (read.century === 0) return undefined
  const century = read.bc !== 0 ? -read.century : read.century
  return century >= 0 ? (century - 1) * 100 + 1 : century * 100 + 1
}

export interface Result {
  readonly fields: Fields
  /** Seconds east, when the text has a zone. */
  readonly offset: number | undefined
  readonly precision: number
}

export function fieldsOf(text: string, template: string, isStandard = false): Result {
  const { read, mode } = readTemplate(text, template, isStandard)
  const f = newFields()
  f.month = f.day = 1
  let hasMonth = false
  let hasDay = false
  let hasYear = false
  if (read.secondOfDay !== 0) {
    f.hour = Math.trunc(read.secondOfDay / 3600)
    f.minute = Math.trunc((read.secondOfDay % 3600) / 60)
    f.second = read.secondOfDay % 60
  }
  if (read.second !== 0) f.second = read.second
  if (read.minute !== 0) f.minute = read.minute
  if (read.hour !== 0) f.hour = read.hour
  if (read.isTwelveHours) {
    if (f.hour < 1 || f.hour > 12) {
      throw sqlError('22007', `hour "${f.hour}" is invalid for the 12-hour clock`, {
        hint: 'Use the 24-hour clock, or give an hour between 1 and 12.',
      })
    }
    if (read.pm !== 0 && f.hour < 12) f.hour += 12
    else if (read.pm === 0 && f.hour === 12) f.hour = 0
  }
  const year = yearOfRead(read)
  if (year !== undefined) {
    f.year = year
    hasYear = true
  }
  const setDate = (julian: number): void => {
    setFromJulian(julian, f)
    hasYear = hasMonth = hasDay = true
  }
  if (read.julian !== 0) setDate(read.julian)
  let { dayOfYear } = read
  if (read.week !== 0) {
    if (mode === 'isoWeek') {
      // Without a weekday it is the week's Monday.
      const monday = isoWeekMonday(f.year, read.week)
      setDate(read.weekday === 0 ? monday : monday + (read.weekday > 1 ? read.weekday - 2 : 6))
    } else dayOfYear = (read.week - 1) * 7 + 1
  }
  const day = read.weekOfMonth !== 0 ? (read.weekOfMonth - 1) * 7 + 1 : read.day
  if (day !== 0) {
    f.day = day
    hasDay = true
  }
  if (read.month !== 0) {
    f.month = read.month
    hasMonth = true
  }
  if (dayOfYear !== 0 && (f.month <= 1 || f.day <= 1)) {
    if (f.year === 0 && read.bc === 0) throw invalid('cannot calculate day of year without year information')
    if (mode === 'isoWeek') setDate(isoWeekMonday(f.year, 1) - 1 + dayOfYear)
    else {
      let month = 1
      let rest = dayOfYear
      const length = (m: number): number => (m === 2 && isLeap(f.year) ? 29 : daysInMonth(2001, m))
      while (month < 12 && rest > length(month)) rest -= length(month++)
      if (f.month <= 1) f.month = month
      if (f.day <= 1) f.day = rest
      hasMonth = hasDay = true
    }
  }
  f.micros = read.millis * 1000 + read.micros
  const isDateBad =
    (hasMonth && (f.month < 1 || f.month > 12)) ||
    (hasDay && (f.day < 1 || f.day > 31)) ||
    (hasYear && hasMonth && hasDay && f.day > daysInMonth(f.year, f.month))
  if (isDateBad) throw rangeError(text)
  const isTimeBad =
    f.hour < 0 ||
    f.hour >= 24 ||
    f.minute < 0 ||
    f.minute >= 60 ||
    f.second < 0 ||
    f.second >= 60 ||
    f.micros < 0 ||
    f.micros >= MICROS_PER_SECOND
  if (isTimeBad) throw rangeError(text)
  let offset: number | undefined
  if (read.zoneSign !== 0) {
    if (read.zoneHour < 0 || read.zoneHour > 15 || read.zoneMinute < 0 || read.zoneMinute >= 60) {
      throw failureError('zone', text, 'timestamp')
    }
    offset = read.zoneSign * (read.zoneHour * 3600 + read.zoneMinute * 60) + 0
  }
  return { fields: f, offset, precision: read.precision }
}

function timestampOf(text: string, template: string, settings: Settings): Int64 {
  const { fields, offset, precision } = fieldsOf(text, template)
  const instant = instantOfFields(fields, offset ?? offsetOfFields(fields, sessionZone(settings)))
  if (instant === undefined) throw outOfRange('timestamp')
  return precision === 0 ? instant : roundMicros(instant, precision)
}

function dateOf(text: string, template: string): number {
  const { fields } = fieldsOf(text, template)
  const isJulian = isJulianDate(fields.year, fields.month)
  const day = isJulian ? julianDay(fields.year, fields.month, fields.day) - EPOCH_JULIAN : Number.NaN
  if (!(day >= DATE_MIN && day < DATE_END)) throw sqlError('22008', `date out of range: "${text}"`)
  return day
}

export const FROM_CHAR_FUNCTIONS: FunctionTable = {
  to_timestamp: bound(
    ({ context }) =>
      (text: string, template: string) =>
        timestampOf(text, template, context.settings),
  ),
  to_date: scalar(dateOf),
}
