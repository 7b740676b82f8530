/** generate_series over int4, int8 and numeric: lazy, so that LIMIT stops it. */
import { sqlError } from '../error.ts'
import { type FunctionTable, set } from '../function.ts'
import type { Int64, Numeric, Value } from '../value.ts'
import * as n from './numeric.ts'

const zeroStep = () => sqlError('22023', 'step size cannot equal zero')
/** Rows between two looks at whether the statement was cancelled. */
const INTERRUPT_ROWS = 8192

function* numbers(from: number, to: number, step: number, check: () => void): Generator<number> {
  let rows = 0
  for (let i = from; step > 0 ? i <= to : i >= to; i += step) {
    if (++rows % INTERRUPT_ROWS === 0) check()
    yield i
  }
}

/** Stays in plain numbers when every element is a safe integer. */
function* bigints(from: Int64, to: Int64, step: Int64, check: () => void): Generator<Int64> {
  if (typeof from === 'number' && typeof to === 'number' && typeof step === 'number') {
    if (Number.isSafeInteger(to + step) && Number.isSafeInteger(from + step)) {
      yield* numbers(from, to, step, check)
      return
    }
  }
  const last = BigInt(to)
  const by = BigInt(step)
  let rows = 0
  for (let i = BigInt(from); by > 0n ? i <= last : i >= last; i += by) {
    if (++rows % INTERRUPT_ROWS === 0) check()
    yield i <= BigInt(Number.MAX_SAFE_INTEGER) && i >= -BigInt(Number.MAX_SAFE_INTEGER) ? Number(i) : i
  }
}

function* numerics(from: Numeric, to: Numeric, step: Numeric, check: () => void): Generator<Numeric> {
  let rows = 0
  const up = n.sign(step) > 0
  if (up ? n.compare(from, to) > 0 : n.compare(from, to) < 0) return
  for (let i = from; ; i = n.add(i, step)) {
    if (++rows % INTERRUPT_ROWS === 0) check()
    yield i
    // The one after the last may be more than a numeric holds.
    const rest = n.compare(n.subtract(to, i), step)
    if (up ? rest < 0 : rest > 0) return
  }
}

function requireFinite(value: Numeric, what: string): void {
  if (value.special === 'NaN') throw sqlError('22023', `${what} cannot be NaN`)
  if (value.special !== undefined) throw sqlError('22023', `${what} cannot be infinity`)
}

type Series<T extends Value> = (from: T, to: T, step: T, check: () => void) => Iterable<T>

/** The two and the three argument form of one series. */
function forms<T extends Value>(name: string, one: T, series: Series<T>): FunctionTable {
  return {
    [`generate_series_${name}`]: set(
      (call) => (from: T, to: T) => series(from, to, one, () => call.context.checkInterrupts()),
    ),
    [`generate_series_step_${name}`]: set(
      (call) => (from: T, to: T, step: T) => series(from, to, step, () => call.context.checkInterrupts()),
    ),
  }
}

export const SERIES_FUNCTIONS: FunctionTable = {
  ...forms<number>('int4', 1, (from, to, step, check) => {
    if (step === 0) throw zeroStep()
    return numbers(from, to, step, check)
  }),
  ...forms<Int64>('int8', 1, (from, to, step, check) => {
    if (step === 0) throw zeroStep()
    return bigints(from, to, step, check)
  }),
  ...forms<Numeric>('numeric', n.ONE, (from, to, step, check) => {
    requireFinite(from, 'start value')
    requireFinite(to, 'stop value')
    requireFinite(step, 'step size')
    if (step.digits === 0n) throw zeroStep()
    return numerics(from, to, step, check)
  }),
}
