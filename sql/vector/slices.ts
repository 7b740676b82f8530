/** Background work in the thread that serves sessions: some milliseconds at a time, others have their turn between. */

/** So long others wait. */
export const SLICE_MS = 2

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** `await slices.next()` at places where the work may rest; it does so when its time is over. */
export class Slices {
  #since = performance.now()

  get isOver(): boolean {
    return performance.now() - this.#since >= SLICE_MS
  }

  async next(): Promise<void> {
    await turn()
    this.#since = performance.now()
  }
}

/** Entries of a page, so that copying one is not long: half a megabyte of elements, at most 512 rows. */
export const pageRows = (dimensions: number): number =>
  Math.max(1, Math.min(512, Math.floor((1 << 17) / Math.max(1, dimensions))))
