/**
 * Fair time: a statement runs for a slice; when it is over it goes to the end of the queue, and each turn of the event loop
 * gives the queue a budget before sockets, timers and cancels are served again.
 *
 *     sliceOver() … yield SLICE_OVER → driver awaits nextSlice() → resumed with a fresh slice
 */
const SLICE_MS = 2
/** Work a turn of the event loop does for queued statements before I/O. */
const TURN_MS = 8
/** How often `sliceOver` looks at the clock. */
const CALLS_PER_LOOK = 8

const queue: (() => void)[] = []
let armed = false
let sliceEnds = 0
let calls = 0

/** A fresh slice for whatever statement runs now. */
export function startSlice(): void {
  sliceEnds = performance.now() + SLICE_MS
  calls = 0
}

export function sliceOver(): boolean {
  if (++calls < CALLS_PER_LOOK) return false
  calls = 0
  return performance.now() > sliceEnds
}

/** Resolves in this statement's next slice. */
export function nextSlice(): Promise<void> {
  return new Promise((resolve) => {
    queue.push(() => {
      startSlice()
      resolve()
    })
    arm()
  })
}

function arm(): void {
  if (armed) return
  armed = true
  setImmediate(turn)
}

function turn(): void {
  armed = false
  const end = performance.now() + TURN_MS
  const step = (): void => {
    const next = queue.shift()
    if (next === undefined) return
    next()
    // The statement runs in the microtask of its promise; look at the clock after it.
    if (queue.length > 0) {
      queueMicrotask(() =>
        queueMicrotask(() => {
          if (performance.now() < end) step()
          else arm()
        }),
      )
    }
  }
  step()
}
