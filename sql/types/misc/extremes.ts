/** min and max of any ordered type, and other aggregates that fold values of one type into one of them. */
import type { AggregateBody, AggregateTable } from '../function.ts'
import type { Value } from '../value.ts'

/** Strict: null until the first value, then `combine` of what there is and the next. */
export function fold<T extends Value>(combine: (state: T, value: T) => T): AggregateBody<T | null> {
  const steps = {
    init: () => null,
    step: (state: T | null, value: T) => (state === null ? value : combine(state, value)),
    final: (state: T | null) => state as Value,
  }
  return { strict: true, bind: () => steps }
}

/** min(type) and max(type) by a compare function; of equals the first stays. */
export function extremes<T extends Value>(type: string, compare: (a: T, b: T) => number): AggregateTable {
  return {
    [`min(${type})`]: fold<T>((a, b) => (compare(b, a) < 0 ? b : a)),
    [`max(${type})`]: fold<T>((a, b) => (compare(b, a) > 0 ? b : a)),
  }
}
