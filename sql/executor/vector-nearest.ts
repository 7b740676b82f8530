/** Rows found so far, the nearest to be taken first. A row is the output row with its key at the end: […columns, distance, key]. */
import type { MutableRow } from './operator.ts'

export class Nearest {
  #rows: MutableRow[] = []
  #sorted = true
  readonly #compare: (a: MutableRow, b: MutableRow) => number

  /** `at`: where the distance stands. */
  constructor(at: number) {
    this.#compare = (a, b) => compareDistances(a[at] as number, b[at] as number)
  }

  get count(): number {
    return this.#rows.length
  }

  add(row: MutableRow): void {
    const last = this.#rows.at(-1)
    if (last !== undefined && this.#sorted) this.#sorted = this.#compare(last, row) <= 0
    this.#rows.push(row)
  }

  /** Takes the nearest `count` out, in order. Rows of equal distance keep the order they were found in. */
  take(count: number): MutableRow[] {
    if (!this.#sorted) this.#rows.sort(this.#compare)
    this.#sorted = true
    if (count >= this.#rows.length) {
      const all = this.#rows
      this.#rows = []
      return all
    }
    return this.#rows.splice(0, count)
  }

  clear(): void {
    this.#rows = []
    this.#sorted = true
  }
}

/** As float8 is ordered: NaN is greater than every number. */
export const compareDistances = (x: number, y: number): number =>
  x < y ? -1 : x > y ? 1 : x === y ? 0 : (Number.isNaN(x) ? 1 : 0) - (Number.isNaN(y) ? 1 : 0)
