/**
 * Time and chance, handed in wherever they are needed so that a simulation can own them; and the hybrid-logical clock that
 * names versions. A timestamp follows the wall clock to the millisecond and counts within it; it never repeats and never
 * goes back, whatever the wall clock does.
 *
 *     timestamp = milliseconds since 2020-01-01 UTC × 4096 + counter         safe until the year 2089
 */
import type { Timestamp } from './brand.ts'

export interface Clock {
  /** Wall time, milliseconds since 1970. */
  now(): number
  /** Runs `then` once after so many milliseconds; the result cancels it. Background work does not keep a process alive. */
  after(milliseconds: number, then: () => void, kind?: 'background'): () => void
  /** In [0, 1). */
  random(): number
}

export const systemClock: Clock = {
  now: Date.now,
  after(milliseconds, then, kind) {
    const timer = setTimeout(then, milliseconds)
    if (kind === 'background') timer.unref()
    return () => clearTimeout(timer)
  },
  random: Math.random,
}

export const EPOCH_MS = Date.UTC(2020, 0, 1)
const TICKS = 4096

export interface Timestamps {
  /** Greater than every one given or observed before. */
  next(): Timestamp
  /** The last one given or observed. */
  last(): Timestamp
  /** Another clock, or the store, has been there already. */
  observe(at: Timestamp): void
}

export function createTimestamps(clock: Clock): Timestamps {
  let last = 0
  return {
    next() {
      const wall = (clock.now() - EPOCH_MS) * TICKS
      last = wall > last ? wall : last + 1
      return last as Timestamp
    },
    last: () => last as Timestamp,
    observe(at) {
      if (at > last) last = at
    },
  }
}
