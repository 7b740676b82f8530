/**
 * The words of dates, times and intervals (PostgreSQL 15 manual, B.3 and 8.5.4) and what each stands for. Words count
 * by their first ten letters, as PostgreSQL's tokens do: 'microsecond' and 'microseconds' are one.
 */

/** A quantity of time, as interval input, date_part, extract and date_trunc name it. */
export type Unit =
  | 'microsecond'
  | 'millisecond'
  | 'second'
  | 'minute'
  | 'hour'
  | 'day'
  | 'week'
  | 'month'
  | 'quarter'
  | 'year'
  | 'decade'
  | 'century'
  | 'millennium'
  | 'timezone'
  | 'timezone_hour'
  | 'timezone_minute'
  | 'epoch'
  | 'julian'
  | 'dow'
  | 'isodow'
  | 'doy'
  | 'isoyear'

/** What a word means within a date or time. */
export type DateWord =
  | { readonly kind: 'reserved'; readonly value: 'infinity' | '-infinity' | 'epoch' }
  | { readonly kind: 'reserved'; readonly value: 'now' | 'today' | 'tomorrow' | 'yesterday' | 'allballs' }
  | { readonly kind: 'month'; readonly value: number }
  | { readonly kind: 'weekday' }
  | { readonly kind: 'era'; readonly bc: boolean }
  | { readonly kind: 'halfDay'; readonly pm: boolean }
  | { readonly kind: 'dst' }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'unit'; readonly value: Unit }
  | { readonly kind: 'isoTime' }

/** What a word means within an interval. */
export type IntervalWord =
  | { readonly kind: 'unit'; readonly value: Unit }
  | { readonly kind: 'ago' }
  | { readonly kind: 'ignored' }

const TOKEN_LENGTH = 10

const named = <T>(names: string, value: T): [string, T][] => names.split(' ').map((name) => [name, value])
const units = (table: Partial<Record<Unit, string>>): [string, { kind: 'unit'; value: Unit }][] =>
  Object.entries(table).flatMap(([unit, names]) => named(names, { kind: 'unit', value: unit as Unit }))

const MONTHS = [
  'jan january',
  'feb february',
  'mar march',
  'apr april',
  'may',
  'jun june',
  'jul july',
  'aug august',
  'sep sept september',
  'oct october',
  'nov november',
  'dec december',
]

const dateWords = new Map<string, DateWord>([
  ...MONTHS.flatMap((names, i) => named<DateWord>(names, { kind: 'month', value: i + 1 })),
  ...named<DateWord>(
    'sun sunday mon monday tue tues tuesday wed wednesday weds thu thur thurs thursday fri friday sat saturday',
    { kind: 'weekday' },
  ),
  ...(['infinity', '-infinity', 'epoch', 'now', 'today', 'tomorrow', 'yesterday', 'allballs'] as const).map(
    (value): [string, DateWord] => [value, { kind: 'reserved', value } as DateWord],
  ),
  ...named<DateWord>('ad', { kind: 'era', bc: false }),
  ...named<DateWord>('bc', { kind: 'era', bc: true }),
  ...named<DateWord>('am', { kind: 'halfDay', pm: false }),
  ...named<DateWord>('pm', { kind: 'halfDay', pm: true }),
  ...named<DateWord>('at on', { kind: 'ignored' }),
  ...named<DateWord>('dst', { kind: 'dst' }),
  ...named<DateWord>('t', { kind: 'isoTime' }),
  ...units({
    year: 'y',
    month: 'm',
    day: 'd',
    hour: 'h',
    minute: 'mm',
    second: 's',
    julian: 'j jd julian',
    dow: 'dow',
    doy: 'doy',
    isodow: 'isodow',
    isoyear: 'isoyear',
  }),
])

const intervalWords = new Map<string, IntervalWord>([
  ...named<IntervalWord>('ago', { kind: 'ago' }),
  ...named<IntervalWord>('@', { kind: 'ignored' }),
  ...units({
    century: 'c cent centuries century',
    day: 'd day days',
    decade: 'dec decade decades decs',
    hour: 'h hour hours hr hrs',
    minute: 'm min mins minute minutes',
    microsecond: 'microsecon us usec useconds usecs',
    millennium: 'mil millennia millennium mils',
    millisecond: 'millisecon ms msec mseconds msecs',
    month: 'mon mons month months',
    quarter: 'qtr quarter',
    second: 's sec second seconds secs',
    timezone: 'timezone',
    timezone_hour: 'timezone_h',
    timezone_minute: 'timezone_m',
    week: 'w week weeks',
    year: 'y year years yr yrs',
  }),
])

export const dateWord = (word: string): DateWord | undefined => dateWords.get(word.slice(0, TOKEN_LENGTH))
export const intervalWord = (word: string): IntervalWord | undefined => intervalWords.get(word.slice(0, TOKEN_LENGTH))

/** The unit that date_trunc means by a lower-case word: only those an interval can have. */
export function intervalUnitNamed(word: string): Unit | undefined {
  const meaning = intervalWord(word)
  return meaning?.kind === 'unit' ? meaning.value : undefined
}

/** The unit that date_part and extract mean by a lower-case word; undefined when it is none. */
export function unitNamed(word: string): Unit | undefined {
  const interval = intervalWord(word)
  if (interval !== undefined) return interval.kind === 'unit' ? interval.value : undefined
  const date = dateWord(word)
  if (date === undefined) return undefined
  if (date.kind === 'unit') return date.value
  return date.kind === 'reserved' && date.value === 'epoch' ? 'epoch' : undefined
}
