/**
 * How a session waits: for its next time slice, a row lock, a slow client, a timer. Every wait can be ended from outside:
 * a cancel or a terminate wakes whoever waits, who then throws what `checkInterrupts` throws.
 */
import type { Kv } from '../../storage/kv/kv.ts'
import { Pause, SLICE_OVER } from '../executor/operator.ts'
import { setDeadline } from '../types/deadline.ts'
import { nextSlice, startSlice } from './scheduler.ts'
import type { MaybePromise } from './session.ts'
import type { Wait } from './suspend.ts'

interface WaitHost {
  readonly kv: Kv
  readonly pid: number
  readonly isInterrupted: boolean
  /** When its statement is to end. */
  readonly deadline: number
  checkInterrupts(): void
}

export class Waits {
  /** What is waited for now, for pg_stat_activity. */
  waiting: Wait | undefined
  readonly #host: WaitHost
  #wake: (() => void) | undefined

  constructor(host: WaitHost) {
    this.#host = host
  }

  /** Ends the present wait, if there is one. */
  wake(): void {
    this.#wake?.()
  }

  /** The slice is over: resolves in the next one, or rejects when the statement is to end. */
  turn(): Promise<void> {
    const { promise, hurry } = nextSlice()
    this.#wake = hurry
    return promise.then(() => {
      if (this.#wake === hurry) this.#wake = undefined
      setDeadline(this.#host.deadline)
      this.#host.checkInterrupts()
    })
  }

  pause(pause: Pause): Promise<void> {
    if (pause === SLICE_OVER || pause.promise === undefined) return this.turn()
    return this.interruptible(pause.promise, 'Lock').then(() => {
      startSlice()
      setDeadline(this.#host.deadline)
    })
  }

  /** Runs a generator to its end, waiting where it pauses; whatever else it yields is dropped. Gives what it returns. */
  drive<T>(steps: Generator<unknown, T, undefined>): MaybePromise<T> {
    for (;;) {
      const step = steps.next()
      if (step.done) return step.value
      if (step.value instanceof Pause) {
        return this.pause(step.value).then(
          () => this.drive(steps),
          (error: unknown) => {
            steps.return(undefined as never)
            throw error
          },
        )
      }
    }
  }

  /** Waits for a promise, or for a cancel. */
  interruptible<T>(promise: Promise<T>, wait: Wait | undefined): Promise<T> {
    this.waiting = wait
    return new Promise<T>((resolve, reject) => {
      const woken = (): void => {
        if (wait === 'Lock') {
          this.#host.kv.cancelWaits(this.#host.pid)
          return
        }
        try {
          this.#host.checkInterrupts()
        } catch (error) {
          end()
          reject(error as Error)
        }
      }
      this.#wake = woken
      const end = (): void => {
        this.waiting = undefined
        if (this.#wake === woken) this.#wake = undefined
      }
      promise.then(
        (value) => {
          end()
          resolve(value)
        },
        (error: unknown) => {
          end()
          try {
            this.#host.checkInterrupts()
            reject(error as Error)
          } catch (interrupt) {
            reject(interrupt as Error)
          }
        },
      )
      // It may have come before this wait.
      if (this.#host.isInterrupted) woken()
    })
  }
}
