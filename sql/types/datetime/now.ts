/**
 * The time now: SQL's value functions as the binder calls them, and PostgreSQL's functions. Within a transaction all but
 * clock_timestamp and timeofday stand still; they differ by what the context says (PostgreSQL 15 manual, 9.9.5).
 */
import type { CallContext } from '../function.ts'
import { bound } from '../function.ts'
import type { TypeContext } from '../type.ts'
import type { Int64 } from '../value.ts'
import { TimeTz } from '../value.ts'
import {
  add64,
  dayOf,
  dayOfWeek,
  EPOCH_JULIAN,
  MICROS_PER_SECOND,
  newFields,
  setFromInstant,
  timeOfDay,
} from './calendar.ts'
import { sessionZone } from './decode.ts'
import { MONTH_NAMES, two, unixSecond } from './encode.ts'
import { roundMicros } from './interval-typmod.ts'

type NowContext = Pick<TypeContext, 'settings' | 'transactionTimestamp'>

/** The transaction's start as local time in the session's zone, and that zone's offset then. */
function localNow(context: NowContext): { readonly local: Int64; readonly offset: number } {
  const instant = context.transactionTimestamp
  const offset = sessionZone(context.settings).offsetAt(unixSecond(instant))
  return { local: add64(instant, offset * MICROS_PER_SECOND), offset }
}

/** CURRENT_DATE: days since 2000. */
export const currentDate = (context: NowContext): number => dayOf(localNow(context).local)

/** CURRENT_TIME and CURRENT_TIME(precision); a precision below 0 is none. */
export function currentTime(context: NowContext, precision = -1): TimeTz {
  const { local, offset } = localNow(context)
  const time = roundMicros(timeOfDay(local, dayOf(local)), precision) as number
  return new TimeTz(time, offset === 0 ? 0 : -offset)
}

/** CURRENT_TIMESTAMP and CURRENT_TIMESTAMP(precision). */
export const currentTimestamp = (context: NowContext, precision = -1): Int64 =>
  roundMicros(context.transactionTimestamp, precision)

/** LOCALTIME and LOCALTIME(precision): microseconds since midnight. */
export function localTime(context: NowContext, precision = -1): number {
  const { local } = localNow(context)
  return roundMicros(timeOfDay(local, dayOf(local)), precision) as number
}

/** LOCALTIMESTAMP and LOCALTIMESTAMP(precision). */
export const localTimestamp = (context: NowContext, precision = -1): Int64 =>
  roundMicros(localNow(context).local, precision)

const DAY_NAMES = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const

/** 'Fri Nov 21 04:07:12.123456 2026 UTC'. */
function timeOfDayText(context: CallContext): string {
  const instant = context.clockTimestamp()
  const zone = sessionZone(context.settings)
  const second = unixSecond(instant)
  const offset = zone.offsetAt(second)
  const f = newFields()
  setFromInstant(instant, offset, f)
  const weekday = DAY_NAMES[dayOfWeek(dayOf(add64(instant, offset * MICROS_PER_SECOND)) + EPOCH_JULIAN)]
  const clock = `${two(f.hour)}:${two(f.minute)}:${two(f.second)}.${String(f.micros).padStart(6, '0')}`
  return `${weekday} ${MONTH_NAMES[f.month - 1]} ${two(f.day)} ${clock} ${f.year} ${zone.nameAt(second).text}`
}

export const NOW_FUNCTIONS = {
  now: bound(
    ({ context }) =>
      () =>
        context.transactionTimestamp,
  ),
  statement_timestamp: bound(
    ({ context }) =>
      () =>
        context.statementTimestamp,
  ),
  clock_timestamp: bound(
    ({ context }) =>
      () =>
        context.clockTimestamp(),
  ),
  timeofday: bound(
    ({ context }) =>
      () =>
        timeOfDayText(context),
  ),
}
