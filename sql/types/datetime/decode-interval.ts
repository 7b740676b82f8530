/**
 * Reads an interval: PostgreSQL's verbose form, SQL's '1-2 3 4:05:06' and ISO 8601's 'P1Y2MT3H' (PostgreSQL 15 manual,
 * 8.5.4). The fields are read from right to left, since a unit stands after its number; a fraction of a unit goes down
 * to days and microseconds.
 */

import { sqlError } from '../error.ts'
import type { Settings } from '../settings.ts'
import type { Int64 } from '../value.ts'
import { Interval } from '../value.ts'
import { add64, canonical, isInt32, isInt64, MICROS_PER_DAY, negate64, newFields } from './calendar.ts'
import { decodeClock } from './decode.ts'
import { DecodeFailure, failure, failureError, inputError } from './failure.ts'
import { FULL_RANGE, RANGE } from './interval-typmod.ts'
import { fraction, tokenize } from './tokens.ts'
import type { Unit } from './words.ts'
import { intervalWord } from './words.ts'

const FIELDS_TEXT_MAX = 256

interface UnitMeaning {
  /** What a whole one adds to. */
  readonly part: 'micros' | 'days' | 'months'
  readonly factor: number
}

/** Years and longer add months by twelves, but are added up as years so that their overflow is PostgreSQL's. */
const UNITS: Partial<Record<Unit, UnitMeaning>> = {
  microsecond: { part: 'micros', factor: 1 },
  millisecond: { part: 'micros', factor: 1_000 },
  second: { part: 'micros', factor: 1_000_000 },
  minute: { part: 'micros', factor: 60_000_000 },
  hour: { part: 'micros', factor: 3_600_000_000 },
  day: { part: 'days', factor: 1 },
  week: { part: 'days', factor: 7 },
  month: { part: 'months', factor: 1 },
}
const YEARS: Partial<Record<Unit, number>> = { year: 1, decade: 10, century: 100, millennium: 1000 }

/** Units as bits, to refuse one given twice; a time of day is hour, minute and second. */
const BITS: Partial<Record<Unit, number>> = {
  second: 1,
  millisecond: 2,
  microsecond: 4,
  minute: 8,
  hour: 16,
  day: 32,
  week: 64,
  month: 128,
  year: 256,
  decade: 512,
  century: 1024,
  millennium: 2048,
}
const SECONDS = 1 | 2 | 4
const TIME = SECONDS | 8 | 16

/** The sum so far. */
class Sum {
  years = 0
  months = 0
  days = 0
  micros: Int64 = 0

  addMicros(value: bigint): void {
    const sum = add64(this.micros, canonical(value))
    if (!isInt64(sum)) throw failure.field
    this.micros = sum
  }
  addDays(value: bigint, factor: number): void {
    this.days = narrow(BigInt(this.days) + narrowBig(narrowBig(value) * BigInt(factor)))
  }
  addMonths(value: bigint): void {
    this.months = narrow(BigInt(this.months) + narrowBig(value))
  }
  addYears(value: bigint, factor: number): void {
    this.years = narrow(BigInt(this.years) + narrowBig(narrowBig(value) * BigInt(factor)))
  }
  addFractionMicros(value: number, factor: number): void {
    if (value === 0) return
    const scaled = value * factor
    const whole = Math.trunc(scaled)
    const rest = scaled - whole
    this.addMicros(BigInt(whole + (rest > 0.5 ? 1 : rest < -0.5 ? -1 : 0)))
  }
  addFractionDays(value: number, factor: number): void {
    if (value === 0) return
    const scaled = value * factor
    const whole = Math.trunc(scaled)
    this.days = narrow(BigInt(this.days) + BigInt(whole))
    this.addFractionMicros(scaled - whole, MICROS_PER_DAY)
  }
  addFractionYears(value: number, factor: number): void {
    this.months = narrow(BigInt(this.months) + BigInt(roundEven(value * factor * 12)))
  }

  add(unit: Unit, value: bigint, part: number): void {
    const years = YEARS[unit]
    if (years !== undefined) {
      this.addYears(value, years)
      this.addFractionYears(part, years)
      return
    }
    const meaning = UNITS[unit]
    if (meaning === undefined) throw failure.format
    switch (meaning.part) {
      case 'micros':
        this.addMicros(wide(value * BigInt(meaning.factor)))
        this.addFractionMicros(part, meaning.factor)
        break
      case 'days':
        this.addDays(value, meaning.factor)
        if (unit === 'day') this.addFractionMicros(part, MICROS_PER_DAY)
        else this.addFractionDays(part, meaning.factor)
        break
      case 'months':
        this.addMonths(value)
        this.addFractionDays(part, 30)
        break
    }
  }

  negate(): void {
    this.years = narrow(-BigInt(this.years))
    this.months = narrow(-BigInt(this.months))
    this.days = narrow(-BigInt(this.days))
    this.micros = negate64(this.micros)
    if (!isInt64(this.micros)) throw failure.field
  }

  interval(): Interval {
    const months = this.years * 12 + this.months
    if (!isInt32(months)) throw sqlError('22008', 'interval out of range')
    return new Interval(months, this.days, this.micros)
  }
}

const narrowBig = (n: bigint): bigint => {
  if (n < -2147483648n || n > 2147483647n) throw failure.field
  return n
}
const narrow = (n: bigint): number => Number(narrowBig(n))
const wide = (n: bigint): bigint => {
  if (n < -9223372036854775808n || n > 9223372036854775807n) throw failure.field
  return n
}
const roundEven = (n: number): number => {
  const rounded = Math.round(n)
  return (rounded - n === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded) + 0
}

/** What the last number of a literal without units is, by the type's fields. */
function unitOfRange(range: number): Unit {
  if (range === RANGE.year) return 'year'
  if (range === RANGE.month || range === (RANGE.year | RANGE.month)) return 'month'
  if (range === RANGE.day) return 'day'
  if (range === RANGE.hour || range === (RANGE.day | RANGE.hour)) return 'hour'
  if (range === RANGE.minute || range === (RANGE.hour | RANGE.minute)) return 'minute'
  if (range === (RANGE.day | RANGE.hour | RANGE.minute)) return 'minute'
  return 'second'
}

const clock = newFields()
function clockMicros(text: string, range: number): bigint {
  // Hours may be more than 32 bits hold.
  const colon = text.indexOf(':')
  const hours = /^\d+$/.test(text.slice(0, colon)) ? wide(BigInt(text.slice(0, colon))) : 0n
  const isLong = hours > 2147483647n
  decodeClock(isLong ? `0${text.slice(colon)}` : text, range === (RANGE.minute | RANGE.second), clock)
  const rest = BigInt((clock.hour * 60 + clock.minute) * 60_000_000 + clock.second * 1_000_000 + clock.micros)
  return wide(rest + (isLong ? hours * 3_600_000_000n : 0n))
}

function decodeFields(text: string, range: number, settings: Settings): Sum {
  const tokens = tokenize(text, FIELDS_TEXT_MAX)
  const sum = new Sum()
  // SQL's '-1 2:03:04' is negative as a whole where that is the style and no other sign is given.
  const forceNegative =
    settings.intervalStyle === 'sql_standard' &&
    tokens[0]?.text[0] === '-' &&
    !tokens.slice(1).some((token) => token.text[0] === '-' || token.text[0] === '+')
  let unit: Unit | undefined
  let isUnusable = false
  let isAgo = false
  let known = 0
  const know = (mask: number): void => {
    if ((known & mask) !== 0) throw failure.format
    known |= mask
  }
  const addClock = (micros: bigint): void => {
    sum.addMicros(forceNegative && micros > 0n ? -micros : micros)
    know(TIME)
    unit = 'day'
    isUnusable = false
  }
  for (const token of tokens.reverse()) {
    switch (token.kind) {
      case 'time':
        addClock(clockMicros(token.text, range))
        break
      case 'zone':
      case 'date':
      case 'number': {
        if (token.kind === 'zone' && token.text.includes(':')) {
          const micros = signedClock(token.text, range)
          if (micros !== undefined) {
            addClock(micros)
            break
          }
        }
        if (isUnusable) throw failure.format
        unit ??= unitOfRange(range)
        const match = /^([+-]?)(\d*)(.*)$/.exec(token.text)
        const [, sign = '', digits = '', rest = ''] = match ?? []
        let value = wide(BigInt(sign === '-' ? `-${digits || '0'}` : digits || '0'))
        let part = 0
        if (rest.startsWith('-')) {
          // SQL's years-months.
          const months = /^-(-?\d*)/.exec(rest)?.[1] ?? ''
          if (!(Number(months) >= 0 && Number(months) < 12)) throw failure.field
          if (rest.length > months.length + 1) throw failure.format
          value = wide(wide(value * 12n) + (sign === '-' ? -BigInt(months) : BigInt(months)))
          unit = 'month'
        } else if (rest.startsWith('.')) part = (sign === '-' ? -1 : 1) * fraction(rest, 0)
        else if (rest !== '') throw failure.format
        if (forceNegative) {
          if (value > 0n) value = -value
          if (part > 0) part = -part
        }
        sum.add(unit, value, part)
        know(unit === 'second' && part !== 0 ? SECONDS : (BITS[unit] ?? 0))
        if (unit === 'hour') unit = 'day'
        break
      }
      case 'word':
      case 'special': {
        const word = intervalWord(token.text)
        if (word?.kind === 'ignored') break
        if (word?.kind === 'unit') {
          unit = word.value
          isUnusable = false
        } else if (word?.kind === 'ago') {
          isAgo = true
          isUnusable = true
        } else throw failure.format
        break
      }
    }
  }
  if (known === 0) throw failure.format
  if (isAgo) sum.negate()
  return sum
}

function signedClock(text: string, range: number): bigint | undefined {
  try {
    const micros = clockMicros(text.slice(1), range)
    return text[0] === '-' ? -micros : micros
  } catch (error) {
    if (error instanceof DecodeFailure) return undefined
    throw error
  }
}

/** The number at the start of ISO 8601 text: whole part and fraction, as a C double is read. */
function isoNumber(text: string, at: number): { readonly value: bigint; readonly part: number; readonly end: number } {
  const match = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i.exec(text.slice(at))
  if (match === null) throw failure.format
  const number = Number(match[0])
  if (number < -1e15 || number > 1e15) throw failure.field
  const whole = Math.trunc(number)
  return { value: BigInt(whole), part: number - whole, end: at + match[0].length }
}

const ISO_DATE_UNITS: Record<string, Unit> = { Y: 'year', M: 'month', W: 'week', D: 'day' }
const ISO_TIME_UNITS: Record<string, Unit> = { H: 'hour', M: 'minute', S: 'second' }

/** 'P1Y2M3DT4H5M6S', 'P0001-02-03T04:05:06', 'P00010203T040506'. */
function decodeIso(text: string): Sum {
  if (text.length < 2 || text[0] !== 'P') throw failure.format
  const sum = new Sum()
  let at = 1
  let isDate = true
  let hasField = false
  const digitsFrom = (start: number): number => /^[+-]?(\d*)/.exec(text.slice(start))?.[1]?.length ?? 0
  while (at < text.length) {
    if (text[at] === 'T') {
      isDate = false
      hasField = false
      at++
      continue
    }
    const start = at
    let { value, part, end } = isoNumber(text, at)
    const letter = text[end] ?? ''
    at = end + (letter === '' ? 0 : 1)
    if (isDate) {
      const unit = ISO_DATE_UNITS[letter]
      if (unit !== undefined) {
        sum.add(unit, value, part)
        hasField = true
        continue
      }
      const isBasic = letter === 'T' || letter === ''
      if (isBasic && digitsFrom(start) === 8 && !hasField) {
        sum.addYears(value / 10000n, 1)
        sum.addMonths((value / 100n) % 100n)
        sum.addDays(value % 100n, 1)
        sum.addFractionMicros(part, MICROS_PER_DAY)
        if (letter === '') return sum
        isDate = false
        hasField = false
        continue
      }
      if (!isBasic && letter !== '-') throw failure.format
      if (hasField) throw failure.format
      sum.addYears(value, 1)
      sum.addFractionYears(part, 1)
      if (isBasic) {
        if (letter === '') return sum
        isDate = false
        hasField = false
        continue
      }
      ;({ value, part, end } = isoNumber(text, at))
      sum.addMonths(value)
      sum.addFractionDays(part, 30)
      if (end === text.length) return sum
      if (text[end] === 'T') {
        at = end + 1
        isDate = false
        hasField = false
        continue
      }
      if (text[end] !== '-') throw failure.format
      ;({ value, part, end } = isoNumber(text, end + 1))
      sum.addDays(value, 1)
      sum.addFractionMicros(part, MICROS_PER_DAY)
      if (end === text.length) return sum
      if (text[end] !== 'T') throw failure.format
      at = end + 1
      isDate = false
      hasField = false
    } else {
      const unit = ISO_TIME_UNITS[letter]
      if (unit !== undefined) {
        sum.add(unit, value, part)
        hasField = true
        continue
      }
      if (letter === '' && digitsFrom(start) === 6 && !hasField) {
        sum.add('hour', value / 10000n, 0)
        sum.add('minute', (value / 100n) % 100n, 0)
        sum.add('second', value % 100n, 0)
        sum.addFractionMicros(part, 1)
        return sum
      }
      if ((letter !== ':' && letter !== '') || hasField) throw failure.format
      sum.add('hour', value, part)
      if (letter === '') return sum
      ;({ value, part, end } = isoNumber(text, at))
      sum.add('minute', value, part)
      if (end === text.length) return sum
      if (text[end] !== ':') throw failure.format
      ;({ value, part, end } = isoNumber(text, end + 1))
      sum.add('second', value, part)
      if (end === text.length) return sum
      throw failure.format
    }
  }
  return sum
}

/**
 * An interval of its text, not yet cut to a precision; `range` is the set of the type's fields.
 * Throws 22007, 22015 and 22008 as PostgreSQL.
 */
export function intervalOfText(text: string, range: number, settings: Settings): Interval {
  try {
    return decodeFields(text, range, settings).interval()
  } catch (error) {
    if (error !== failure.format) {
      throw error === failure.field ? failureError('interval', text, 'interval') : inputError(error, text, 'interval')
    }
  }
  try {
    return decodeIso(text).interval()
  } catch (error) {
    throw error === failure.field ? failureError('interval', text, 'interval') : inputError(error, text, 'interval')
  }
}

export const plainInterval = (text: string, settings: Settings): Interval => intervalOfText(text, FULL_RANGE, settings)
