/**
 * Fair time: a statement runs for a slice; when it is over it goes to the end of the queue, and each turn of the event loop
 * gives the queue a budget before sockets, timers and cancels are served again.
 *
 *     sliceOver() … yield SLICE_OVER → driver awaits nextSlice() → resumed with a fresh slice
 */
const SLICE_MS = 2
/** Work a turn of the event loop does for queued statements before I/O. */
const TURN_MS = 5
/** When sockets' statements have had so long in one turn, those that ask (`crowded`) go to the queue: what is short goes before them. */
const CROWD_MS = 1
/** At most so many calls of `sliceOver` go by between two looks at the clock; fewer where each stands for much work. */
const CALLS_PER_LOOK = 16
/** Time between looks that is short enough to look less often, and too long. */
const SHORT_MS = 0.05
const LONG_MS = 0.4

const queue: (() => void)[] = []
let armed = false
let sliceEnds = 0
let lastLook = 0
let stride = 4
let callsLeft = stride

/** A fresh slice for whatever statement runs now. */
export function startSlice(): void {
  lastLook = performance.now()
  sliceEnds = lastLook + SLICE_MS
  callsLeft = stride = 4
}

export function sliceOver(): boolean {
  if (--callsLeft > 0) return false
  const now = performance.now()
  const passed = now - lastLook
  if (passed > LONG_MS) stride = 1
  else if (passed < SHORT_MS && stride < CALLS_PER_LOOK) stride *= 2
  lastLook = now
  callsLeft = stride
  return now > sliceEnds
}

let turnBegan = Number.POSITIVE_INFINITY

/** Whether this turn of the event loop has been serving those who ask this for some time: it is better to wait in the queue. */
export function crowded(): boolean {
  const now = performance.now()
  if (turnBegan === Number.POSITIVE_INFINITY) {
    turnBegan = now
    setImmediate(() => {
      turnBegan = Number.POSITIVE_INFINITY
    })
    return false
  }
  return now - turnBegan > CROWD_MS
}

/** A place in the queue. */
export interface Turn {
  /** Resolves in this statement's next slice. */
  readonly promise: Promise<void>
  /** A statement that is to end does not wait for its turn. */
  hurry(): void
}
export function nextSlice(): Turn {
  let hurry = (): void => {}
  const promise = new Promise<void>((resolve) => {
    let waits = true
    hurry = () => {
      if (!waits) return
      waits = false
      startSlice()
      resolve()
    }
    queue.push(hurry)
    arm()
  })
  return { promise, hurry }
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
