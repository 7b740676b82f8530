/**
 * SQL/JSON's datetime(): text read along a template, exactly, and which of the types it is told by the template's fields;
 * without a template the ISO forms are tried in turn. https://www.postgresql.org/docs/15/functions-json.html
 */
import { sqlError } from '../error.ts'
import { DEFAULT_SETTINGS } from '../settings.ts'
import type { TypeContext } from '../type.ts'
import { type Int64, TimeTz } from '../value.ts'
import { instantOf, instantOfFields, MICROS_PER_SECOND, timeOfFields } from './calendar.ts'
import { compareTimeTz } from './compare.ts'
import { outOfRange, timestampOfDate, timestamptzOfDate, timestamptzOfTimestamp } from './convert.ts'
import { dayOfFields, sessionZone } from './decode.ts'
import { dateText, offsetText, timestampText, timeText, unixSecond } from './encode.ts'
import { fieldsOf } from './from-char.ts'
import { roundMicros } from './interval-typmod.ts'
import { currentDate } from './now.ts'
import { type Field, parseTemplate } from './template.ts'

/** A moment of one of the five types; an instant keeps the offset it was written with (seconds east). */
export class Moment {
  readonly kind: 'date' | 'time' | 'timetz' | 'timestamp' | 'timestamptz'
  readonly value: Int64
  readonly offset: number
  constructor(kind: Moment['kind'], value: Int64, offset: number) {
    this.kind = kind
    this.value = value
    this.offset = offset
  }
}

/** What .type() calls them. */
export const MOMENT_NAMES: Readonly<Record<Moment['kind'], string>> = {
  date: 'date',
  time: 'time without time zone',
  timetz: 'time with time zone',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
}

const TIMED: ReadonlySet<Field> = new Set<Field>(['AM', 'HH12', 'HH24', 'MI', 'SS', 'MS', 'US', 'FF', 'SSSS'])
const ZONED: ReadonlySet<Field> = new Set<Field>(['TZ', 'TZH', 'TZM', 'OF'])

/** Throws 22007, 22008 as parse_datetime does. */
export function momentOfText(text: string, template: string): Moment {
  const { fields, offset, precision } = fieldsOf(text, template, true)
  let dated = false
  let timed = false
  let zoned = false
  for (const node of parseTemplate(template, true)) {
    if (node.kind !== 'pattern' || node.field === 'FX') continue
    if (TIMED.has(node.field)) timed = true
    else if (ZONED.has(node.field)) zoned = true
    else dated = true
  }
  const rounded = (micros: Int64): Int64 => (precision === 0 ? micros : roundMicros(micros, precision))
  const zoneOf = (kind: 'timestamptz' | 'timetz'): number => {
    if (offset === undefined) throw sqlError('22007', `missing time zone in input string for type ${kind}`)
    return offset
  }
  if (dated && timed) {
    const east = zoned ? zoneOf('timestamptz') : 0
    const instant = instantOfFields(fields, east)
    if (instant === undefined) throw outOfRange('timestamp')
    return new Moment(zoned ? 'timestamptz' : 'timestamp', rounded(instant), east)
  }
  if (dated) {
    if (zoned) throw sqlError('22007', 'datetime format is zoned but not timed')
    return new Moment('date', dayOfFields(fields), 0)
  }
  if (!timed) throw sqlError('22007', 'datetime format is not dated and not timed')
  return new Moment(zoned ? 'timetz' : 'time', rounded(timeOfFields(fields)), zoned ? zoneOf('timetz') : 0)
}

const CLOCKS = [
  'HH24:MI:SS.USTZH:TZM',
  'HH24:MI:SS.USTZH',
  'HH24:MI:SSTZH:TZM',
  'HH24:MI:SSTZH',
  'HH24:MI:SS.US',
  'HH24:MI:SS',
]
/** Without a template: these, in this order. */
export const ISO_TEMPLATES: readonly string[] = [
  'yyyy-mm-dd',
  ...CLOCKS,
  ...CLOCKS.map((clock) => `yyyy-mm-dd ${clock}`),
  ...CLOCKS.map((clock) => `yyyy-mm-dd"T"${clock}`),
]

/** As JSON writes it: ISO 8601 with a T and an offset with minutes. */
export function momentText({ kind, value, offset }: Moment): string {
  switch (kind) {
    case 'date':
      return dateText(value as number, DEFAULT_SETTINGS)
    case 'time':
      return timeText(value as number)
    case 'timetz':
      return `${timeText(value as number)}${withMinutes(offsetText(offset))}`
    case 'timestamp':
      return timestampText(value, DEFAULT_SETTINGS).replace(' ', 'T')
    case 'timestamptz': {
      const local = typeof value === 'number' ? value + offset * MICROS_PER_SECOND : value
      const [clock, era] = timestampText(local, DEFAULT_SETTINGS).split(/ (?=BC)/)
      return `${clock!.replace(' ', 'T')}${withMinutes(offsetText(offset))}${era === undefined ? '' : ` ${era}`}`
    }
  }
}
const withMinutes = (offset: string): string => (offset.length === 3 ? `${offset}:00` : offset)

const notWithoutZone = (from: string, to: string) =>
  sqlError('0A000', `cannot convert value from ${from} to ${to} without time zone usage`, {
    hint: 'Use *_tz() function for time zone support.',
  })

const order = (a: Int64, b: Int64): number => (a < b ? -1 : a > b ? 1 : 0)
const timetzOf = (m: Moment): TimeTz => new TimeTz(m.value as number, m.offset === 0 ? 0 : -m.offset)

function instantOfMoment(m: Moment, context: TypeContext | undefined): Int64 {
  if (m.kind === 'timestamptz') return m.value
  if (context === undefined) throw notWithoutZone(m.kind, 'timestamptz')
  const zone = sessionZone(context.settings)
  return m.kind === 'date' ? timestamptzOfDate(m.value as number, zone) : timestamptzOfTimestamp(m.value, zone)
}

function zonedTime(m: Moment, context: TypeContext | undefined): TimeTz {
  if (m.kind === 'timetz') return timetzOf(m)
  if (context === undefined) throw notWithoutZone('time', 'timetz')
  const day = instantOf(currentDate(context), m.value as number)
  return new TimeTz(m.value as number, -sessionZone(context.settings).offsetOfLocal(unixSecond(day)) + 0)
}

const isClock = (m: Moment): boolean => m.kind === 'time' || m.kind === 'timetz'

/** Their order; undefined when they cannot be compared. Without a context nothing may depend on the session's zone (0A000). */
export function compareMoments(a: Moment, b: Moment, context: TypeContext | undefined): number | undefined {
  if (isClock(a) !== isClock(b)) return undefined
  if (isClock(a)) {
    if (a.kind === 'time' && b.kind === 'time') return order(a.value, b.value)
    return compareTimeTz(zonedTime(a, context), zonedTime(b, context))
  }
  if (a.kind === 'timestamptz' || b.kind === 'timestamptz')
    return order(instantOfMoment(a, context), instantOfMoment(b, context))
  if (a.kind === b.kind) return order(a.value, b.value)
  const plain = (m: Moment): Int64 => (m.kind === 'date' ? timestampOfDate(m.value as number) : m.value)
  return order(plain(a), plain(b))
}
