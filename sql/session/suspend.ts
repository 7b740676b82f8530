/**
 * Functions that must wait (pg_sleep, pg_advisory_lock). Expressions are evaluated synchronously, so such a function throws
 * Suspend; the session waits for its promise and runs the statement again, in which the calls that have waited already
 * answer at once. Statements that may suspend hold back their rows until the end.
 */

/** What is waited for: pg_stat_activity's wait_event_type, and how a cancel ends it. */
export type Wait = 'Lock' | 'Client' | 'Timeout'

export class Suspend extends Error {
  readonly promise: Promise<unknown>
  readonly wait: Wait
  constructor(promise: Promise<unknown>, wait: Wait) {
    super('suspended')
    this.promise = promise
    this.wait = wait
  }
}

/** The waits of one statement: their results, in order of the calls. */
export class Suspensions {
  readonly #results: unknown[] = []
  #next = 0

  /** A new run of the statement: calls are counted from the beginning again. */
  rewind(): void {
    this.#next = 0
  }
  get any(): boolean {
    return this.#results.length > 0
  }
  call(start: () => unknown, wait: Wait): unknown {
    if (this.#next < this.#results.length) return this.#results[this.#next++]
    const value = start()
    if (value instanceof Promise) {
      throw new Suspend(
        value.then((result) => {
          this.#results.push(result)
        }),
        wait,
      )
    }
    this.#results.push(value)
    this.#next++
    return value
  }
}
