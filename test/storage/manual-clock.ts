/** A clock that moves only when told: timers run in order of their time, and a script or a seed repeats exactly. */
import { type Clock, EPOCH_MS } from '../../storage/keys/clock.ts'

export interface ManualClock extends Clock {
  /** Moves on, running what falls due on the way. */
  advance(milliseconds: number): void
  /** Sets the wall clock, forward or back, without running timers. */
  setWall(ms: number): void
}

export function manualClock(startMs = EPOCH_MS + 1000, random: () => number = () => 0.5): ManualClock {
  let elapsed = 0
  let offset = startMs
  let timers: { readonly at: number; readonly number: number; readonly then: () => void }[] = []
  let numbers = 0
  return {
    now: () => offset + elapsed,
    after(milliseconds, then) {
      const timer = { at: elapsed + milliseconds, number: numbers++, then }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    random,
    advance(milliseconds) {
      const end = elapsed + milliseconds
      for (;;) {
        const [next] = timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at || a.number - b.number)
        if (next === undefined) break
        timers = timers.filter((timer) => timer !== next)
        elapsed = Math.max(elapsed, next.at)
        next.then()
      }
      elapsed = end
    },
    setWall(ms) {
      offset = ms - elapsed
    },
  }
}
