/**
 * Commits with very many entries, which are taken over in slices after they have become visible, and what was committed
 * behind them. Until that is done the index answers only snapshots from before the oldest of them.
 */
import type { Timestamp } from '../../storage/keys/brand.ts'
import type { Changes, KeptChanges } from '../../storage/kv/kv.ts'
import { Slices, turn } from './slices.ts'

/** More entries in one commit, or more elements, are not taken over at once: a millisecond's work. */
const AT_ONCE = 512
const ELEMENTS_AT_ONCE = 1 << 18
/** Entries between two looks at the clock. */
const STEP = 32

interface Commit {
  readonly at: Timestamp
  readonly changes: KeptChanges
  readonly most: number
}

export class Backlog {
  readonly #atOnce: number
  readonly #step: number
  readonly #commits: Commit[] = []
  #isDraining = false

  constructor(dimensions: number) {
    this.#atOnce = Math.max(1, Math.min(AT_ONCE, Math.floor(ELEMENTS_AT_ONCE / Math.max(1, dimensions))))
    this.#step = Math.min(STEP, this.#atOnce)
  }

  /** Snapshots from here on are not to be served; undefined: all are. */
  get from(): Timestamp | undefined {
    return this.#commits[0]?.at
  }

  /** Entries that wait, at most. */
  get size(): number {
    return this.#commits.reduce((sum, { most }) => sum + most, 0)
  }

  /** Whether the commit is to wait here: it is large, or others are before it. */
  takes(at: Timestamp, changes: Changes): boolean {
    if (this.#commits.length === 0 && changes.most <= this.#atOnce) return false
    this.#commits.push({ at, changes: changes.keep(), most: changes.most })
    return true
  }

  /** Applies what waits, with turns of the event loop between slices; `sliced` is called after each. One at a time. */
  async drain(
    apply: (at: Timestamp, key: string, value: Uint8Array | undefined) => void,
    sliced: () => boolean,
  ): Promise<void> {
    if (this.#isDraining) return
    this.#isDraining = true
    try {
      for (let head = this.#commits[0]; head !== undefined; head = this.#commits[0]) {
        const { at, changes } = head
        await turn()
        if (!sliced()) return
        const slices = new Slices()
        let more = true
        while (more && !slices.isOver) more = changes.next(this.#step, (key, value) => apply(at, key, value))
        if (!more) this.#commits.shift()
      }
      sliced()
    } finally {
      this.#isDraining = false
    }
  }
}
