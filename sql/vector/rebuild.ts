/**
 * A new graph of an index's live slots, made beside the old one, which goes on serving. What changes there meanwhile is noted and
 * done here too, when the copy is linked; then both change places.
 *
 *     old   0 1 2 3 4 5 6 7 | 8 9      slots that were there, slots appended since
 *     new   0   1   2 3   4 | 5 6      `slotOf`: old slot → new slot, -1 for what was dead
 */
import type { BuildProgress } from './build-progress.ts'
import { Slices } from './slices.ts'
import type { Slots } from './slots.ts'

/** Slots copied between two looks at the clock. */
const COPIED_AT_ONCE = 16

export interface RebuildOptions {
  readonly progress: BuildProgress
  empty(): Slots
  isOver(): boolean
  /** While the old one's slots are being linked: both graphs must have the same tail. */
  linking(): Promise<void> | undefined
}

export class Rebuild {
  readonly #from: Slots
  readonly #options: RebuildOptions
  readonly #changes: (() => void)[] = []
  readonly #copied: Int32Array
  readonly #later = new Map<number, number>()
  #to: Slots | undefined

  constructor(from: Slots, options: RebuildOptions) {
    this.#from = from
    this.#options = options
    this.#copied = new Int32Array(from.graph.slots).fill(-1)
  }

  /** The old graph has a new slot. */
  appended(slot: number, name: string, packed: Uint8Array, created: number): void {
    // It may be written again before it is this one's turn.
    const kept = Uint8Array.from(packed)
    this.#changes.push(() => void this.#later.set(slot, this.#to!.append(name, kept, created)))
  }

  deleted(slot: number, at: number): void {
    this.#changes.push(() => {
      const there = this.#slotOf(slot)
      if (there >= 0) this.#to!.markDeleted(there, at)
    })
  }

  replaced(slot: number, older: number): void {
    this.#changes.push(() => {
      const before = this.#slotOf(older)
      if (before >= 0) this.#to!.older.set(this.#slotOf(slot), before)
    })
  }

  #slotOf(slot: number): number {
    return this.#later.get(slot) ?? this.#copied[slot] ?? -1
  }

  /** `copied` is called when the live slots are copied, `swap` when the new ones are as the old ones: from then on it is told nothing more. */
  async run(copied: () => void, swap: (to: Slots) => void): Promise<void> {
    const to = this.#options.empty()
    this.#to = to
    let isDone = false
    try {
      isDone = (await this.#copy(to)) && (await this.#link(to, copied)) && (await this.#follow(() => swap(to)))
    } finally {
      if (!isDone) to.graph.close()
    }
  }

  async #copy(to: Slots): Promise<boolean> {
    const { graph, keys } = this.#from
    const slices = new Slices()
    for (let slot = 0; slot < this.#copied.length; slot++) {
      if (keys.has(slot) && graph.deleted(slot) === Infinity)
        this.#copied[slot] = to.append(keys.key(slot), graph.vector(slot), graph.created(slot))
      if (slot % COPIED_AT_ONCE !== 0 || !slices.isOver) continue
      await slices.next()
      if (this.#options.isOver()) return false
    }
    return true
  }

  async #link(to: Slots, copied: () => void): Promise<boolean> {
    const { progress } = this.#options
    copied()
    const slots = to.graph.slots
    progress.linking(slots)
    await to.graph.linkAll(0, slots, (done) => {
      progress.blocksDone = done
    })
    to.linked = slots
    return !this.#options.isOver()
  }

  async #follow(done: () => void): Promise<boolean> {
    const slices = new Slices()
    for (let next = 0; next < this.#changes.length || this.#options.linking() !== undefined; ) {
      while (next < this.#changes.length && !slices.isOver) this.#changes[next++]!()
      await this.#options.linking()
      await slices.next()
      if (this.#options.isOver()) return false
    }
    done()
    return true
  }
}
