/**
 * Gives the fields of a date, time or timestamp their meaning, in the order they come (PostgreSQL 15 manual, B.1).
 * A set of bits tells which parts are known by now; a part given twice is an error; a bare number is what is missing
 * next, in the session's date order.
 *
 *     tokenize ─► decodeDateTime (date, timestamp[tz]) or decodeTime (time[tz]) ─► Decoded
 */
import type { Settings } from '../settings.ts'
import type { Fields } from './calendar.ts'
import {
  daysInMonth,
  EPOCH_JULIAN,
  isJulianDate,
  julianDay,
  MICROS_PER_DAY,
  MICROS_PER_SECOND,
  newFields,
  SECONDS_PER_DAY,
  setFromInstant,
  setFromJulian,
  setFromTime,
  timeOfFields,
  UNIX_EPOCH_JULIAN,
} from './calendar.ts'
import { failure, unknownZone } from './failure.ts'
import type { Token } from './tokens.ts'
import { fraction, leadingInteger, tokenize } from './tokens.ts'
import type { Unit } from './words.ts'
import { dateWord } from './words.ts'
import type { Zone } from './zones.ts'
import { abbreviationNamed, offsetOfDynamic, zoneNamed } from './zones.ts'

/** What input depends on beside the text: part of a TypeContext. */
export interface InputContext {
  readonly settings: Settings
  readonly transactionTimestamp: number
}

/** The parts known, as bits. */
const YEAR = 1
const MONTH = 2
const DAY = 4
const DATE = YEAR | MONTH | DAY
const HOUR = 8
const MINUTE = 16
const SECONDS = 32 | 64 | 128
const SECOND = 32
const TIME = HOUR | MINUTE | SECONDS
const ZONE = 256
const DST = 512
const DST_MODIFIER = 1024
const DAY_OF_YEAR = 2048
const HALF_DAY = 4096
const ERA = 8192
const WEEKDAY = 16384
const DYNAMIC = 32768
const SPECIAL = 65536

const FIELDS_TEXT_MAX = 153
const ZONE_HOUR_MAX = 15

/** `fields` local time, `offset` seconds east of UTC; the fields do not count when `special` is given. */
export interface Decoded {
  readonly fields: Fields
  readonly offset: number
  readonly special: 'epoch' | 'infinity' | '-infinity' | undefined
}

/** The session's zone. Throws 22023 for a setting that names none. */
export function sessionZone(settings: Settings): Zone {
  const zone = zoneNamed(settings.timeZone)
  if (zone === undefined) throw unknownZone(settings.timeZone)
  return zone
}

/** Fields as the Unix second they would be in UTC; undefined beyond Julian days. */
function unixSecondOfFields(fields: Fields): number | undefined {
  if (!isJulianDate(fields.year, fields.month)) return undefined
  const day = julianDay(fields.year, fields.month, fields.day) - UNIX_EPOCH_JULIAN
  return day * SECONDS_PER_DAY + (fields.hour * 60 + fields.minute) * 60 + fields.second
}

/** The offset of a local time in a zone; 0 beyond Julian days. */
export function offsetOfFields(fields: Fields, zone: Zone): number {
  const second = unixSecondOfFields(fields)
  return second === undefined ? 0 : zone.offsetOfLocal(second)
}

/** '+05', '-0330', '+1:02:03' as seconds east. */
export function decodeOffset(text: string): number {
  if (text[0] !== '+' && text[0] !== '-') throw failure.format
  let { value: hours, end } = leadingInteger(text, 1)
  let minutes = 0
  let seconds = 0
  if (Number.isNaN(hours)) throw failure.zone
  if (text[end] === ':') {
    ;({ value: minutes, end } = leadingInteger(text, end + 1))
    if (text[end] === ':') ({ value: seconds, end } = leadingInteger(text, end + 1))
  } else if (end === text.length && text.length > 3) {
    minutes = hours % 100
    hours = Math.trunc(hours / 100)
  }
  const inRange = hours >= 0 && hours <= ZONE_HOUR_MAX && minutes >= 0 && minutes < 60 && seconds >= 0 && seconds < 60
  if (!inRange) throw failure.zone
  if (end !== text.length) throw failure.format
  const total = (hours * 60 + minutes) * 60 + seconds
  return text[0] === '-' && total !== 0 ? -total : total
}

/** hh:mm, hh:mm:ss[.f] or mm:ss.f into `hour`, `minute`, `second`, `micros`. Throws failure.field out of range. */
export function decodeClock(text: string, isMinuteToSecond: boolean, into: Fields): void {
  const first = leadingInteger(text, 0)
  if (text[first.end] !== ':') throw Number.isNaN(first.value) ? failure.field : failure.format
  const second = leadingInteger(text, first.end + 1)
  let third = { value: 0, end: second.end }
  let micros = 0
  let isShifted = false
  const delimiter = text[second.end]
  if (delimiter === undefined) isShifted = isMinuteToSecond
  else if (delimiter === '.') {
    micros = fractionMicros(text, second.end)
    isShifted = true
  } else if (delimiter === ':') {
    third = leadingInteger(text, second.end + 1)
    if (third.end < text.length) {
      if (text[third.end] !== '.') throw failure.format
      micros = fractionMicros(text, third.end)
    }
  } else throw failure.format
  into.hour = isShifted ? 0 : first.value
  into.minute = isShifted ? first.value : second.value
  into.second = isShifted ? second.value : third.value
  into.micros = micros
  const inRange =
    into.hour >= 0 &&
    into.minute >= 0 &&
    into.minute < 60 &&
    into.second >= 0 &&
    into.second <= 60 &&
    micros <= MICROS_PER_SECOND
  if (!inRange) throw failure.field
}

const roundHalfEven = (n: number): number => {
  const rounded = Math.round(n)
  return rounded - n === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
const fractionMicros = (text: string, at: number): number => roundHalfEven(fraction(text, at) * MICROS_PER_SECOND)

/** Whether a time of day goes beyond 24:00:00. 23:59:60 is the next midnight. */
const timeOverflows = (f: Fields): boolean =>
  f.hour < 0 ||
  f.hour > 24 ||
  f.minute < 0 ||
  f.minute > 59 ||
  f.second < 0 ||
  f.second > 60 ||
  f.micros < 0 ||
  f.micros > MICROS_PER_SECOND ||
  timeOfFields(f) > MICROS_PER_DAY

/** The state both decoders share: what is known of the text so far. */
class Decoder {
  readonly fields = newFields()
  known = 0
  dayOfYear = 0
  isTwoDigitYear = false
  isJulian = false
  isBc = false
  hasTextMonth = false
  halfDay: 'am' | 'pm' | undefined
  offset = 0
  zone: Zone | undefined
  dynamic: { readonly name: string; readonly zone: Zone } | undefined
  /** A unit or 't' seen that labels the next number. */
  label: Unit | 'isoTime' | undefined
  readonly context: InputContext

  constructor(context: InputContext) {
    this.context = context
  }

  add(mask: number): void {
    if ((this.known & mask) !== 0) throw failure.format
    this.known |= mask
  }
  has(mask: number): boolean {
    return (this.known & mask) === mask
  }

  setJulian(day: number): void {
    if (Number.isNaN(day) || day < 0) throw failure.field
    setFromJulian(day, this.fields)
    this.isJulian = true
  }

  namedZone(text: string): number {
    const zone = zoneNamed(text)
    if (zone === undefined) throw unknownZone(text)
    this.zone = zone
    return ZONE
  }

  /** A date of several parts: numbers and at most one month name between delimiters. */
  date(text: string, known: number): number {
    const parts: string[] = []
    let at = 0
    while (at < text.length) {
      const match = /[0-9]+|[a-z]+/g
      match.lastIndex = at
      const found = match.exec(text)
      if (found === null) throw failure.format
      parts.push(found[0])
      at = match.lastIndex + 1
    }
    let mask = 0
    let hasTextMonth = false
    const add = (bits: number): void => {
      if (((known | mask) & bits) !== 0) throw failure.format
      mask |= bits
    }
    const numbers: string[] = []
    for (const part of parts) {
      if (part.charCodeAt(0) < 58) {
        numbers.push(part)
        continue
      }
      const word = dateWord(part)
      if (word?.kind === 'ignored') continue
      if (word?.kind !== 'month') throw failure.format
      this.fields.month = word.value
      hasTextMonth = true
      add(MONTH)
    }
    for (const part of numbers) add(this.number(part, hasTextMonth, known | mask))
    if (((known | mask) & ~(DAY_OF_YEAR | ZONE)) !== DATE) throw failure.format
    return mask
  }

  /** A bare number: the part that comes next. */
  number(text: string, hasTextMonth: boolean, known: number): number {
    const { value, end } = leadingInteger(text, 0)
    if (Number.isNaN(value)) throw failure.field
    if (end === 0) throw failure.format
    const f = this.fields
    if (text[end] === '.') {
      if (end > 2) return this.runTogether(text, known | DATE).mask
      f.micros = fractionMicros(text, end)
    } else if (end < text.length) throw failure.format

    const length = text.length
    if (length === 3 && (known & DATE) === YEAR && value >= 1 && value <= 366) {
      this.dayOfYear = value
      return DAY_OF_YEAR | MONTH | DAY
    }
    const isYear = length >= 3 || this.context.settings.dateOrder === 'YMD'
    let mask: number
    switch (known & DATE) {
      case 0:
        mask = isYear ? YEAR : this.context.settings.dateOrder === 'DMY' ? DAY : MONTH
        break
      case YEAR:
      case DAY:
        mask = MONTH
        break
      case MONTH:
        mask = hasTextMonth && isYear ? YEAR : DAY
        break
      case YEAR | MONTH:
        mask = DAY
        if (hasTextMonth && length >= 3 && this.isTwoDigitYear) {
          // The first number was the day after all: 08-Jan-1999 with the year first in order.
          f.day = f.year
          f.year = value
          this.isTwoDigitYear = false
          return DAY
        }
        break
      case MONTH | DAY:
        mask = YEAR
        break
      case DATE:
        return this.runTogether(text, known).mask
      default:
        throw failure.format
    }
    if (mask === YEAR) {
      f.year = value
      this.isTwoDigitYear = length <= 2
    } else if (mask === MONTH) f.month = value
    else f.day = value
    return mask
  }

  /** 19990108, 990108, 040506, 0405, 040506.789: a date, else a time. */
  runTogether(text: string, known: number): { readonly mask: number; readonly kind: 'date' | 'time' } {
    const f = this.fields
    let digits = text
    const point = text.indexOf('.')
    if (point >= 0) {
      f.micros = fractionMicros(text, point)
      digits = text.slice(0, point)
    } else if ((known & DATE) !== DATE && digits.length >= 6) {
      f.day = Number(digits.slice(-2))
      f.month = Number(digits.slice(-4, -2))
      f.year = wrappedInteger(digits.slice(0, -4))
      if (digits.length === 6) this.isTwoDigitYear = true
      return { mask: DATE, kind: 'date' }
    }
    if ((known & TIME) !== TIME && (digits.length === 6 || digits.length === 4)) {
      f.hour = Number(digits.slice(0, 2))
      f.minute = Number(digits.slice(2, 4))
      f.second = digits.length === 6 ? Number(digits.slice(4)) : 0
      return { mask: TIME, kind: 'time' }
    }
    throw failure.format
  }

  /** A time with its offset in one field: 040506-08. */
  runTogetherWithOffset(text: string, known: number): number {
    if ((this.known & TIME) === TIME) throw failure.format
    const minus = text.indexOf('-')
    if (minus < 0) throw failure.format
    this.offset = decodeOffset(text.slice(minus))
    return this.runTogether(text.slice(0, minus), known).mask | ZONE
  }

  /** A number after a label: `j 2451187`, `y 1999`, `t 040506`. `known` may claim a date to be there. */
  labelled(text: string, known: number): number {
    const label = this.label
    this.label = undefined
    const { value, end } = leadingInteger(text, 0)
    if (Number.isNaN(value)) throw failure.field
    const hasFraction = text[end] === '.'
    if (hasFraction ? label !== 'julian' && label !== 'isoTime' && label !== 'second' : end < text.length) {
      throw failure.format
    }
    const f = this.fields
    switch (label) {
      case 'year':
        f.year = value
        return YEAR
      case 'month':
        if (this.has(MONTH | HOUR)) {
          f.minute = value
          return MINUTE
        }
        f.month = value
        return MONTH
      case 'day':
        f.day = value
        return DAY
      case 'hour':
        f.hour = value
        return HOUR
      case 'minute':
        f.minute = value
        return MINUTE
      case 'second':
        f.second = value
        if (!hasFraction) return SECOND
        f.micros = fractionMicros(text, end)
        return SECONDS
      case 'julian':
        this.setJulian(value)
        if (!hasFraction) return DATE
        setFromTime(Math.trunc(fraction(text, end) * MICROS_PER_DAY), f)
        return DATE | TIME
      case 'isoTime': {
        const { mask } = this.runTogether(text, known | DATE)
        if (mask !== TIME) throw failure.format
        return TIME
      }
      default:
        throw failure.format
    }
  }

  /** A time zone abbreviation, if the word is one. */
  abbreviation(text: string): number | undefined {
    const abbreviation = abbreviationNamed(text)
    if (abbreviation === undefined) return undefined
    if (abbreviation.kind === 'fixed') {
      this.offset = abbreviation.offset
      return abbreviation.isDst ? ZONE | DST : ZONE
    }
    const zone = zoneNamed(abbreviation.zone)
    if (zone === undefined) throw unknownZone(abbreviation.zone)
    this.dynamic = { name: text, zone }
    return ZONE | DYNAMIC
  }

  /** Labels, eras, weekdays and the like, which dates and times take alike; undefined for another kind of word. */
  commonWord(word: NonNullable<ReturnType<typeof dateWord>>, next: Token['kind'] | undefined): number | undefined {
    switch (word.kind) {
      case 'dst':
        this.offset += 3600
        return DST_MODIFIER | DST
      case 'halfDay':
        this.halfDay = word.pm ? 'pm' : 'am'
        return HALF_DAY
      case 'era':
        this.isBc = word.bc
        return ERA
      case 'unit':
        this.label = word.value
        return 0
      case 'isoTime':
        if (next !== 'number' && next !== 'time' && next !== 'date') throw failure.format
        this.label = 'isoTime'
        return 0
      default:
        return undefined
    }
  }

  today(shift: number): void {
    const now = newFields()
    const instant = this.context.transactionTimestamp
    const unix = Math.floor(instant / MICROS_PER_SECOND) + 946_684_800
    setFromInstant(instant, sessionZone(this.context.settings).offsetAt(unix), now)
    setFromJulian(julianDay(now.year, now.month, now.day) + shift, this.fields)
  }

  now(): number {
    const instant = this.context.transactionTimestamp
    const unix = Math.floor(instant / MICROS_PER_SECOND) + 946_684_800
    const offset = sessionZone(this.context.settings).offsetAt(unix)
    setFromInstant(instant, offset, this.fields)
    return offset
  }

  /** Makes year, month and day out of what was given, and checks them. */
  finishDate(): void {
    const f = this.fields
    if ((this.known & YEAR) !== 0 && !this.isJulian) {
      if (this.isBc) {
        if (f.year <= 0) throw failure.field
        f.year = 1 - f.year
      } else if (this.isTwoDigitYear) {
        if (f.year < 0) throw failure.field
        if (f.year < 70) f.year += 2000
        else if (f.year < 100) f.year += 1900
      } else if (f.year <= 0) throw failure.field
    }
    if ((this.known & DAY_OF_YEAR) !== 0) setFromJulian(julianDay(f.year, 1, 1) + this.dayOfYear - 1, f)
    if ((this.known & MONTH) !== 0 && (f.month < 1 || f.month > 12)) throw failure.monthDay
    if ((this.known & DAY) !== 0 && (f.day < 1 || f.day > 31)) throw failure.monthDay
    if (this.has(DATE) && f.day > daysInMonth(f.year, f.month)) throw failure.field
  }

  finishHalfDay(): void {
    if (this.halfDay === undefined) return
    const f = this.fields
    if (f.hour > 12) throw failure.field
    if (this.halfDay === 'am' && f.hour === 12) f.hour = 0
    else if (this.halfDay === 'pm' && f.hour !== 12) f.hour += 12
  }

  refuseDstModifier(): void {
    if ((this.known & DST_MODIFIER) !== 0) throw failure.format
  }
}

/**
 * Reads a date, timestamp or timestamptz. Throws a DecodeFailure, or 22023 for an unknown zone. Where no zone is given
 * the offset is the session's.
 */
export function decodeDateTime(text: string, context: InputContext): Decoded {
  const d = new Decoder(context)
  const f = d.fields
  let special: Decoded['special']
  const tokens = tokenize(text, FIELDS_TEXT_MAX)
  for (const [i, token] of tokens.entries()) {
    const mask = dateTimeToken(d, token, tokens[i + 1]?.kind)
    if (typeof mask === 'number') d.add(mask)
    else {
      special = mask.special
      d.add(SPECIAL)
    }
  }
  if (special !== undefined) return { fields: f, offset: 0, special }

  d.finishDate()
  d.finishHalfDay()
  if (!d.has(DATE)) throw failure.format
  if (d.zone !== undefined) {
    d.refuseDstModifier()
    d.offset = offsetOfFields(f, d.zone)
  }
  if (d.dynamic !== undefined) {
    d.refuseDstModifier()
    d.offset = offsetOfDynamic(d.dynamic.zone, d.dynamic.name, unixSecondOfFields(f) ?? 0)
  }
  if ((d.known & ZONE) === 0) {
    d.refuseDstModifier()
    d.offset = offsetOfFields(f, sessionZone(context.settings))
  }
  return { fields: f, offset: d.offset, special: undefined }
}

function dateTimeToken(
  d: Decoder,
  { kind, text }: Token,
  next: Token['kind'] | undefined,
): number | { special: 'epoch' | 'infinity' | '-infinity' } {
  const f = d.fields
  switch (kind) {
    case 'date':
      if (d.label === 'julian') {
        d.label = undefined
        const { value, end } = leadingInteger(text, 0)
        d.setJulian(value)
        d.offset = decodeOffset(text.slice(end))
        return DATE | TIME | ZONE
      }
      if (d.label !== undefined || d.has(MONTH | DAY)) {
        if (d.label === undefined && !/^\d/.test(text)) return d.namedZone(text)
        if (d.label !== undefined && d.label !== 'isoTime') throw failure.format
        d.label = undefined
        return d.runTogetherWithOffset(text, d.known)
      }
      return d.date(text, d.known)
    case 'time':
      if (d.label !== undefined && d.label !== 'isoTime') throw failure.format
      d.label = undefined
      decodeClock(text, false, f)
      if (timeOverflows(f)) throw failure.field
      return TIME
    case 'zone':
      d.offset = decodeOffset(text)
      return ZONE
    case 'number': {
      if (d.label !== undefined) return d.labelled(text, d.known)
      const point = text.indexOf('.')
      if (point >= 0 && (d.known & DATE) === 0) return d.date(text, d.known)
      if (point > 2) return d.runTogether(text, d.known).mask
      if (text.length >= 6 && ((d.known & DATE) === 0 || (d.known & TIME) === 0))
        return d.runTogether(text, d.known).mask
      return d.number(text, d.hasTextMonth, d.known)
    }
    case 'word':
    case 'special': {
      const abbreviation = d.abbreviation(text)
      if (abbreviation !== undefined) return abbreviation
      const word = dateWord(text)
      if (word === undefined) {
        d.zone = zoneNamed(text)
        if (d.zone === undefined) throw failure.format
        return ZONE
      }
      switch (word.kind) {
        case 'ignored':
          return 0
        case 'weekday':
          return WEEKDAY
        case 'month':
          return monthWord(d, word.value)
        case 'isoTime':
          if (!d.has(DATE)) throw failure.format
          return d.commonWord(word, next) ?? 0
        case 'reserved':
          return reservedWord(d, word.value)
        default:
          return d.commonWord(word, next) ?? 0
      }
    }
  }
}

/** A number taken for the month before the name came was the day. */
function monthWord(d: Decoder, month: number): number {
  const f = d.fields
  let mask = MONTH
  if ((d.known & MONTH) !== 0 && !d.hasTextMonth && (d.known & DAY) === 0 && f.month >= 1 && f.month <= 31) {
    f.day = f.month
    mask = DAY
  }
  d.hasTextMonth = true
  f.month = month
  return mask
}

function reservedWord(
  d: Decoder,
  value: 'infinity' | '-infinity' | 'epoch' | 'now' | 'today' | 'tomorrow' | 'yesterday' | 'allballs',
): number | { special: 'epoch' | 'infinity' | '-infinity' } {
  const f = d.fields
  switch (value) {
    case 'now':
      d.offset = d.now()
      return DATE | TIME | ZONE
    case 'today':
      d.today(0)
      return DATE
    case 'tomorrow':
      d.today(1)
      return DATE
    case 'yesterday':
      d.today(-1)
      return DATE
    case 'allballs':
      f.hour = f.minute = f.second = 0
      d.offset = 0
      return TIME | ZONE
    default:
      return { special: value }
  }
}

/**
 * Reads a time or timetz. A date in the text only serves to find the offset of a named zone; without one the offset is
 * that of today in the session's zone. Throws a DecodeFailure, or 22023 for an unknown zone.
 */
export function decodeTime(text: string, context: InputContext): Decoded {
  const d = new Decoder(context)
  const f = d.fields
  const tokens = tokenize(text, FIELDS_TEXT_MAX)
  for (const i of tokens.keys()) d.add(timeToken(d, tokens, i))
  d.finishDate()
  d.finishHalfDay()
  if (timeOverflows(f)) throw failure.field
  if (!d.has(TIME)) throw failure.format

  if (d.zone !== undefined) {
    d.refuseDstModifier()
    const fixed = d.zone.fixedOffset()
    if (fixed === undefined && !d.has(DATE)) throw failure.format
    d.offset = fixed ?? offsetOfFields(f, d.zone)
  }
  if (d.dynamic !== undefined) {
    d.refuseDstModifier()
    d.offset = offsetOfDynamic(d.dynamic.zone, d.dynamic.name, unixSecondOfFields(dated(d)) ?? 0)
  }
  if ((d.known & ZONE) === 0) {
    d.refuseDstModifier()
    d.offset = offsetOfFields(dated(d), sessionZone(context.settings))
  }
  return { fields: f, offset: d.offset, special: undefined }
}

/** The time on the date given, else today. */
function dated(d: Decoder): Fields {
  if (d.has(DATE)) return d.fields
  if ((d.known & DATE) !== 0) throw failure.format
  d.today(0)
  return d.fields
}

function timeToken(d: Decoder, tokens: Token[], i: number): number {
  const token = tokens[i]
  if (token === undefined) return 0
  const { kind, text } = token
  const f = d.fields
  const last = tokens[tokens.length - 1]
  switch (kind) {
    case 'date':
      if (i === 0 && tokens.length >= 2 && (last?.kind === 'date' || tokens[1]?.kind === 'time')) {
        return d.date(text, d.known)
      }
      if (/^\d/.test(text)) {
        const mask = d.runTogetherWithOffset(text, d.known | DATE)
        token.kind = 'time'
        return mask
      }
      token.kind = 'zone'
      return d.namedZone(text)
    case 'time':
      decodeClock(text, false, f)
      return TIME
    case 'zone':
      d.offset = decodeOffset(text)
      return ZONE
    case 'number': {
      if (d.label !== undefined) return d.labelled(text, d.known)
      const point = text.indexOf('.')
      if (point >= 0) {
        if (i === 0 && tokens.length >= 2 && last?.kind === 'date') return d.date(text, d.known)
        if (point <= 2) throw failure.format
        const read = d.runTogether(text, d.known | DATE)
        token.kind = read.kind
        return read.mask
      }
      if (text.length > 4) {
        const read = d.runTogether(text, d.known | DATE)
        token.kind = read.kind
        return read.mask
      }
      return d.number(text, false, d.known | DATE)
    }
    case 'word':
    case 'special': {
      const abbreviation = d.abbreviation(text)
      if (abbreviation !== undefined) {
        token.kind = 'zone'
        return abbreviation
      }
      const word = dateWord(text)
      if (word === undefined) {
        d.zone = zoneNamed(text)
        if (d.zone === undefined) throw failure.format
        token.kind = 'zone'
        return ZONE
      }
      if (word.kind === 'ignored') return 0
      if (word.kind === 'reserved') {
        if (word.value === 'now') {
          d.now()
          f.year = f.month = f.day = 0
          return TIME
        }
        if (word.value === 'allballs') {
          f.hour = f.minute = f.second = 0
          d.offset = 0
          return TIME | ZONE
        }
        throw failure.format
      }
      const mask = d.commonWord(word, tokens[i + 1]?.kind)
      if (mask === undefined) throw failure.format
      return mask
    }
  }
}

/** A number of too many digits keeps its low 32 bits, as C's atoi does; the range check after then fails. */
function wrappedInteger(digits: string): number {
  if (digits.length < 10) return Number(digits)
  const value = BigInt(digits)
  return Number(BigInt.asIntN(32, value > 9223372036854775807n ? 9223372036854775807n : value))
}

/** Days since 2000 of the fields' date, which must be a Julian date. */
export const dayOfFields = (f: Fields): number => julianDay(f.year, f.month, f.day) - EPOCH_JULIAN
