/**
 * The six types: how they are read, written, ordered, stored and keyed. Arithmetic is in the files beside this one.
 *
 * | type        | row storage                | key                                            |
 * | ----------- | -------------------------- | ---------------------------------------------- |
 * | date        | int32 days                 | int32, extremes for ±Infinity                  |
 * | timestamp*  | int64 microseconds         | int64, extremes for ±Infinity                  |
 * | time        | int64 microseconds         | int64                                          |
 * | timetz      | 12 bytes: time, zone       | UTC time, then zone                            |
 * | interval    | 16 bytes: time, day, month | days of its span and the rest, months being 30 |
 */
import { sqlError } from '../error.ts'
import { OID } from '../oids.ts'
import type { ByteWriter, KeyEncoder, Type, TypeContext } from '../type.ts'
import type { Int64, Value } from '../value.ts'
import { Interval, TimeTz } from '../value.ts'
import {
  add64,
  canonical,
  DATE_END,
  DATE_MIN,
  instantOf,
  instantOfFields,
  isJulianDate,
  isTimestamp,
  MICROS_PER_DAY,
  MICROS_PER_SECOND,
  timeOfFields,
} from './calendar.ts'
import { compareIntervals, compareTimeTz, daysAndRest, spanOf } from './compare.ts'
import { dayOfFields, decodeDateTime, decodeTime, sessionZone } from './decode.ts'
import { intervalOfText } from './decode-interval.ts'
import { dateText, offsetText, timestampText, timestamptzText, timeText, unixSecond } from './encode.ts'
import { intervalText } from './encode-interval.ts'
import { inputError, SQL_NAMES } from './failure.ts'
import { fastDate, fastTimestamp, plainClock } from './fast.ts'
import {
  applyIntervalTypmod,
  intervalTypmodIn,
  intervalTypmodOut,
  PRECISION_MAX,
  rangeOfTypmod,
  roundMicros,
} from './interval-typmod.ts'

const badBinary = (typeName: string): Error => sqlError('22P03', `incorrect binary data format for type ${typeName}`)

function requireLength(start: number, end: number, length: number): void {
  if (end - start < length) throw sqlError('08P01', 'insufficient data left in message')
}

/** Eight bytes as a canonical Int64. */
function readInt64(from: Buffer, at: number): Int64 {
  const high = from.readInt32BE(at)
  if (high >= -0x200000 && high < 0x200000) {
    const n = high * 0x100000000 + from.readUInt32BE(at + 4)
    if (Number.isSafeInteger(n)) return n
  }
  return canonical(from.readBigInt64BE(at))
}

const INT64_MAX = 9223372036854775807n
const INT64_MIN = -9223372036854775808n
/** An instant as the 64 bits that stand for it: the extremes are ±Infinity. */
export const bitsOfInstant = (value: Int64): Int64 =>
  value === Infinity ? INT64_MAX : value === -Infinity ? INT64_MIN : value
const bitsOfDate = (value: number): number =>
  value === Infinity ? 2147483647 : value === -Infinity ? -2147483648 : value

const precisionIn =
  (typeName: string) =>
  (args: readonly string[]): number => {
    const precision = Number(args[0])
    if (args.length !== 1 || !Number.isInteger(precision)) throw sqlError('22023', 'invalid type modifier')
    if (precision < 0) {
      const [name, zone] = typeName.split(' with')
      throw sqlError(
        '22023',
        `${(name ?? '').toUpperCase()}(${precision})${zone === undefined ? '' : ' WITH TIME ZONE'} precision must not be negative`,
      )
    }
    return Math.min(precision, PRECISION_MAX)
  }
const precisionOut =
  (suffix: string) =>
  (typmod: number): string =>
    typmod < 0 ? suffix : `(${typmod})${suffix}`

const compareNumbers = (a: Value, b: Value): number => {
  const [x, y] = [a as Int64, b as Int64]
  return x < y ? -1 : x > y ? 1 : 0
}

// --- date ---------------------------------------------------------------------------------------------------------

/** Throws 22007, 22008, 22023. */
function dateOfText(text: string, context: TypeContext): number {
  const fast = fastDate(text)
  if (fast !== undefined) return fast
  try {
    const { fields, special } = decodeDateTime(text, context)
    if (special === 'epoch') return -10957
    if (special !== undefined) return special === 'infinity' ? Infinity : -Infinity
    const day = isJulianDate(fields.year, fields.month) ? dayOfFields(fields) : Number.NaN
    if (!(day >= DATE_MIN && day < DATE_END)) throw sqlError('22008', `date out of range: "${text}"`)
    return day
  } catch (error) {
    throw inputError(error, text, SQL_NAMES.date)
  }
}

export const dateType: Type = {
  oid: OID.date,
  name: 'date',
  elementOid: 0 as Type['oid'],
  delimiter: ',',
  input: (text, _typmod, context) => dateOfText(text, context),
  output: (value, context) => dateText(value as number, context.settings),
  receive(from, start, end) {
    requireLength(start, end, 4)
    const day = from.readInt32BE(start)
    if (end - start !== 4) throw badBinary('date')
    if (day === 2147483647) return Infinity
    if (day === -2147483648) return -Infinity
    if (day < DATE_MIN || day >= DATE_END) throw sqlError('22008', 'date out of range')
    return day
  },
  send: (value, to) => to.int32(bitsOfDate(value as number)),
  compare: compareNumbers,
  hashKey: (value) => value as number,
  storage: { kind: 'date' },
  encodeKey: (value, to) => to.int32(bitsOfDate(value as number)),
}

// --- timestamp, timestamptz ---------------------------------------------------------------------------------------

/** The instant of a special word. */
const specialInstant = (special: 'epoch' | 'infinity' | '-infinity'): number =>
  special === 'epoch' ? -946684800_000000 : special === 'infinity' ? Infinity : -Infinity

/** Rounds to a precision; like PostgreSQL's the last microseconds may round to the first instant out of range. */
export const scaleInstant = (value: Int64, typmod: number): Int64 => roundMicros(value, typmod)

/** A timestamp of its text (an offset in it does not count). Throws 22007, 22008, 22023. */
function timestampOfText(text: string, typmod: number, context: TypeContext): Int64 {
  const fast = fastTimestamp(text)
  if (fast !== undefined) return scaleInstant(fast.local, typmod)
  try {
    const { fields, special } = decodeDateTime(text, context)
    if (special !== undefined) return specialInstant(special)
    const instant = instantOfFields(fields, 0)
    if (instant === undefined) throw sqlError('22008', `timestamp out of range: "${text}"`)
    return scaleInstant(instant, typmod)
  } catch (error) {
    throw inputError(error, text, SQL_NAMES.timestamp)
  }
}

/** A timestamptz of its text; without an offset the session's zone counts. Throws 22007, 22008, 22009, 22023. */
function timestamptzOfText(text: string, typmod: number, context: TypeContext): Int64 {
  const fast = fastTimestamp(text)
  if (fast !== undefined) {
    const offset = fast.offset ?? sessionZone(context.settings).offsetOfLocal(unixSecond(fast.local))
    return scaleInstant(add64(fast.local, -offset * MICROS_PER_SECOND), typmod)
  }
  try {
    const { fields, offset, special } = decodeDateTime(text, context)
    if (special !== undefined) return specialInstant(special)
    const instant = instantOfFields(fields, offset)
    if (instant === undefined) throw sqlError('22008', `timestamp out of range: "${text}"`)
    return scaleInstant(instant, typmod)
  } catch (error) {
    throw inputError(error, text, SQL_NAMES.timestamptz)
  }
}

function receiveInstant(from: Buffer, start: number, end: number, typmod: number, typeName: string): Int64 {
  requireLength(start, end, 8)
  if (end - start !== 8) throw badBinary(typeName)
  const value = readInt64(from, start)
  if (value === INT64_MAX) return Infinity
  if (value === INT64_MIN) return -Infinity
  if (!isTimestamp(value)) throw sqlError('22008', 'timestamp out of range')
  return scaleInstant(value, typmod)
}

export const timestampType: Type = {
  oid: OID.timestamp,
  name: 'timestamp',
  elementOid: 0 as Type['oid'],
  delimiter: ',',
  input: timestampOfText,
  output: (value, context) => timestampText(value as Int64, context.settings),
  receive: (from, start, end, typmod) => receiveInstant(from, start, end, typmod, 'timestamp without time zone'),
  send: (value, to) => to.int64(bitsOfInstant(value as Int64)),
  compare: compareNumbers,
  hashKey: (value) => value as Int64,
  storage: { kind: 'timestamp' },
  encodeKey: (value, to) => to.int64(bitsOfInstant(value as Int64)),
  typmodIn: precisionIn('timestamp'),
  typmodOut: precisionOut(' without time zone'),
}

export const timestamptzType: Type = {
  ...timestampType,
  oid: OID.timestamptz,
  name: 'timestamptz',
  input: timestamptzOfText,
  output: (value, context) => timestamptzText(value as Int64, sessionZone(context.settings), context.settings),
  receive: (from, start, end, typmod) => receiveInstant(from, start, end, typmod, 'timestamp with time zone'),
  typmodIn: precisionIn('timestamp with time zone'),
  typmodOut: precisionOut(' with time zone'),
}

// --- time, timetz -------------------------------------------------------------------------------------------------

/** Rounds a time of day to a precision; 24:00:00 may come out. */
export const scaleTime = (micros: number, typmod: number): number => roundMicros(micros, typmod) as number

function timeOfText(text: string, typmod: number, context: TypeContext): number {
  const fast = plainClock(text)
  if (fast !== undefined) return scaleTime(fast, typmod)
  try {
    return scaleTime(timeOfFields(decodeTime(text, context).fields), typmod)
  } catch (error) {
    throw inputError(error, text, SQL_NAMES.time)
  }
}

function timetzOfText(text: string, typmod: number, context: TypeContext): TimeTz {
  try {
    const { fields, offset } = decodeTime(text, context)
    return new TimeTz(scaleTime(timeOfFields(fields), typmod), offset === 0 ? 0 : -offset)
  } catch (error) {
    throw inputError(error, text, SQL_NAMES.timetz)
  }
}

export const timeType: Type = {
  oid: OID.time,
  name: 'time',
  elementOid: 0 as Type['oid'],
  delimiter: ',',
  input: timeOfText,
  output: (value) => timeText(value as number),
  receive(from, start, end, typmod) {
    requireLength(start, end, 8)
    if (end - start !== 8) throw badBinary('time')
    return scaleTime(receiveTime(from, start), typmod)
  },
  send: (value, to) => to.int64(value as number),
  compare: compareNumbers,
  hashKey: (value) => value as number,
  storage: { kind: 'int64' },
  encodeKey: (value, to) => to.int64(value as number),
  typmodIn: precisionIn('time'),
  typmodOut: precisionOut(' without time zone'),
}

function receiveTime(from: Buffer, start: number): number {
  const micros = readInt64(from, start)
  if (typeof micros === 'bigint' || micros < 0 || micros > MICROS_PER_DAY) throw sqlError('22008', 'time out of range')
  return micros
}

const ZONE_SECONDS_MAX = 16 * 3600

function writeTimeTz(value: Value, to: ByteWriter): void {
  const { micros, zoneSecondsWest } = value as TimeTz
  to.int64(micros)
  to.int32(zoneSecondsWest)
}

export const timetzType: Type = {
  oid: OID.timetz,
  name: 'timetz',
  elementOid: 0 as Type['oid'],
  delimiter: ',',
  input: timetzOfText,
  output(value) {
    const { micros, zoneSecondsWest } = value as TimeTz
    return timeText(micros) + offsetText(zoneSecondsWest === 0 ? 0 : -zoneSecondsWest)
  },
  receive(from, start, end, typmod) {
    requireLength(start, end, 12)
    if (end - start !== 12) throw badBinary('time with time zone')
    const micros = receiveTime(from, start)
    const zone = from.readInt32BE(start + 8)
    if (zone <= -ZONE_SECONDS_MAX || zone >= ZONE_SECONDS_MAX) {
      throw sqlError('22009', 'time zone displacement out of range')
    }
    return new TimeTz(scaleTime(micros, typmod), zone)
  },
  send: writeTimeTz,
  compare: (a, b) => compareTimeTz(a as TimeTz, b as TimeTz),
  hashKey: (value) => {
    const { micros, zoneSecondsWest } = value as TimeTz
    // A time is below 2^37 and a zone fits 17 bits: apart, they fill one integer of 54.
    return micros * 131072 + (zoneSecondsWest + ZONE_SECONDS_MAX)
  },
  storage: {
    kind: 'bytes',
    write: writeTimeTz,
    read: (from, start) => new TimeTz(readInt64(from, start) as number, from.readInt32BE(start + 8)),
  },
  encodeKey(value, to) {
    const { micros, zoneSecondsWest } = value as TimeTz
    to.int64(micros + zoneSecondsWest * MICROS_PER_SECOND)
    to.int32(zoneSecondsWest)
  },
  typmodIn: precisionIn('time with time zone'),
  typmodOut: precisionOut(' with time zone'),
}

// --- interval -----------------------------------------------------------------------------------------------------

function intervalInput(text: string, typmod: number, context: TypeContext): Interval {
  return applyIntervalTypmod(intervalOfText(text, rangeOfTypmod(typmod), context.settings), typmod)
}

function writeInterval(value: Value, to: ByteWriter): void {
  const { months, days, micros } = value as Interval
  to.int64(micros)
  to.int32(days)
  to.int32(months)
}

const readInterval = (from: Buffer, start: number): Interval =>
  new Interval(from.readInt32BE(start + 12), from.readInt32BE(start + 8), readInt64(from, start))

export const intervalType: Type = {
  oid: OID.interval,
  name: 'interval',
  elementOid: 0 as Type['oid'],
  delimiter: ',',
  input: intervalInput,
  output: (value, context) => intervalText(value as Interval, context.settings),
  receive(from, start, end, typmod) {
    requireLength(start, end, 16)
    if (end - start !== 16) throw badBinary('interval')
    return applyIntervalTypmod(readInterval(from, start), typmod)
  },
  send: writeInterval,
  compare: (a, b) => compareIntervals(a as Interval, b as Interval),
  hashKey: (value) => spanOf(value as Interval),
  storage: { kind: 'bytes', write: writeInterval, read: readInterval },
  encodeKey(value, to: KeyEncoder) {
    const { days, rest } = daysAndRest(value as Interval)
    to.int64(days)
    to.int64(rest)
  },
  typmodIn: intervalTypmodIn,
  typmodOut: intervalTypmodOut,
}

export const DATETIME_TYPES: readonly Type[] = [
  dateType,
  timeType,
  timetzType,
  timestampType,
  timestamptzType,
  intervalType,
]

/** Midnight of a date, unchecked. */
export const midnight = (day: number): Int64 => (Number.isFinite(day) ? instantOf(day, 0) : day)
