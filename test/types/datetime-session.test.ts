/** The settings of dates and times, the functions of now, modifiers, zone listings and aggregates. */
import { describe, expect, test } from 'vitest'
import { dateText, offsetText, timestampText } from '../../sql/types/datetime/encode.ts'
import { currentDate, currentTime, currentTimestamp, localTime, localTimestamp } from '../../sql/types/datetime/now.ts'
import { parseDateStyle, parseIntervalStyle, parseTimeZone, printDateStyle } from '../../sql/types/datetime/session.ts'
import { intervalType, timestampType, timestamptzType } from '../../sql/types/datetime/types.ts'
import { timezoneAbbreviations, timezoneNames } from '../../sql/types/datetime/zones.ts'
import type { AggregateBody, CallInfo } from '../../sql/types/function.ts'
import { aggregateBodies, functionBodies } from '../../sql/types/function.ts'
import type { Value } from '../../sql/types/value.ts'
import { DEFAULT_SETTINGS, makeContext } from './datetime-cases.ts'

const refused = (code: string, message: string, fields = {}) => expect.objectContaining({ code, message, fields })
const thrown = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('settings', () => {
  test.each([
    ['Europe/berlin', 'Europe/Berlin'],
    ['utc', 'UTC'],
    ['foo+3', 'FOO+3'],
    ['+02:30', '+02:30'],
    ['2.5', '<+02:30>-02:30'],
    ['-5.5', '<-05:30>+05:30'],
    ['5.123', '<+05:07:22>-05:07:22'],
    ['posix/europe/paris', 'posix/Europe/Paris'],
    ["INTERVAL '-03:30'", '<-03:30>+03:30'],
  ])('TimeZone %s shows as %s', (given, shown) => {
    expect(parseTimeZone(given)).toBe(shown)
  })

  test('TimeZone refuses what is no zone', () => {
    expect(thrown(() => parseTimeZone('foo'))).toEqual(
      refused('22023', 'invalid value for parameter "TimeZone": "foo"', { detail: undefined }),
    )
    expect(thrown(() => parseTimeZone('200'))).toEqual(
      refused('22023', 'invalid value for parameter "TimeZone": "200"', {
        detail: 'UTC timezone offset is out of range.',
      }),
    )
  })

  test.each([
    ['iso, dmy', 'ISO, DMY'],
    ['german', 'German, DMY'],
    ['german, mdy', 'German, MDY'],
    ['european', 'ISO, DMY'],
    ['us', 'ISO, MDY'],
    ['postgresql', 'Postgres, MDY'],
    ['"sql"', 'SQL, MDY'],
    ['default', 'ISO, MDY'],
  ])('DateStyle %s shows as %s', (given, shown) => {
    expect(printDateStyle(parseDateStyle(given))).toBe(shown)
  })

  test('DateStyle refuses contradictions, unknown words and other lists', () => {
    const detail = (text: string) =>
      (thrown(() => parseDateStyle(text)) as { fields: { detail: string } }).fields.detail
    expect(detail('iso, sql')).toBe('Conflicting "datestyle" specifications.')
    expect(detail('foo')).toBe('Unrecognized key word: "foo".')
    expect(detail('iso,,')).toBe('List syntax is invalid.')
    expect(detail('iso ymd')).toBe('List syntax is invalid.')
  })

  test('IntervalStyle', () => {
    expect(parseIntervalStyle('ISO_8601')).toBe('iso_8601')
    expect(thrown(() => parseIntervalStyle('x'))).toEqual(
      refused('22023', 'invalid value for parameter "intervalstyle": "x"', {
        hint: 'Available values: postgres, postgres_verbose, sql_standard, iso_8601.',
      }),
    )
  })
})

test('now, in the session’s zone and to a precision', () => {
  const context = makeContext({ ...DEFAULT_SETTINGS, timeZone: 'America/New_York' })
  const show = (value: Value) => timestampText(value as number, DEFAULT_SETTINGS)
  const at = { ...context, transactionTimestamp: 822_000_001_987_654 }
  expect(show(currentTimestamp(at))).toBe('2026-01-17 21:20:01.987654')
  expect(show(currentTimestamp(at, 1))).toBe('2026-01-17 21:20:02')
  expect(show(localTimestamp(at, 3))).toBe('2026-01-17 16:20:01.988')
  expect(dateText(currentDate(at), DEFAULT_SETTINGS)).toBe('2026-01-17')
  expect(localTime(at, 0)).toBe((16 * 3600 + 20 * 60 + 2) * 1e6)
  expect(currentTime(at)).toEqual({ micros: 58_801_987_654, zoneSecondsWest: 18_000 })
  const call: CallInfo = { argTypes: [], argTypmods: [], returnType: 0 as never, variadic: false, context: at }
  const body = functionBodies.get('timeofday')
  if (body?.kind !== 'bound') throw new Error('timeofday is bound')
  expect(body.bind(call)()).toBe('Thu May 08 02:13:20.000002 2025 EDT')
})

test('modifiers in and out', () => {
  expect(timestampType.typmodIn?.(['3'])).toBe(3)
  expect(timestampType.typmodOut?.(3)).toBe('(3) without time zone')
  expect(timestamptzType.typmodOut?.(-1)).toBe(' with time zone')
  expect(thrown(() => timestamptzType.typmodIn?.(['-1']))).toEqual(
    refused('22023', 'TIMESTAMP(-1) WITH TIME ZONE precision must not be negative'),
  )
  const dayToSecond = intervalType.typmodIn?.([String(8 | 1024 | 2048 | 4096), '3']) ?? 0
  expect(intervalType.typmodOut?.(dayToSecond)).toBe(' day to second(3)')
  expect(intervalType.typmodOut?.(intervalType.typmodIn?.(['4']) ?? 0)).toBe(' year')
  const context = makeContext(DEFAULT_SETTINGS)
  const cut = (fields: number, text: string) =>
    intervalType.output(intervalType.input(text, intervalType.typmodIn?.([String(fields)]) ?? -1, context), context)
  expect(cut(4, '18 months')).toBe('1 year')
  expect(cut(8, '3')).toBe('3 days')
  expect(cut(1024 | 2048, '1:45:59')).toBe('01:45:00')
  expect(cut(2048 | 4096, '1:45')).toBe('00:01:45')
})

test('the zones and abbreviations that the views list', () => {
  const summer = 1_720_000_000
  const berlin = timezoneNames(summer).find(({ name }) => name === 'Europe/Berlin')
  expect(berlin).toEqual({ name: 'Europe/Berlin', abbreviation: 'CEST', offset: 7200, isDst: true })
  const abbreviations = timezoneAbbreviations(summer)
  expect(abbreviations.length).toBe(195)
  expect(abbreviations.find(({ name }) => name === 'MSK')?.offset).toBe(10_800)
  expect(offsetText(-12_600)).toBe('-03:30')
})

describe('aggregates', () => {
  const context = makeContext(DEFAULT_SETTINGS)
  const call: CallInfo = { argTypes: [], argTypmods: [], returnType: 0 as never, variadic: false, context }
  const bind = (signature: string) => {
    const body: AggregateBody | undefined = aggregateBodies.get(signature)
    if (body === undefined) throw new Error(`no ${signature}`)
    return body.bind(call) as unknown as {
      init(): unknown
      step(state: unknown, value: Value): unknown
      inverse?(state: unknown, value: Value): unknown
      final(state: unknown): Value
    }
  }
  const interval = (text: string) => intervalType.input(text, -1, context)
  const show = (value: Value) => (value === null ? null : intervalType.output(value, context))

  test('sum and avg of intervals, and out of a moving frame again', () => {
    const values = ['1 month', '10 days', '05:00', '-1 day'].map(interval)
    const [sum, avg] = [bind('sum(interval)'), bind('avg(interval)')]
    const total = values.reduce<unknown>((s, v) => sum.step(s, v), sum.init())
    expect(show(sum.final(total))).toBe('1 mon 9 days 05:00:00')
    const state = values.reduce<unknown>((s, v) => avg.step(s, v), avg.init())
    expect(show(avg.final(state))).toBe('9 days 19:15:00')
    expect(show(avg.final(values.slice(1).reduce<unknown>((s, v) => avg.inverse?.(s, v), state)))).toBe('1 mon')
    expect(sum.final(sum.init())).toBeNull()
  })

  test('min and max', () => {
    const [min, max] = [bind('min(interval)'), bind('max(interval)')]
    const values = ['30 days', '1 month', '31 days', '29 days'].map(interval)
    expect(show(min.final(values.reduce<unknown>((s, v) => min.step(s, v), min.init())))).toBe('29 days')
    expect(show(max.final(values.reduce<unknown>((s, v) => max.step(s, v), max.init())))).toBe('31 days')
    for (const type of ['date', 'time', 'timetz', 'timestamp', 'timestamptz'])
      expect(bind(`min(${type})`).final(null)).toBeNull()
  })
})
