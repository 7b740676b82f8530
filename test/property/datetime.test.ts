/** Laws of dates, times and intervals: what is written reads back, keys sort as values do, zones turn both ways. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createByteWriter } from '../../sql/types/bytes.ts'
import {
  instantOf,
  instantOfFields,
  isTimestamp,
  julianDay,
  newFields,
  setFromJulian,
} from '../../sql/types/datetime/calendar.ts'
import { fromLocal, toLocal } from '../../sql/types/datetime/convert.ts'
import { decodeDateTime } from '../../sql/types/datetime/decode.ts'
import { fastDate, fastTimestamp } from '../../sql/types/datetime/fast.ts'
import {
  dateType,
  intervalType,
  timestampType,
  timestamptzType,
  timeType,
  timetzType,
} from '../../sql/types/datetime/types.ts'
import { zoneNamed } from '../../sql/types/datetime/zones.ts'
import type { Settings } from '../../sql/types/settings.ts'
import { DEFAULT_SETTINGS } from '../../sql/types/settings.ts'
import type { KeyEncoder, Type } from '../../sql/types/type.ts'
import type { Int64, Value } from '../../sql/types/value.ts'
import { Interval, TimeTz } from '../../sql/types/value.ts'
import { makeContext } from '../types/datetime-cases.ts'

const DAY_MIN = -2451545
const date = fc.oneof(
  fc.integer({ min: DAY_MIN, max: 2_145_031_948 }),
  fc.integer({ min: -30_000, max: 30_000 }),
  fc.constantFrom(Infinity, -Infinity),
)
const micros = fc.integer({ min: 0, max: 86_399_999_999 })
const near: fc.Arbitrary<Int64> = fc
  .tuple(fc.integer({ min: -60_000, max: 60_000 }), micros)
  .map(([d, t]) => instantOf(d, t))
const instant: fc.Arbitrary<Int64> = fc.oneof(
  near,
  fc.tuple(fc.integer({ min: DAY_MIN + 1, max: 106_751_981 }), micros).map(([d, t]) => instantOf(d, t)),
  fc.constantFrom<Int64>(Infinity, -Infinity),
)
const time = fc.integer({ min: 0, max: 86_400_000_000 })
const timetz = fc.tuple(time, fc.integer({ min: -57_599, max: 57_599 })).map(([t, zone]) => new TimeTz(t, zone))
const small = fc.integer({ min: -100, max: 100 })
const int31 = fc.integer({ min: -0x7fff_ffff, max: 0x7fff_ffff })
const interval = fc
  .oneof(
    fc.tuple(small, small, fc.integer({ min: -200_000_000_000, max: 200_000_000_000 })),
    // Without the least: PostgreSQL does not read back its own '@ 2147483648 days ago' either.
    fc.tuple(int31, int31, fc.maxSafeInteger()),
  )
  .map(([months, days, rest]) => new Interval(months + 0, days + 0, rest + 0))

const TYPES: [string, Type, fc.Arbitrary<Value>][] = [
  ['date', dateType, date],
  ['time', timeType, time],
  ['timetz', timetzType, timetz],
  ['timestamp', timestampType, instant],
  ['timestamptz', timestamptzType, instant],
  ['interval', intervalType, interval],
]

const ZONES = [
  'UTC',
  'America/New_York',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
  'EST5EDT,M3.2.0,M11.1.0',
]
const settings: fc.Arbitrary<Settings> = fc.record({
  timeZone: fc.constantFrom(...ZONES),
  dateStyle: fc.constantFrom('ISO', 'German'),
  dateOrder: fc.constantFrom('MDY', 'DMY', 'YMD'),
  intervalStyle: fc.constantFrom('postgres', 'postgres_verbose', 'sql_standard', 'iso_8601'),
  byteaOutput: fc.constant('hex'),
  extraFloatDigits: fc.constant(1),
  textSearchConfig: fc.constant('pg_catalog.english'),
})

/** Bytes that sort as their numbers do: enough of the ordered encoder for these types. */
function keyOf(type: Type, value: Value): Buffer {
  const writer = createByteWriter()
  const refuse = (): never => {
    throw new Error('not asked for by these types')
  }
  const encoder: KeyEncoder = {
    int32: (n) => writer.uint32((n ^ 0x80000000) >>> 0),
    int64: (n) => writer.int64(BigInt.asIntN(64, BigInt(n) ^ (1n << 63n))),
    boolean: refuse,
    int16: refuse,
    uint32: refuse,
    float64: refuse,
    text: refuse,
    bytes: refuse,
    decimal: refuse,
    raw: refuse,
    byte: refuse,
  }
  type.encodeKey?.(value, encoder)
  return Buffer.from(writer.buffer.subarray(0, writer.length))
}

describe.each(TYPES)('%s', (_, type, values) => {
  test('reads back what it writes', () => {
    fc.assert(
      fc.property(values, settings, (value, chosen) => {
        // German dates have the day first, and name zones by abbreviations that may be read as another zone's (IST).
        const german = { ...chosen, dateOrder: 'DMY' as const, timeZone: 'UTC' }
        const context = makeContext(chosen.dateStyle === 'German' ? german : chosen)
        expect(type.input(type.output(value, context), -1, context)).toEqual(value)
      }),
      { numRuns: 500 },
    )
  })

  test('sends and receives', () => {
    fc.assert(
      fc.property(values, (value) => {
        const context = makeContext(DEFAULT_SETTINGS)
        const writer = createByteWriter()
        type.send(value, writer, context)
        expect(type.receive(writer.buffer, 0, writer.length, -1, context)).toEqual(value)
        if (type.storage.kind !== 'bytes') return
        const row = createByteWriter()
        type.storage.write(value, row)
        expect(type.storage.read(row.buffer, 0, row.length)).toEqual(value)
      }),
    )
  })

  test('sorts keys as values, and hashes equals alike', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        const order = Math.sign(type.compare?.(a, b) ?? 0)
        expect(Math.sign(Buffer.compare(keyOf(type, a), keyOf(type, b)))).toBe(order)
        expect(type.hashKey?.(a) === type.hashKey?.(b)).toBe(order === 0)
      }),
      { numRuns: 1000 },
    )
  })
})

test('a Julian day is the day of its date', () => {
  const fields = newFields()
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2147483493 }), (julian) => {
      setFromJulian(julian, fields)
      expect(julianDay(fields.year, fields.month, fields.day)).toBe(julian)
    }),
    { numRuns: 5000 },
  )
})

test('the fast reading agrees with the full one', () => {
  const context = makeContext(DEFAULT_SETTINGS)
  const digits = (n: number) => fc.nat(10 ** n - 1).map((k) => String(k).padStart(n, '0'))
  const text = fc
    .tuple(digits(4), fc.constantFrom('01', '02', '06', '12', '13', '00'), digits(2), digits(2), digits(2), digits(2))
    .chain(([y, mo, d, h, mi, s]) =>
      fc.constantFrom(
        `${y}-${mo}-${d}`,
        `${y}-${mo}-${d} ${h}:${mi}:${s}`,
        `${y}-${mo}-${d}T${h}:${mi}:${s}`,
        `${y}-${mo}-${d} ${h}:${mi}:${s}.${y}`,
        `${y}-${mo}-${d} ${h}:${mi}:${s}.${y}${d}Z`,
        `${y}-${mo}-${d} ${h}:${mi}:${s}+${s}`,
        `${y}-${mo}-${d} ${h}:${mi}:${s}.5-${h}:${mi}`,
      ),
    )
  fc.assert(
    fc.property(text, (t) => {
      const fast = fastTimestamp(t)
      if (fast === undefined) return
      const full = decodeDateTime(t, context)
      expect(instantOfFields(full.fields, 0)).toBe(fast.local)
      if (fast.offset !== undefined) expect(full.offset).toBe(fast.offset)
      const day = fastDate(t)
      if (day !== undefined) expect(julianDay(full.fields.year, full.fields.month, full.fields.day) - 2451545).toBe(day)
    }),
    { numRuns: 3000 },
  )
})

test('a local time comes back from its instant, but in a gap or an overlap', () => {
  fc.assert(
    fc.property(fc.constantFrom(...ZONES), near, (name, value) => {
      const zone = zoneNamed(name)
      if (zone === undefined) throw new Error(`no zone ${name}`)
      const local = toLocal(value, zone)
      if (!isTimestamp(local)) return
      const back = fromLocal(local, zone)
      // The later of two instants with one local time is chosen; no zone turns back by more than two hours there.
      if (back !== value) expect(Math.abs(Number(back) - Number(value))).toBeLessThanOrEqual(86_400_000_000)
      expect(toLocal(back, zone)).toBe(local)
    }),
    { numRuns: 3000 },
  )
})
