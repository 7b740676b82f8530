/**
 * Evaluating a batch row by row without keeping others waiting: after a row, or after a few while rows are quick, there is
 * a look at the time slice, and a subquery that runs inside a row's expression may stop there too:
 *
 *     row → subquery runs → slice over → it throws SLICE_OVER, keeping what it has    → the operator yields the pause
 *         → the row again → the subquery goes on where it stopped → value
 */
import type { Row } from '../types/value.ts'
import { BATCH_ROWS, type Execution, Pause, SLICE_OVER, type Step, type Steps } from './operator.ts'

/** In an execution's `kept`: true while a subquery runs that has to answer at once. What could wait takes another way. */
export const MUST_NOT_WAIT = Symbol('must not wait')

/** Rows between two looks, at most. */
const ROWS_MAX = 64
/** Milliseconds between looks that are short enough to look less often, and too long. */
const SHORT_MS = 0.05
const LONG_MS = 0.5

export class Pace {
  #left = 1
  #stride = 1
  #last = 0
  readonly #x: Execution
  constructor(x: Execution) {
    this.#x = x
  }
  /** After a row: true when the slice is over. */
  over(): boolean {
    if (--this.#left > 0) return false
    const now = performance.now()
    const passed = now - this.#last
    this.#last = now
    if (passed > LONG_MS) this.#stride = 1
    else if (passed < SHORT_MS && this.#stride < ROWS_MAX) this.#stride *= 2
    this.#left = this.#stride
    return this.#x.sliceOver()
  }
}

/** How far a batch has come. */
export interface Stretch {
  /** The next row. */
  at: number
  /** What a row threw: its error comes when the rows before it are handed on. */
  failed: { readonly error: unknown } | undefined
}

/** Calls `each` for the rows from `stretch.at` on. False: the slice is over, there are more. */
export function paced(x: Execution, pace: Pace, count: number, stretch: Stretch, each: (i: number) => void): boolean {
  const before = x.mayPause
  x.mayPause = true
  try {
    while (stretch.at < count) {
      each(stretch.at)
      stretch.at++
      if (pace.over()) return stretch.at >= count
    }
  } catch (error) {
    if (error === SLICE_OVER) return false
    stretch.failed = { error }
  } finally {
    x.mayPause = before
  }
  return true
}

/** The value for one row; undefined: the slice is over, it is to be asked again. */
export function repeatable<T>(x: Execution, evaluate: (row: Row) => T, row: Row): T | undefined {
  const before = x.mayPause
  x.mayPause = true
  try {
    return evaluate(row)
  } catch (error) {
    if (error === SLICE_OVER) return undefined
    throw error
  } finally {
    x.mayPause = before
  }
}

/** Batches cut so that working one off takes no longer than a stretch should. */
export class Bites {
  #rows: number
  #began: number
  constructor() {
    this.#rows = FIRST_BITE
    this.#began = 0
  }

  *cut(steps: Iterable<Step>): Steps {
    for (const step of steps) {
      if (step instanceof Pause) {
        yield step
        continue
      }
      for (let from = 0; from < step.length; ) {
        const to = Math.min(step.length, from + this.#rows)
        this.#began = performance.now()
        yield from === 0 && to === step.length ? step : step.slice(from, to)
        from = to
      }
    }
  }
  /** The batch is worked off. */
  done(): void {
    this.#rows = nextRows(this.#rows, performance.now() - this.#began)
  }
}

const FIRST_BITE = 128
/** What takes so long, in milliseconds, is too long for one stretch; below the other its size may grow. */
const STRETCH_LONG_MS = 2
const STRETCH_SHORT_MS = 0.7

/** How many rows to take at once after `rows` took `ms`. */
export function nextRows(rows: number, ms: number): number {
  if (ms < STRETCH_SHORT_MS) return Math.min(BATCH_ROWS, rows * 4)
  return ms > STRETCH_LONG_MS ? Math.max(1, Math.floor(rows / ms)) : rows
}
