/**
 * Time zones written as POSIX rules: `std offset [dst [offset] [,start[/time],end[/time]]]`, the offset in hours west of
 * Greenwich ('EST5EDT,M3.2.0,M11.1.0', '<+03>-3', '+02:30'). PostgreSQL 15 manual, B.5. Without rules daylight time runs
 * from the second Sunday of March to the first of November.
 */
import { dayOfWeek, daysInMonth, isLeap, julianDay, SECONDS_PER_DAY, UNIX_EPOCH_JULIAN } from './calendar.ts'

type Rule =
  | { readonly kind: 'julian'; readonly day: number; readonly time: number }
  | { readonly kind: 'dayOfYear'; readonly day: number; readonly time: number }
  | {
      readonly kind: 'month'
      readonly month: number
      readonly week: number
      readonly day: number
      readonly time: number
    }

interface Phase {
  readonly name: string
  /** Seconds east of UTC. */
  readonly offset: number
}

export interface PosixZone {
  readonly standard: Phase
  readonly daylight: (Phase & { readonly start: Rule; readonly end: Rule }) | undefined
}

const DEFAULT_RULES = ',M3.2.0,M11.1.0'
const HOURS_MAX = 167

/** Reads a specification; undefined when it is not one. */
export function parsePosixZone(text: string): PosixZone | undefined {
  let rest = text
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    const match = pattern.exec(rest)
    if (match === null) return undefined
    rest = rest.slice(match[0].length)
    return match
  }
  const name = (): string | undefined => {
    if (rest.startsWith('<')) return take(/^<([^>]*)>/)?.[1]
    return take(/^[^0-9,+-]*/)?.[0]
  }
  /** Seconds, signed as written. */
  const offset = (): number | undefined => {
    const match = take(/^([+-]?)(\d+)(?::(\d+)(?::(\d+))?)?/)
    if (match === undefined) return undefined
    const [, sign, hours, minutes = '0', seconds = '0'] = match
    if (Number(hours) > HOURS_MAX || Number(minutes) > 59 || Number(seconds) > 60) return undefined
    const total = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)
    return sign === '-' ? -total : total
  }
  const rule = (): Rule | undefined => {
    const match = take(/^(?:J(\d+)|M(\d+)\.(\d+)\.(\d+)|(\d+))/)
    if (match === undefined) return undefined
    let time: number | undefined = 7200
    if (rest.startsWith('/')) {
      rest = rest.slice(1)
      time = offset()
    }
    if (time === undefined) return undefined
    const [, julian, month, week, day, dayOfYear] = match
    if (julian !== undefined) {
      return within(julian, 1, 365) ? { kind: 'julian', day: Number(julian), time } : undefined
    }
    if (dayOfYear !== undefined) {
      return within(dayOfYear, 0, 365) ? { kind: 'dayOfYear', day: Number(dayOfYear), time } : undefined
    }
    if (!within(month, 1, 12) || !within(week, 1, 5) || !within(day, 0, 6)) return undefined
    return { kind: 'month', month: Number(month), week: Number(week), day: Number(day), time }
  }

  const standardName = name()
  if (standardName === undefined || rest === '') return undefined
  const west = offset()
  if (west === undefined) return undefined
  const standard = { name: standardName, offset: west === 0 ? 0 : -west }
  if (rest === '') return { standard, daylight: undefined }

  const daylightName = name()
  if (daylightName === undefined || daylightName === '') return undefined
  let daylightOffset = standard.offset + 3600
  if (rest !== '' && !/^[,;]/.test(rest)) {
    const given = offset()
    if (given === undefined) return undefined
    daylightOffset = given === 0 ? 0 : -given
  }
  if (rest === '') rest = DEFAULT_RULES
  if (take(/^[,;]/) === undefined) return undefined
  const start = rule()
  if (start === undefined || take(/^,/) === undefined) return undefined
  const end = rule()
  if (end === undefined || rest !== '') return undefined
  return { standard, daylight: { name: daylightName, offset: daylightOffset, start, end } }
}

const within = (text: string | undefined, low: number, high: number): boolean =>
  text !== undefined && Number(text) >= low && Number(text) <= high

/** When a rule strikes in a year: Unix seconds of local time, to which the offset in force before is not yet applied. */
function localSecond(rule: Rule, year: number): number {
  const first = julianDay(year, 1, 1) - UNIX_EPOCH_JULIAN
  switch (rule.kind) {
    case 'julian':
      return (first + rule.day - 1 + (isLeap(year) && rule.day >= 60 ? 1 : 0)) * SECONDS_PER_DAY + rule.time
    case 'dayOfYear':
      return (first + rule.day) * SECONDS_PER_DAY + rule.time
    case 'month': {
      const julian = julianDay(year, rule.month, 1)
      let day = (rule.day - dayOfWeek(julian) + 7) % 7
      for (let week = 1; week < rule.week && day + 7 < daysInMonth(year, rule.month); week++) day += 7
      return (julian - UNIX_EPOCH_JULIAN + day) * SECONDS_PER_DAY + rule.time
    }
  }
}

/** The transitions of a year as (Unix second, offset from then on), in order. */
export function posixTransitions(zone: PosixZone, year: number): [number, number][] {
  if (zone.daylight === undefined) return []
  const { standard, daylight } = zone
  const start: [number, number] = [localSecond(daylight.start, year) - standard.offset, daylight.offset]
  const end: [number, number] = [localSecond(daylight.end, year) - daylight.offset, standard.offset]
  return start[0] < end[0] ? [start, end] : [end, start]
}
