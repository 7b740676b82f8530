/**
 * count, sum, avg, min, max, bit_and/or/xor and the statistical aggregates of numbers. Integer and numeric sums are exact,
 * so a row can be taken out again (`inverse`); floating point sums cannot, and follow Youngs and Cramer's method.
 * Result types and display scales are PostgreSQL's. Source: PostgreSQL manual, "Aggregate Functions".
 */
import type { AggregateBody, AggregateTable } from '../function.ts'
import { compareNative } from '../misc/comparison.ts'
import { extremes, fold } from '../misc/extremes.ts'
import type { Int64, Value } from '../value.ts'
import { Numeric } from '../value.ts'
import { compareFloat, overflow } from './float.ts'
import * as int from './int.ts'
import * as n from './numeric.ts'
import { rootAt } from './numeric-math.ts'

interface CountState {
  count: number
}

/** Counts the rows it is given: all of them for count(*), those with a value for count(any). */
const count: AggregateBody<CountState> = {
  strict: true,
  bind: () => ({
    init: () => ({ count: 0 }),
    step(state) {
      state.count++
      return state
    },
    inverse(state) {
      state.count--
      return state
    },
    final: (state) => state.count,
  }),
}

/** An exact sum of integers: plain numbers while they are safe, spilling into a bigint. */
class IntegerSum {
  count = 0
  #near = 0
  #far = 0n

  add(value: Int64): void {
    this.count++
    this.#put(value)
  }
  remove(value: Int64): void {
    this.count--
    this.#put(-value)
  }
  #put(value: Int64): void {
    if (typeof value === 'bigint') {
      this.#far += value
      return
    }
    const next = this.#near + value
    if (next <= Number.MAX_SAFE_INTEGER && next >= -Number.MAX_SAFE_INTEGER) this.#near = next
    else {
      this.#far += BigInt(this.#near) + BigInt(value)
      this.#near = 0
    }
  }
  total(): bigint {
    return this.#far + BigInt(this.#near)
  }
}

function integerSum(final: (sum: IntegerSum) => Value): AggregateBody<IntegerSum> {
  return {
    strict: true,
    bind: () => ({
      init: () => new IntegerSum(),
      step(state, value: Int64) {
        state.add(value)
        return state
      },
      inverse(state, value: Int64) {
        state.remove(value)
        return state
      },
      final: (state) => (state.count === 0 ? null : final(state)),
    }),
  }
}

const sumAsInt8 = integerSum((sum) => int.int8(sum.total()))
const sumAsNumeric = integerSum((sum) => new Numeric(sum.total(), 0))
const integerAverage = integerSum((sum) => n.divide(new Numeric(sum.total(), 0), n.fromInteger(sum.count)))

/** Exact sums of x and x², with how many values had each scale (the result shows the largest) and how many were special. */
class Moments {
  count = 0
  #scale = 0
  #sum = 0n
  #squares = 0n
  readonly #withScale: number[] = []
  readonly #special = { NaN: 0, Infinity: 0, '-Infinity': 0 }
  readonly #needsSquares: boolean

  constructor(needsSquares: boolean) {
    this.#needsSquares = needsSquares
  }

  put(value: Numeric, times: 1 | -1): void {
    this.count += times
    if (value.special !== undefined) {
      this.#special[value.special] += times
      return
    }
    const { digits, scale } = value
    this.#withScale[scale] = (this.#withScale[scale] ?? 0) + times
    let own = digits
    if (scale > this.#scale) this.#widen(scale)
    else if (scale < this.#scale) own *= n.pow10(this.#scale - scale)
    const sign = BigInt(times)
    this.#sum += sign * own
    if (this.#needsSquares) this.#squares += sign * own * own
  }

  #widen(scale: number): void {
    const factor = n.pow10(scale - this.#scale)
    this.#sum *= factor
    this.#squares *= factor * factor
    this.#scale = scale
  }

  /** The largest scale among the values that are in. */
  #shownScale(): number {
    let scale = this.#scale
    while (scale > 0 && !this.#withScale[scale]) scale--
    return scale
  }

  isSpecial(): boolean {
    return this.#special.NaN + this.#special.Infinity + this.#special['-Infinity'] > 0
  }

  sum(): Numeric {
    const { NaN: nan, Infinity: up, '-Infinity': down } = this.#special
    if (nan > 0 || (up > 0 && down > 0)) return n.NAN
    if (up > 0) return n.INFINITY
    if (down > 0) return n.NEGATIVE_INFINITY
    const scale = this.#shownScale()
    return n.numeric(n.truncate(this.#sum, this.#scale, scale), scale)
  }

  /** Variance or deviation of the sample or of the whole population. */
  spread(sample: boolean, root: boolean): Numeric | null {
    if (this.count <= (sample ? 1 : 0)) return null
    if (this.isSpecial()) return n.NAN
    const scale = this.#shownScale()
    const rows = BigInt(this.count)
    const exact = rows * this.#squares - this.#sum * this.#sum
    if (exact <= 0n) return n.ZERO
    const numerator = new Numeric(n.truncate(exact, 2 * this.#scale, 2 * scale), 2 * scale)
    const denominator = new Numeric(sample ? rows * (rows - 1n) : rows * rows, 0)
    const resultScale = n.divisionScale(numerator, denominator)
    const variance = n.divideAt(numerator, denominator, resultScale, true)
    return root ? rootAt(variance, resultScale) : variance
  }
}

function moments(needsSquares: boolean, final: (state: Moments) => Value): AggregateBody<Moments> {
  return {
    strict: true,
    bind: () => ({
      init: () => new Moments(needsSquares),
      step(state, value: Numeric | Int64) {
        state.put(value instanceof Numeric ? value : new Numeric(BigInt(value), 0), 1)
        return state
      },
      inverse(state, value: Numeric | Int64) {
        state.put(value instanceof Numeric ? value : new Numeric(BigInt(value), 0), -1)
        return state
      },
      final,
    }),
  }
}

const numericSum = moments(false, (m) => (m.count === 0 ? null : m.sum()))
const numericAverage = moments(false, (m) => (m.count === 0 ? null : n.divide(m.sum(), n.fromInteger(m.count))))

interface FloatState {
  count: number
  sum: number
  /** The sum of squared distances from the mean, kept up to date (Youngs and Cramer). */
  squares: number
}

const isFiniteNumber = (a: number): boolean => a - a === 0

function addFloat(state: FloatState, value: number): FloatState {
  const before = state.count
  const sumBefore = state.sum
  state.count++
  state.sum += value
  if (before > 0) {
    const distance = value * state.count - state.sum
    state.squares += (distance * distance) / (state.count * before)
    if (Math.abs(state.sum) === Infinity || state.squares === Infinity) {
      if (Math.abs(sumBefore) !== Infinity && Math.abs(value) !== Infinity) throw overflow()
      state.squares = NaN
    }
  } else if (!isFiniteNumber(value)) state.squares = NaN
  return state
}

function floatMoments(final: (state: FloatState) => Value): AggregateBody<FloatState> {
  return { strict: true, bind: () => ({ init: () => ({ count: 0, sum: 0, squares: 0 }), step: addFloat, final }) }
}

const floatAverage = floatMoments((s) => (s.count === 0 ? null : s.sum / s.count))
const addFloat8 = (a: number, b: number): number => checkedSum(a + b, a, b)
const addFloat4 = (a: number, b: number): number => checkedSum(Math.fround(a + b), a, b)
function checkedSum(sum: number, a: number, b: number): number {
  if (Math.abs(sum) === Infinity && isFiniteNumber(a) && isFiniteNumber(b)) throw overflow()
  return sum
}

interface PairState {
  count: number
  x: number
  xx: number
  y: number
  yy: number
  xy: number
}

/** One pair of a regression: PostgreSQL passes the dependent variable first. */
function addPair(s: PairState, y: number, x: number): PairState {
  const before = s.count
  const xBefore = s.x
  const yBefore = s.y
  s.count++
  s.x += x
  s.y += y
  if (before === 0) {
    if (!isFiniteNumber(x)) s.xx = s.xy = NaN
    if (!isFiniteNumber(y)) s.yy = s.xy = NaN
    return s
  }
  const dx = x * s.count - s.x
  const dy = y * s.count - s.y
  const scale = 1 / (s.count * before)
  s.xx += dx * dx * scale
  s.yy += dy * dy * scale
  s.xy += dx * dy * scale
  const infinite = (a: number): boolean => a === Infinity || a === -Infinity
  if (infinite(s.x) || infinite(s.xx) || infinite(s.y) || infinite(s.yy) || infinite(s.xy)) {
    const xWasFinite = !infinite(xBefore) && !infinite(x)
    const yWasFinite = !infinite(yBefore) && !infinite(y)
    if ((infinite(s.x) || infinite(s.xx)) && xWasFinite) throw overflow()
    if ((infinite(s.y) || infinite(s.yy)) && yWasFinite) throw overflow()
    if (infinite(s.xy) && xWasFinite && yWasFinite) throw overflow()
    if (infinite(s.xx)) s.xx = NaN
    if (infinite(s.yy)) s.yy = NaN
    if (infinite(s.xy)) s.xy = NaN
  }
  return s
}

function regression(rowsMin: number, final: (s: PairState) => number | null): AggregateBody<PairState> {
  return {
    strict: true,
    bind: () => ({
      init: () => ({ count: 0, x: 0, xx: 0, y: 0, yy: 0, xy: 0 }),
      step: addPair,
      final: (s) => (s.count < rowsMin ? null : final(s)),
    }),
  }
}

const PAIR = '(float8,float8)'
const REGRESSIONS: AggregateTable = {
  [`regr_count${PAIR}`]: regression(0, (s) => s.count),
  [`regr_sxx${PAIR}`]: regression(1, (s) => s.xx),
  [`regr_syy${PAIR}`]: regression(1, (s) => s.yy),
  [`regr_sxy${PAIR}`]: regression(1, (s) => s.xy),
  [`regr_avgx${PAIR}`]: regression(1, (s) => s.x / s.count),
  [`regr_avgy${PAIR}`]: regression(1, (s) => s.y / s.count),
  [`regr_r2${PAIR}`]: regression(1, (s) => (s.xx === 0 ? null : s.yy === 0 ? 1 : (s.xy * s.xy) / (s.xx * s.yy))),
  [`regr_slope${PAIR}`]: regression(1, (s) => (s.xx === 0 ? null : s.xy / s.xx)),
  [`regr_intercept${PAIR}`]: regression(1, (s) => (s.xx === 0 ? null : (s.y - (s.x * s.xy) / s.xx) / s.count)),
  [`covar_pop${PAIR}`]: regression(1, (s) => s.xy / s.count),
  [`covar_samp${PAIR}`]: regression(2, (s) => s.xy / (s.count - 1)),
  [`corr${PAIR}`]: regression(1, (s) => (s.xx === 0 || s.yy === 0 ? null : s.xy / Math.sqrt(s.xx * s.yy))),
}

/** Names of the spreads: sample or population, variance or its root. */
const SPREADS: readonly (readonly [name: string, sample: boolean, root: boolean])[] = [
  ['var_samp', true, false],
  ['variance', true, false],
  ['var_pop', false, false],
  ['stddev_samp', true, true],
  ['stddev', true, true],
  ['stddev_pop', false, true],
]

function spreads(): AggregateTable {
  const table: Record<string, AggregateBody> = {}
  for (const [name, sample, root] of SPREADS) {
    const exact = moments(true, (m) => m.spread(sample, root))
    const float = floatMoments((s) => {
      if (s.count <= (sample ? 1 : 0)) return null
      const variance = s.squares / (sample ? s.count - 1 : s.count)
      return root ? Math.sqrt(variance) : variance
    })
    for (const type of ['int2', 'int4', 'int8', 'numeric']) table[`${name}(${type})`] = exact
    for (const type of ['float4', 'float8']) table[`${name}(${type})`] = float
  }
  return table
}

function bitwise(): AggregateTable {
  const table: Record<string, AggregateBody> = {}
  for (const type of ['int2', 'int4', 'int8']) {
    table[`bit_and(${type})`] = fold(int.int8and)
    table[`bit_or(${type})`] = fold(int.int8or)
    table[`bit_xor(${type})`] = fold(int.int8xor)
  }
  return table
}

export const NUMBER_AGGREGATES: AggregateTable = {
  'count()': count,
  'count(any)': count,
  'sum(int2)': sumAsInt8,
  'sum(int4)': sumAsInt8,
  'sum(int8)': sumAsNumeric,
  'sum(float4)': fold(addFloat4),
  'sum(float8)': fold(addFloat8),
  'sum(numeric)': numericSum,
  'avg(int2)': integerAverage,
  'avg(int4)': integerAverage,
  'avg(int8)': integerAverage,
  'avg(float4)': floatAverage,
  'avg(float8)': floatAverage,
  'avg(numeric)': numericAverage,
  ...extremes('int2', compareNative),
  ...extremes('int4', compareNative),
  ...extremes('int8', compareNative),
  ...extremes('float4', compareFloat),
  ...extremes('float8', compareFloat),
  ...extremes('numeric', n.compare),
  ...bitwise(),
  ...spreads(),
  ...REGRESSIONS,
}
