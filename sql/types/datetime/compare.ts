/** Orders that are not those of a number: of timetz and interval. */
import type { Int64, Interval, TimeTz } from '../value.ts'
import { canonical, MICROS_PER_DAY, MICROS_PER_SECOND } from './calendar.ts'

/** By the time in UTC; equal only with equal zones, the eastern one first. */
export function compareTimeTz(a: TimeTz, b: TimeTz): number {
  const difference =
    a.micros + a.zoneSecondsWest * MICROS_PER_SECOND - (b.micros + b.zoneSecondsWest * MICROS_PER_SECOND)
  return difference !== 0 ? difference : a.zoneSecondsWest - b.zoneSecondsWest
}

/** Microseconds of an interval, a month being 30 days: what intervals are compared by. Canonical, beyond 64 bits too. */
export function spanOf(value: Interval): Int64 {
  const days = value.months * 30 + value.days
  if (typeof value.micros === 'number') {
    const span = days * MICROS_PER_DAY + value.micros
    if (Number.isSafeInteger(span)) return span
  }
  return canonical(BigInt(days) * 86_400_000_000n + BigInt(value.micros))
}

/** The span as whole days, which are a safe integer always, and the microseconds beyond them. */
export function daysAndRest(value: Interval): { readonly days: number; readonly rest: number } {
  const span = spanOf(value)
  if (typeof span === 'number') {
    const rest = ((span % MICROS_PER_DAY) + MICROS_PER_DAY) % MICROS_PER_DAY
    return { days: (span - rest) / MICROS_PER_DAY, rest }
  }
  const rest = ((span % 86_400_000_000n) + 86_400_000_000n) % 86_400_000_000n
  return { days: Number((span - rest) / 86_400_000_000n), rest: Number(rest) }
}

export function compareIntervals(a: Interval, b: Interval): number {
  const x = spanOf(a)
  const y = spanOf(b)
  return x < y ? -1 : x > y ? 1 : 0
}
