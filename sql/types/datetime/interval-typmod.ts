/**
 * The modifier of the interval type: which fields it keeps (`interval day to second`) and how many digits of a second.
 * Stored as PostgreSQL does: the fields' bits in the upper half, the precision in the lower.
 */
import { sqlError } from '../error.ts'
import type { Int64 } from '../value.ts'
import { Interval } from '../value.ts'
import { canonical } from './calendar.ts'

export const RANGE = { month: 2, year: 4, day: 8, hour: 1024, minute: 2048, second: 4096 } as const
export const FULL_RANGE = 0x7fff
const FULL_PRECISION = 0xffff
export const PRECISION_MAX = 6

const { month, year, day, hour, minute, second } = RANGE
const RANGE_NAMES = new Map<number, string>([
  [year, ' year'],
  [month, ' month'],
  [day, ' day'],
  [hour, ' hour'],
  [minute, ' minute'],
  [second, ' second'],
  [year | month, ' year to month'],
  [day | hour, ' day to hour'],
  [day | hour | minute, ' day to minute'],
  [day | hour | minute | second, ' day to second'],
  [hour | minute, ' hour to minute'],
  [hour | minute | second, ' hour to second'],
  [minute | second, ' minute to second'],
  [FULL_RANGE, ''],
])

const POWERS = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] as const

/** Rounds microseconds to so many digits of a second, halves away from zero. */
export function roundMicros(micros: Int64, precision: number): Int64 {
  if (precision < 0 || precision >= PRECISION_MAX) return micros
  const scale = POWERS[PRECISION_MAX - precision] ?? 1
  if (typeof micros === 'number') {
    if (!Number.isFinite(micros)) return micros
    const half = scale / 2
    const magnitude = Math.abs(micros) + half
    if (magnitude <= Number.MAX_SAFE_INTEGER) {
      const rounded = magnitude - (magnitude % scale)
      return micros < 0 && rounded !== 0 ? -rounded : rounded
    }
  }
  const big = BigInt(scale)
  const exact = BigInt(micros)
  // Near the ends of 64 bits PostgreSQL's arithmetic wraps around, and so does this.
  const magnitude = BigInt.asIntN(64, BigInt.asIntN(64, exact < 0n ? -exact : exact) + big / 2n)
  const rounded = magnitude - (magnitude % big)
  return canonical(exact < 0n ? -rounded : rounded)
}

/** Cuts microseconds to whole units, toward zero. */
function truncateMicros(micros: Int64, unit: number): Int64 {
  if (typeof micros === 'number') return micros - (micros % unit) + 0
  return canonical(micros - (micros % BigInt(unit)))
}

/** Cuts an interval to a modifier's fields and rounds its seconds. Throws 22023 for a precision beyond 6. */
export function applyIntervalTypmod(value: Interval, typmod: number): Interval {
  if (typmod < 0) return value
  const range = (typmod >> 16) & 0x7fff
  const precision = typmod & 0xffff
  let { months, days, micros } = value
  switch (range) {
    case year:
      months -= months % 12
      days = 0
      micros = 0
      break
    case month:
    case year | month:
      days = 0
      micros = 0
      break
    case day:
      micros = 0
      break
    case hour:
    case day | hour:
      micros = truncateMicros(micros, 3_600_000_000)
      break
    case minute:
    case day | hour | minute:
    case hour | minute:
      micros = truncateMicros(micros, 60_000_000)
      break
    default:
      break
  }
  if (precision !== FULL_PRECISION) {
    if (precision > PRECISION_MAX) {
      throw sqlError('22023', `interval(${precision}) precision must be between 0 and ${PRECISION_MAX}`)
    }
    micros = roundMicros(micros, precision)
  }
  return new Interval(months, days, micros)
}

export const rangeOfTypmod = (typmod: number): number => (typmod < 0 ? FULL_RANGE : (typmod >> 16) & 0x7fff)

/** The arguments are the fields' bits and perhaps the precision, as the parser gives them. */
export function intervalTypmodIn(args: readonly string[]): number {
  const [range, precision] = args.map(Number)
  if (range === undefined || args.length > 2) throw sqlError('22023', 'invalid INTERVAL type modifier')
  if (!RANGE_NAMES.has(range)) throw sqlError('22023', 'invalid INTERVAL type modifier')
  if (precision === undefined) return range === FULL_RANGE ? -1 : (range << 16) | FULL_PRECISION
  if (precision < 0) throw sqlError('22023', `INTERVAL(${precision}) precision must not be negative`)
  return (range << 16) | Math.min(precision, PRECISION_MAX)
}

export function intervalTypmodOut(typmod: number): string {
  if (typmod < 0) return ''
  const precision = typmod & 0xffff
  return (RANGE_NAMES.get(rangeOfTypmod(typmod)) ?? '') + (precision === FULL_PRECISION ? '' : `(${precision})`)
}
