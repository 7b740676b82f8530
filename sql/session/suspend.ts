/**
 * Functions that must wait (pg_sleep, pg_advisory_lock). Expressions are evaluated synchronously, so such a function throws
 * Suspend; the session waits for its promise and runs the statement again, in which the calls that have waited already
 * answer at once. Statements that may suspend hold back their rows until the end.
 */
export class Suspend extends Error {
  readonly promise: Promise<unknown>
  constructor(promise: Promise<unknown>) {
    super('suspended')
    this.promise = promise
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
  call(start: () => unknown): unknown {
    if (this.#next < this.#results.length) return this.#results[this.#next++]
    const value = start()
    if (value instanceof Promise) {
      throw new Suspend(
        value.then((result) => {
          this.#results.push(result)
        }),
      )
    }
    this.#results.push(value)
    this.#next++
    return value
  }
}
