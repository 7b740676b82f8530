/**
 * Reads the commonest texts, ISO dates and timestamps, without cutting them into fields: a second implementation beside
 * decode.ts, which must agree with it (test/property/datetime.test.ts). Anything else answers undefined.
 */
import type { Int64 } from '../value.ts'
import { daysInMonth, EPOCH_JULIAN, instantOf, julianDay, MICROS_PER_SECOND } from './calendar.ts'

const MINUS = 45
const COLON = 58
const POWERS = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1] as const

/** Two digits at `at`, or NaN. */
function pair(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48
  const ones = text.charCodeAt(at + 1) - 48
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN
}

/** 'YYYY-MM-DD' at the text's start as days since 2000. */
function dayAtStart(text: string): number | undefined {
  if (text.charCodeAt(4) !== MINUS || text.charCodeAt(7) !== MINUS) return undefined
  const year = pair(text, 0) * 100 + pair(text, 2)
  const month = pair(text, 5)
  const day = pair(text, 8)
  // A comparison with NaN is false.
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= 31)) return undefined
  if (day > 28 && day > daysInMonth(year, month)) return undefined
  return julianDay(year, month, day) - EPOCH_JULIAN
}

export const fastDate = (text: string): number | undefined => (text.length === 10 ? dayAtStart(text) : undefined)

/** What a timestamp's text says: local time, and the offset in seconds east when there is one. */
export interface FastTimestamp {
  readonly local: Int64
  readonly offset: number | undefined
}

/** 'YYYY-MM-DD HH:MM:SS[.ffffff][±HH[:MM]|Z]', with T or a space. */
export function fastTimestamp(text: string): FastTimestamp | undefined {
  const length = text.length
  if (length === 10) {
    const day = dayAtStart(text)
    return day === undefined ? undefined : { local: instantOf(day, 0), offset: undefined }
  }
  if (length < 19 || (text[10] !== ' ' && text[10] !== 'T')) return undefined
  if (text.charCodeAt(13) !== COLON || text.charCodeAt(16) !== COLON) return undefined
  const hour = pair(text, 11)
  const minute = pair(text, 14)
  const second = pair(text, 17)
  if (!(hour < 24 && minute < 60 && second < 60)) return undefined
  const day = dayAtStart(text)
  if (day === undefined) return undefined
  let micros = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND
  let at = 19
  if (text[at] === '.') {
    const start = ++at
    let part = 0
    for (; at < length; at++) {
      const digit = text.charCodeAt(at) - 48
      if (digit < 0 || digit > 9) break
      part = part * 10 + digit
    }
    const scale = POWERS[at - start]
    if (scale === undefined || at === start) return undefined
    micros += part * scale
  }
  const offset = at === length ? undefined : offsetAtEnd(text, at)
  if (at < length && offset === undefined) return undefined
  return { local: instantOf(day, micros), offset }
}

function offsetAtEnd(text: string, at: number): number | undefined {
  const sign = text[at]
  const rest = text.length - at
  if (sign === 'Z') return rest === 1 ? 0 : undefined
  if ((sign !== '+' && sign !== '-') || (rest !== 3 && rest !== 6)) return undefined
  const hours = pair(text, at + 1)
  const minutes = rest === 6 && text.charCodeAt(at + 3) === COLON ? pair(text, at + 4) : rest === 3 ? 0 : Number.NaN
  if (!(hours <= 15 && minutes < 60)) return undefined
  const offset = (hours * 60 + minutes) * 60
  return sign === '-' && offset !== 0 ? -offset : offset
}

/** 'HH:MM:SS' in microseconds; undefined for any other form. */
export function plainClock(text: string): number | undefined {
  if (text.length !== 8) return undefined
  const match = /^([01]\d|2[0-3]):([0-5]\d):([0-5]\d)$/.exec(text)
  if (match === null) return undefined
  return ((Number(match[1]) * 60 + Number(match[2])) * 60 + Number(match[3])) * MICROS_PER_SECOND
}
