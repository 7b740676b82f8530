/**
 * EST5EDT, CST6CDT, MST7MDT and PST8PDT: zones of the United States' law alone, without any city's local mean time or
 * own rules. Intl takes them for New York, Chicago, Denver and Los Angeles; the tz database that PostgreSQL reads keeps
 * them apart (file northamerica, rule "US").
 */
import { julianDay, SECONDS_PER_DAY, UNIX_EPOCH_JULIAN } from './calendar.ts'

/** Standard offset in seconds east, and the letter of the names: PST, PDT, PWT, PPT. */
export const US_ZONES: Readonly<Record<string, { readonly offset: number; readonly letter: string }>> = {
  est5edt: { offset: -18_000, letter: 'E' },
  cst6cdt: { offset: -21_600, letter: 'C' },
  mst7mdt: { offset: -25_200, letter: 'M' },
  pst8pdt: { offset: -28_800, letter: 'P' },
}

/** The Unix second of an hour of a day, as UTC. */
const at = (year: number, month: number, day: number, hour: number): number =>
  (julianDay(year, month, day) - UNIX_EPOCH_JULIAN) * SECONDS_PER_DAY + hour * 3600

/** Julian days count from a Monday. */
const sundayFrom = (year: number, month: number, day: number): number => {
  const weekday = (julianDay(year, month, day) + 1) % 7
  return day + ((7 - weekday) % 7)
}

/** The changes of a year as [local time of the clock before it, daylight saving from then on]. */
function changes(year: number): readonly [number, boolean][] {
  if (year === 1918 || year === 1919)
    return [
      [at(year, 3, sundayFrom(year, 3, 25), 2), true],
      [at(year, 10, sundayFrom(year, 10, 25), 2), false],
    ]
  if (year === 1942) return [[at(1942, 2, 9, 2), true]]
  if (year === 1945) return [[at(1945, 9, 30, 2), false]]
  if (year < 1967) return []
  if (year >= 2007)
    return [
      [at(year, 3, sundayFrom(year, 3, 8), 2), true],
      [at(year, 11, sundayFrom(year, 11, 1), 2), false],
    ]
  const spring =
    year === 1974
      ? at(1974, 1, 6, 2)
      : year === 1975
        ? at(1975, 2, 23, 2)
        : year <= 1986
          ? at(year, 4, sundayFrom(year, 4, 24), 2)
          : at(year, 4, sundayFrom(year, 4, 1), 2)
  return [
    [spring, true],
    [at(year, 10, sundayFrom(year, 10, 25), 2), false],
  ]
}

/** The changes within a year as [Unix second, offset from then on]. */
export function usTransitions(standard: number, year: number): [number, number][] {
  return changes(year).map(([local, isDst]) =>
    isDst ? [local - standard, standard + 3600] : [local - standard - 3600, standard],
  )
}

export function usOffsetAt(standard: number, second: number, year: number): number {
  for (const y of [year + 1, year, year - 1]) {
    const found = usTransitions(standard, y).findLast(([from]) => from <= second)
    if (found !== undefined) return found[1]
  }
  return year >= 1942 && year <= 1945 ? standard + 3600 : standard
}

const PEACE = at(1945, 8, 14, 23)

/** War time is called W until the peace and P after it. */
export function usName(letter: string, second: number, isDst: boolean): { text: string; isDst: boolean } {
  const kind = !isDst
    ? 'S'
    : second < at(1942, 1, 1, 0) || second >= at(1946, 1, 1, 0)
      ? 'D'
      : second < PEACE
        ? 'W'
        : 'P'
  return { text: `${letter}${kind}T`, isDst }
}
