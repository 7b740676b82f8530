/**
 * The session settings of dates and times: what SET reads and SHOW prints. All throw 22023
 * `invalid value for parameter "…": "…"` as PostgreSQL's own checks do (PostgreSQL 15 manual, 20.11.2).
 */
import type { SqlError } from '../error.ts'
import { sqlError } from '../error.ts'
import type { Settings } from '../settings.ts'
import { DEFAULT_SETTINGS } from '../settings.ts'
import { MICROS_PER_SECOND } from './calendar.ts'
import { plainInterval } from './decode-interval.ts'
import { fixedZone, zoneNamed } from './zones.ts'

type DateSettings = Pick<Settings, 'dateStyle' | 'dateOrder'>

const invalid = (parameter: string, text: string, detail?: string): SqlError =>
  sqlError('22023', `invalid value for parameter "${parameter}": "${text}"`, { detail })

const STYLES: readonly [RegExp, Settings['dateStyle']][] = [
  [/^iso$/i, 'ISO'],
  [/^sql$/i, 'SQL'],
  [/^postgres/i, 'Postgres'],
  [/^german$/i, 'German'],
]
const ORDERS: readonly [RegExp, Settings['dateOrder']][] = [
  [/^ymd$/i, 'YMD'],
  [/^(dmy|euro.*)$/i, 'DMY'],
  [/^(mdy|us|noneuro.*)$/i, 'MDY'],
]

/** 'ISO, MDY' and the like; what the text does not name stays as in `current`, German without an order is DMY. */
export function parseDateStyle(text: string, current: DateSettings = DEFAULT_SETTINGS): DateSettings {
  let { dateStyle, dateOrder } = current
  let hasStyle = false
  let hasOrder = false
  let isConflict = false
  const items = text.trim() === '' ? [] : text.split(',').map((item) => item.trim().replace(/^"(.*)"$/, '$1'))
  for (const item of items) {
    if (item === '' || /\s/.test(item)) throw invalid('DateStyle', text, 'List syntax is invalid.')
    const style = STYLES.find(([pattern]) => pattern.test(item))?.[1]
    const order = ORDERS.find(([pattern]) => pattern.test(item))?.[1]
    if (style !== undefined) {
      isConflict ||= hasStyle && dateStyle !== style
      dateStyle = style
      hasStyle = true
      if (style === 'German' && !hasOrder) dateOrder = 'DMY'
    } else if (order !== undefined) {
      isConflict ||= hasOrder && dateOrder !== order
      dateOrder = order
      hasOrder = true
    } else if (/^default$/i.test(item)) {
      if (!hasStyle) dateStyle = DEFAULT_SETTINGS.dateStyle
      if (!hasOrder) dateOrder = DEFAULT_SETTINGS.dateOrder
    } else throw invalid('DateStyle', text, `Unrecognized key word: "${item}".`)
  }
  if (isConflict) throw invalid('DateStyle', text, 'Conflicting "datestyle" specifications.')
  return { dateStyle, dateOrder }
}

/** As SHOW DateStyle: 'ISO, MDY'. */
export const printDateStyle = ({ dateStyle, dateOrder }: DateSettings): string => `${dateStyle}, ${dateOrder}`

const INTERVAL_STYLES: readonly Settings['intervalStyle'][] = [
  'postgres',
  'postgres_verbose',
  'sql_standard',
  'iso_8601',
]

export function parseIntervalStyle(text: string): Settings['intervalStyle'] {
  const style = INTERVAL_STYLES.find((name) => name === text.toLowerCase())
  if (style !== undefined) return style
  throw sqlError('22023', `invalid value for parameter "intervalstyle": "${text}"`, {
    hint: `Available values: ${INTERVAL_STYLES.join(', ')}.`,
  })
}

/**
 * The name that SHOW TimeZone prints for a value of SET: a name in any case, a POSIX rule, hours east as a number, or
 * INTERVAL '…'.
 */
export function parseTimeZone(text: string): string {
  const interval = /^interval\s*'([^']*)'\s*$/i.exec(text)
  if (interval !== null) {
    const { months, days, micros } = plainInterval(interval[1] ?? '', DEFAULT_SETTINGS)
    if (months !== 0) throw invalid('TimeZone', text, 'Cannot specify months in time zone interval.')
    if (days !== 0) throw invalid('TimeZone', text, 'Cannot specify days in time zone interval.')
    return named(fixedZone(Math.trunc(Number(micros) / MICROS_PER_SECOND)), text)
  }
  if (/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) {
    const zone = fixedZone(Math.trunc(Number(text) * 3600))
    if (zone === undefined) throw invalid('TimeZone', text, 'UTC timezone offset is out of range.')
    return zone.name
  }
  return named(zoneNamed(text), text)
}

function named(zone: { readonly name: string } | undefined, text: string): string {
  if (zone === undefined) throw invalid('TimeZone', text)
  return zone.name
}
