/**
 * Dates and times as text in the four DateStyles (PostgreSQL 15 manual, 8.5.2). ISO is the style that is read back by
 * everyone and the default, and is written straight from numbers.
 */
import type { Settings } from '../settings.ts'
import type { Int64 } from '../value.ts'
import type { Fields } from './calendar.ts'
import {
  add64,
  dayOf,
  dayOfWeek,
  EPOCH_JULIAN,
  EPOCH_UNIX_SECONDS,
  julianDay,
  MICROS_PER_SECOND,
  newFields,
  setFromJulian,
  setFromTime,
  timeOfDay,
} from './calendar.ts'
import type { Zone } from './zones.ts'

export const MONTH_NAMES = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const
const DAY_NAMES = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const

/** '00' to '99'. */
const TWO: readonly string[] = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))
export const two = (n: number): string => TWO[n] ?? String(n)

const infinityText = (value: number): string => (value > 0 ? 'infinity' : '-infinity')

/** '000' to '999', and the same without the zeros at their ends. */
const THREE: readonly string[] = Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, '0'))
const TRIMMED: readonly string[] = THREE.map((text) => text.replace(/0+$/, ''))
const trimmed = (n: number): string => TRIMMED[n] ?? ''

/** '.25' for 250000, '' for 0. */
export function fractionText(micros: number): string {
  if (micros === 0) return ''
  // Three digits at a time, from a table.
  const millis = (micros / 1000) | 0
  const rest = micros - millis * 1000
  return rest === 0 ? `.${trimmed(millis)}` : `.${THREE[millis]}${trimmed(rest)}`
}

const yearText = (year: number): string => {
  const shown = year > 0 ? year : 1 - year
  return shown >= 1000 ? String(shown) : String(shown).padStart(4, '0')
}
const eraText = (year: number): string => (year > 0 ? '' : ' BC')
const clockText = (f: Fields): string => `${two(f.hour)}:${two(f.minute)}:${two(f.second)}${fractionText(f.micros)}`

/** '+01', '-03:30', '+00:19:32'. */
export function offsetText(offset: number): string {
  const seconds = Math.abs(offset)
  const hours = Math.floor(seconds / 3600)
  const rest = seconds - hours * 3600
  const sign = offset < 0 ? '-' : '+'
  if (rest === 0) return sign + two(hours)
  const minutes = Math.floor(rest / 60)
  const last = rest - minutes * 60
  return `${sign}${two(hours)}:${two(minutes)}${last === 0 ? '' : `:${two(last)}`}`
}

const scratch = newFields()

/** A date, days since 2000 or ±Infinity. */
export function dateText(day: number, settings: Settings): string {
  if (!Number.isFinite(day)) return infinityText(day)
  setFromJulian(day + EPOCH_JULIAN, scratch)
  const year = yearText(scratch.year)
  const era = eraText(scratch.year)
  const month = two(scratch.month)
  const dayOfMonth = two(scratch.day)
  const isDmy = settings.dateOrder === 'DMY'
  switch (settings.dateStyle) {
    case 'ISO':
      return `${year}-${month}-${dayOfMonth}${era}`
    case 'SQL':
      return isDmy ? `${dayOfMonth}/${month}/${year}${era}` : `${month}/${dayOfMonth}/${year}${era}`
    case 'German':
      return `${dayOfMonth}.${month}.${year}${era}`
    case 'Postgres':
      return isDmy ? `${dayOfMonth}-${month}-${year}${era}` : `${month}-${dayOfMonth}-${year}${era}`
  }
}

/** A time of day in microseconds; 24:00:00 is one. */
export function timeText(micros: number): string {
  setFromTime(micros, scratch)
  return clockText(scratch)
}

/** An instant of the day and time in `f`; `offset` and `zoneName` when its zone is shown. */
function fieldsText(f: Fields, offset: number | undefined, zoneName: () => string, settings: Settings): string {
  const year = yearText(f.year)
  const era = eraText(f.year)
  const month = two(f.month)
  const day = two(f.day)
  const clock = clockText(f)
  if (settings.dateStyle === 'ISO') {
    return `${year}-${month}-${day} ${clock}${offset === undefined ? '' : offsetText(offset)}${era}`
  }
  const isDmy = settings.dateOrder === 'DMY'
  const zone = (): string => {
    if (offset === undefined) return ''
    const name = zoneName()
    return name === '' ? offsetText(offset) : ` ${name}`
  }
  switch (settings.dateStyle) {
    case 'SQL':
      return `${isDmy ? `${day}/${month}` : `${month}/${day}`}/${year} ${clock}${zone()}${era}`
    case 'German':
      return `${day}.${month}.${year} ${clock}${zone()}${era}`
    case 'Postgres': {
      const weekday = DAY_NAMES[dayOfWeek(julianDay(f.year, f.month, f.day))]
      const monthName = MONTH_NAMES[f.month - 1]
      return `${weekday} ${isDmy ? `${day} ${monthName}` : `${monthName} ${day}`} ${clock} ${year}${zone()}${era}`
    }
  }
}

const noName = (): string => ''

function setLocal(instant: Int64, offset: number): void {
  const local = offset === 0 ? instant : add64(instant, offset * MICROS_PER_SECOND)
  const day = dayOf(local)
  setFromJulian(day + EPOCH_JULIAN, scratch)
  setFromTime(timeOfDay(local, day), scratch)
}

export function timestampText(instant: Int64, settings: Settings): string {
  if (typeof instant === 'number' && !Number.isFinite(instant)) return infinityText(instant)
  setLocal(instant, 0)
  return fieldsText(scratch, undefined, noName, settings)
}

/** The Unix second an instant falls in. */
export const unixSecond = (instant: Int64): number => {
  if (typeof instant === 'number') return Math.floor(instant / MICROS_PER_SECOND) + EPOCH_UNIX_SECONDS
  const day = dayOf(instant)
  return day * 86_400 + Math.floor(timeOfDay(instant, day) / MICROS_PER_SECOND) + EPOCH_UNIX_SECONDS
}

/** timestamptz shows a zone's name in ten letters at most. */
const ZONE_NAME_MAX = 10

export function timestamptzText(instant: Int64, zone: Zone, settings: Settings): string {
  if (typeof instant === 'number' && !Number.isFinite(instant)) return infinityText(instant)
  const second = unixSecond(instant)
  const offset = zone.offsetAt(second)
  setLocal(instant, offset)
  return fieldsText(scratch, offset, () => zone.nameAt(second).text.slice(0, ZONE_NAME_MAX), settings)
}
