/** Intervals as text in the four IntervalStyles (PostgreSQL 15 manual, 8.5.5). */
import type { Settings } from '../settings.ts'
import type { Int64, Interval } from '../value.ts'
import { MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND } from './calendar.ts'
import { fractionText, two } from './encode.ts'

/** An interval in parts; each has the sign of the whole it came from. */
export interface IntervalParts {
  years: number
  months: number
  days: number
  hours: number
  minutes: number
  seconds: number
  micros: number
}

export function intervalParts(value: Interval): IntervalParts {
  const { hours, rest } = splitHours(value.micros)
  const minutes = Math.trunc(rest / MICROS_PER_MINUTE)
  const seconds = Math.trunc((rest - minutes * MICROS_PER_MINUTE) / MICROS_PER_SECOND)
  const years = Math.trunc(value.months / 12)
  return {
    years: years + 0,
    months: value.months - years * 12,
    days: value.days,
    hours: hours + 0,
    minutes: minutes + 0,
    seconds: seconds + 0,
    micros: rest - minutes * MICROS_PER_MINUTE - seconds * MICROS_PER_SECOND,
  }
}

function splitHours(micros: Int64): { readonly hours: number; readonly rest: number } {
  if (typeof micros === 'number') {
    const rest = micros % MICROS_PER_HOUR
    return { hours: (micros - rest) / MICROS_PER_HOUR, rest: rest + 0 }
  }
  return { hours: Number(micros / 3_600_000_000n), rest: Number(micros % 3_600_000_000n) }
}

/** Seconds without sign, in two digits when `isPadded`. */
const secondsText = (p: IntervalParts, isPadded: boolean): string => {
  const seconds = Math.abs(p.seconds)
  return (isPadded ? two(seconds) : String(seconds)) + fractionText(Math.abs(p.micros))
}
const isTimeNegative = (p: IntervalParts): boolean => p.hours < 0 || p.minutes < 0 || p.seconds < 0 || p.micros < 0
const hasTime = (p: IntervalParts): boolean => p.hours !== 0 || p.minutes !== 0 || p.seconds !== 0 || p.micros !== 0
const plural = (n: number): string => (n === 1 ? '' : 's')

function postgresText(p: IntervalParts): string {
  let text = ''
  let isBefore = false
  for (const [value, unit] of [
    [p.years, 'year'],
    [p.months, 'mon'],
    [p.days, 'day'],
  ] as const) {
    if (value === 0) continue
    text += `${text === '' ? '' : ' '}${isBefore && value > 0 ? '+' : ''}${value} ${unit}${plural(value)}`
    isBefore = value < 0
  }
  if (text !== '' && !hasTime(p)) return text
  const sign = isTimeNegative(p) ? '-' : isBefore ? '+' : ''
  const clock = `${two(Math.abs(p.hours))}:${two(Math.abs(p.minutes))}:${secondsText(p, true)}`
  return `${text}${text === '' ? '' : ' '}${sign}${clock}`
}

function verboseText(p: IntervalParts): string {
  let text = '@'
  let isZero = true
  let isBefore = false
  const parts = [
    [p.years, 'year'],
    [p.months, 'mon'],
    [p.days, 'day'],
    [p.hours, 'hour'],
    [p.minutes, 'min'],
  ] as const
  for (const [given, unit] of parts) {
    if (given === 0) continue
    if (isZero) isBefore = given < 0
    const value = isBefore ? -given : given
    text += ` ${value} ${unit}${plural(value)}`
    isZero = false
  }
  if (p.seconds !== 0 || p.micros !== 0) {
    text += ' '
    if (p.seconds < 0 || (p.seconds === 0 && p.micros < 0)) {
      if (isZero) isBefore = true
      else if (!isBefore) text += '-'
    } else if (isBefore) text += '-'
    text += `${secondsText(p, false)} sec${Math.abs(p.seconds) !== 1 || p.micros !== 0 ? 's' : ''}`
    isZero = false
  }
  return text + (isZero ? ' 0' : '') + (isBefore ? ' ago' : '')
}

function sqlText(p: IntervalParts): string {
  const values = Object.values(p) as number[]
  const hasNegative = values.some((n) => n < 0)
  const hasPositive = values.some((n) => n > 0)
  const hasYearMonth = p.years !== 0 || p.months !== 0
  const hasDayTime = p.days !== 0 || hasTime(p)
  if (!hasNegative && !hasPositive) return '0'
  const years = Math.abs(p.years)
  const months = Math.abs(p.months)
  const days = Math.abs(p.days)
  const clock = `${Math.abs(p.hours)}:${two(Math.abs(p.minutes))}:${secondsText(p, true)}`
  if ((hasNegative && hasPositive) || (hasYearMonth && hasDayTime)) {
    const yearSign = p.years < 0 || p.months < 0 ? '-' : '+'
    return `${yearSign}${years}-${months} ${p.days < 0 ? '-' : '+'}${days} ${isTimeNegative(p) ? '-' : '+'}${clock}`
  }
  const sign = hasNegative ? '-' : ''
  if (hasYearMonth) return `${sign}${years}-${months}`
  return p.days !== 0 ? `${sign}${days} ${clock}` : sign + clock
}

function isoText(p: IntervalParts): string {
  const part = (value: number, unit: string): string => (value === 0 ? '' : `${value}${unit}`)
  const date = part(p.years, 'Y') + part(p.months, 'M') + part(p.days, 'D')
  if (!hasTime(p)) return date === '' ? 'PT0S' : `P${date}`
  const sign = p.seconds < 0 || p.micros < 0 ? '-' : ''
  const seconds = p.seconds === 0 && p.micros === 0 ? '' : `${sign}${secondsText(p, false)}S`
  return `P${date}T${part(p.hours, 'H')}${part(p.minutes, 'M')}${seconds}`
}

const STYLES: Record<Settings['intervalStyle'], (parts: IntervalParts) => string> = {
  postgres: postgresText,
  postgres_verbose: verboseText,
  sql_standard: sqlText,
  iso_8601: isoText,
}

export const intervalText = (value: Interval, settings: Settings): string =>
  STYLES[settings.intervalStyle](intervalParts(value))
