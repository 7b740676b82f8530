/**
 * Time zones: the offset of an instant, the offset of a local time, and what to call it.
 *
 *     name ─► zoneNamed ─► Zone ─► segmentAt(second)   [from, until) with one offset
 *
 * A zone's transitions are found year by year, by asking Intl about days of that year and halving between two that
 * differ, and are kept; a POSIX rule computes them. Years from 2400 on repeat every 400 years, as the rules do.
 * All times here are Unix seconds; offsets are seconds east of UTC.
 */
import type { Abbreviation } from './abbreviations.ts'
import { abbreviations } from './abbreviations.ts'
import { julianDay, newFields, SECONDS_PER_DAY, setFromJulian, UNIX_EPOCH_JULIAN } from './calendar.ts'
import type { PosixZone } from './posix.ts'
import { parsePosixZone, posixTransitions } from './posix.ts'
import { US_ZONES, usName, usOffsetAt, usTransitions } from './us-zones.ts'
import type { ZoneEntry } from './zone-names.ts'
import { numericAbbreviation, zoneTable } from './zone-names.ts'

/** A stretch of time with one offset; it may end at a new year without a change. */
interface Segment {
  readonly from: number
  readonly until: number
  readonly offset: number
}

export interface ZoneName {
  readonly text: string
  readonly isDst: boolean
}

/** Where a zone's offsets come from. */
interface Source {
  offsetAt(second: number): number
  /** The changes within a year as (second, offset from then on), in order. */
  transitions(year: number): [number, number][]
  nameAt(second: number, offset: number): ZoneName
  /** Whether the rules hold for all time, not only from the first years that are recorded. */
  readonly isPeriodic: boolean
  /** Whether any instant is called so. */
  knowsName(text: string): boolean
}

const FIRST_YEAR = 1800
const CYCLE_YEAR = 2400
const CYCLE_SECONDS = 146_097 * SECONDS_PER_DAY
const FIRST_SECOND = yearStart(FIRST_YEAR)
const CYCLE_START = yearStart(CYCLE_YEAR)
const ABBREVIATION_LAST_YEAR = 2100

function yearStart(year: number): number {
  return (julianDay(year, 1, 1) - UNIX_EPOCH_JULIAN) * SECONDS_PER_DAY
}

const scratch = newFields()
function yearOf(second: number): number {
  setFromJulian(Math.floor(second / SECONDS_PER_DAY) + UNIX_EPOCH_JULIAN, scratch)
  return scratch.year
}

export class Zone {
  /** As SHOW TimeZone prints it. */
  readonly name: string
  readonly #source: Source
  /** Before the first year that is looked at. */
  readonly #first: Segment
  readonly #years: (Segment[] | undefined)[] = []
  #last: Segment

  constructor(name: string, source: Source) {
    this.name = name
    this.#source = source
    this.#first = { from: -Infinity, until: FIRST_SECOND, offset: source.offsetAt(FIRST_SECOND) }
    this.#last = source.isPeriodic ? (this.#year(2000)[0] ?? this.#first) : this.#first
  }

  /** The offset in force at a second. */
  offsetAt(second: number): number {
    const last = this.#last
    if (second >= last.from && second < last.until) return last.offset
    return this.segmentAt(second).offset
  }

  segmentAt(second: number): Segment {
    const last = this.#last
    if (second >= last.from && second < last.until) return last
    if (second < FIRST_SECOND && !this.#source.isPeriodic) return (this.#last = this.#first)
    if (second < FIRST_SECOND || second >= CYCLE_START + CYCLE_SECONDS) {
      const cycles = Math.floor((second - CYCLE_START) / CYCLE_SECONDS)
      const base = this.segmentAt(second - cycles * CYCLE_SECONDS)
      const shift = cycles * CYCLE_SECONDS
      return (this.#last = { from: base.from + shift, until: base.until + shift, offset: base.offset })
    }
    for (const segment of this.#year(yearOf(second))) {
      if (second < segment.until) return (this.#last = segment)
    }
    throw new RangeError(`no segment of ${this.name} holds ${second}`)
  }

  /** The segments that partition a year. */
  #year(year: number): Segment[] {
    const known = this.#years[year - FIRST_YEAR]
    if (known !== undefined) return known
    let from = yearStart(year)
    const end = yearStart(year + 1)
    const segments: Segment[] = []
    let offset = this.#source.offsetAt(from)
    for (const [second, next] of this.#source.transitions(year)) {
      if (second > from) segments.push({ from, until: second, offset })
      from = second
      offset = next
    }
    segments.push({ from, until: end, offset })
    this.#years[year - FIRST_YEAR] = segments
    return segments
  }

  /**
   * The offset of a local time, given as the Unix second it would be in UTC. A time in a gap counts with the offset
   * before it, a time that comes twice is the later one (PostgreSQL's DetermineTimeZoneOffset).
   */
  offsetOfLocal(local: number): number {
    const last = this.#last
    if (local >= last.from + SECONDS_PER_DAY && local < last.until - SECONDS_PER_DAY) return last.offset
    const before = this.segmentAt(local - SECONDS_PER_DAY)
    let boundary = before.until
    if (boundary === Infinity) return before.offset
    let after = this.segmentAt(boundary)
    while (after.offset === before.offset) {
      boundary = after.until
      if (boundary > local + 2 * SECONDS_PER_DAY) return before.offset
      after = this.segmentAt(boundary)
    }
    const beforeTime = local - before.offset
    const afterTime = local - after.offset
    if (beforeTime < boundary && afterTime < boundary) return before.offset
    if (beforeTime > boundary && afterTime >= boundary) return after.offset
    return beforeTime > afterTime ? before.offset : after.offset
  }

  nameAt(second: number): ZoneName {
    return this.#source.nameAt(second, this.offsetAt(second))
  }

  /** What an abbreviation meant in this zone at a time: as last used before it, else as first used after. */
  offsetOfAbbreviation(text: string, second: number): number | undefined {
    if (!this.#source.knowsName(text)) return undefined
    const year = Math.min(Math.max(yearOf(second), FIRST_YEAR), ABBREVIATION_LAST_YEAR)
    const isNamed = (segment: Segment) => this.#source.nameAt(segment.from, segment.offset).text === text
    for (let y = year; y >= FIRST_YEAR; y--) {
      const found = this.#year(y).findLast((segment) => segment.from <= second && isNamed(segment))
      if (found !== undefined) return found.offset
    }
    for (let y = year; y <= ABBREVIATION_LAST_YEAR; y++) {
      const found = this.#year(y).find(isNamed)
      if (found !== undefined) return found.offset
    }
    return undefined
  }

  /** The offset when it has been the same always. */
  fixedOffset(): number | undefined {
    const offset = this.#source.offsetAt(FIRST_SECOND)
    for (let year = 1850; year <= 2040; year++) {
      for (const month of [1, 4, 7, 10]) {
        const second = (julianDay(year, month, 1) - UNIX_EPOCH_JULIAN) * SECONDS_PER_DAY
        if (this.#source.offsetAt(second) !== offset) return undefined
      }
    }
    return offset
  }
}

const STEP = 9 * SECONDS_PER_DAY // closer pairs of opposite changes have never happened

function intlSource(entry: ZoneEntry): Source | undefined {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: entry.name, timeZoneName: 'longOffset', year: 'numeric' })
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
  const offsetAt = (second: number): number => {
    const text = format.format(second * 1000)
    const at = text.indexOf('GMT') + 3
    if (at === text.length) return 0
    const hours = Number(text.slice(at + 1, at + 3))
    const minutes = Number(text.slice(at + 4, at + 6))
    const seconds = Number(text.slice(at + 7, at + 9))
    const total = (hours * 60 + minutes) * 60 + seconds
    return text[at] === '+' ? total : -total
  }
  const transitions = (year: number): [number, number][] => {
    const found: [number, number][] = []
    const end = yearStart(year + 1)
    let at = yearStart(year) - 1
    let offset = offsetAt(at)
    while (at < end - 1) {
      const probe = Math.min(at + STEP, end - 1)
      let high = probe
      let next = offsetAt(high)
      if (next === offset) {
        at = probe
        continue
      }
      let low = at
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2)
        const there = offsetAt(middle)
        if (there === offset) low = middle
        else {
          high = middle
          next = there
        }
      }
      found.push([high, next])
      at = high
      offset = next
    }
    return found
  }
  const first = offsetAt(FIRST_SECOND)
  const nameAt = (second: number, offset: number): ZoneName => {
    const span = entry.abbreviations.get(offset)?.findLast((s) => second >= s.from)
    if (span !== undefined) return span
    // Local mean time is never a whole quarter of an hour.
    return { text: offset === first && offset % 900 !== 0 ? 'LMT' : numericAbbreviation(offset), isDst: false }
  }
  const knowsName = (text: string): boolean =>
    [...entry.abbreviations.values()].some((spans) => spans.some((span) => span.text === text))
  return { offsetAt, transitions, nameAt, knowsName, isPeriodic: false }
}

function posixSource(zone: PosixZone): Source {
  const { standard, daylight } = zone
  const offsetAt = (second: number): number => {
    const year = yearOf(second)
    const changes = [year - 1, year, year + 1].flatMap((y) => posixTransitions(zone, y))
    return changes.findLast(([from]) => from <= second)?.[1] ?? standard.offset
  }
  return {
    offsetAt,
    transitions(year) {
      const [from, until] = [yearStart(year), yearStart(year + 1)]
      const near = [year - 1, year, year + 1].flatMap((y) => posixTransitions(zone, y))
      return near.filter(([second]) => second >= from && second < until)
    },
    nameAt: (_second, offset) =>
      daylight !== undefined && offset === daylight.offset
        ? { text: daylight.name, isDst: true }
        : { text: standard.name, isDst: false },
    isPeriodic: true,
    knowsName: (text) => text === standard.name || text === daylight?.name,
  }
}

function usSource(standard: number, letter: string): Source {
  return {
    offsetAt: (second) => usOffsetAt(standard, second, yearOf(second)),
    transitions: (year) => usTransitions(standard, year),
    nameAt: (second, offset) => usName(letter, second, offset !== standard),
    isPeriodic: false,
    knowsName: (text) => text.length === 3 && text[0] === letter && 'SDWP'.includes(text[1]!) && text[2] === 'T',
  }
}

const CACHE_MAX = 2048 // zones kept; the tz database has 600, the rest are POSIX rules
const cache = new Map<string, Zone | null>()

/** The zone of a name or POSIX rule, in any case; undefined when there is none (PostgreSQL's pg_tzset). */
export function zoneNamed(name: string): Zone | undefined {
  const known = cache.get(name)
  if (known !== undefined) return known ?? undefined
  const zone = makeZone(name)
  if (cache.size >= CACHE_MAX) cache.clear()
  cache.set(name, zone ?? null)
  return zone
}

function makeZone(name: string): Zone | undefined {
  if (name.length > 255) return undefined
  const lower = name.toLowerCase()
  const isPosixCopy = lower.startsWith('posix/')
  const entry = zoneTable().get(isPosixCopy ? lower.slice(6) : lower)
  if (entry !== undefined) {
    const us = US_ZONES[entry.name.toLowerCase()]
    const source = us === undefined ? intlSource(entry) : usSource(us.offset, us.letter)
    return source === undefined ? undefined : new Zone(isPosixCopy ? `posix/${entry.name}` : entry.name, source)
  }
  const upper = name.toUpperCase()
  const posix = parsePosixZone(upper)
  return posix === undefined ? undefined : new Zone(upper, posixSource(posix))
}

/** The zone of a fixed offset in seconds east, named as SET TIME ZONE names it: '<+02:30>-02:30'. */
export function fixedZone(offset: number): Zone | undefined {
  const seconds = Math.abs(offset)
  const pad = (n: number) => String(n).padStart(2, '0')
  const minutes = Math.floor((seconds % 3600) / 60)
  const tail = seconds % 60 > 0 ? `:${pad(minutes)}:${pad(seconds % 60)}` : minutes > 0 ? `:${pad(minutes)}` : ''
  const text = pad(Math.floor(seconds / 3600)) + tail
  return zoneNamed(offset < 0 ? `<-${text}>+${text}` : `<+${text}>-${text}`)
}

/** What a lower-case word means as an abbreviation. */
export const abbreviationNamed = (word: string): Abbreviation | undefined => abbreviations.get(word)

/** The offset of a local time (as a Unix second) under a dynamic abbreviation of a zone. */
export function offsetOfDynamic(zone: Zone, abbreviation: string, local: number): number {
  const offset = zone.offsetOfLocal(local)
  return zone.offsetOfAbbreviation(abbreviation.toUpperCase(), local - offset) ?? offset
}

/** A row of pg_timezone_names or pg_timezone_abbrevs. */
export interface ZoneRow {
  readonly name: string
  readonly abbreviation: string
  readonly offset: number
  readonly isDst: boolean
}

/** Rows of pg_timezone_names at a Unix second. */
export function timezoneNames(second: number): ZoneRow[] {
  const rows: ZoneRow[] = []
  for (const { name } of zoneTable().values()) {
    const zone = zoneNamed(name)
    if (zone === undefined) continue
    const { text, isDst } = zone.nameAt(second)
    rows.push({ name, abbreviation: text, offset: zone.offsetAt(second), isDst })
  }
  return rows
}

/** Rows of pg_timezone_abbrevs at a Unix second, in alphabetical order. */
export function timezoneAbbreviations(second: number): ZoneRow[] {
  return [...abbreviations]
    .map(([word, meaning]): ZoneRow => {
      const name = word.toUpperCase()
      if (meaning.kind === 'fixed') return { name, abbreviation: name, offset: meaning.offset, isDst: meaning.isDst }
      const zone = zoneNamed(meaning.zone)
      const offset = zone === undefined ? 0 : (zone.offsetOfAbbreviation(name, second) ?? zone.offsetAt(second))
      return { name, abbreviation: name, offset, isDst: zone?.nameAt(second).isDst ?? false }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
