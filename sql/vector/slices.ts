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

export const PAGE_ROWS_MAX = 512
/** Entries of a page, so that copying one is not long: half a megabyte of elements, at most PAGE_ROWS_MAX. */
export const pageRows = (dimensions: number): number =>
  Math.max(1, Math.min(PAGE_ROWS_MAX, Math.floor((1 << 17) / Math.max(1, dimensions))))
