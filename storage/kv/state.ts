/**
 * Unversioned state outside of transactions: the positions of sequences. A put is read back at once, goes into the next
 * batch whoever commits it, and is durable with that batch.
 *
 *     put -> waiting -> in a batch -> durable, and forgotten here: the engine has it
 */
import type { Batch, Engine } from '../engine/engine.ts'
import type { Key } from '../keys/brand.ts'

interface Change {
  /** undefined: deleted. */
  readonly value: Buffer | undefined
  readonly number: number
}

export class UnversionedState {
  readonly #engine: Engine
  /** Changes that the engine may not have yet, by key. */
  readonly #recent = new Map<Key, Change>()
  /** Those of them that are in no batch. */
  readonly #waiting = new Set<Key>()
  #changes = 0
  #durable = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  get(key: Key): Buffer | undefined {
    const change = this.#recent.get(key)
    return change === undefined ? this.#engine.getRaw('state', key) : change.value
  }

  set(key: Key, value: Uint8Array | undefined): void {
    this.#recent.set(key, { value: value && Buffer.from(value), number: ++this.#changes })
    this.#waiting.add(key)
  }

  /** Number of changes so far: what happened until now is durable once `isDurable` says so of this number. */
  get changes(): number {
    return this.#changes
  }

  isDurable(changes: number): boolean {
    return changes <= this.#durable
  }

  get hasWaiting(): boolean {
    return this.#waiting.size > 0
  }

  /** Adds what waits to a batch; give the result to `written` when the batch is durable. */
  addTo(batch: Batch): number {
    for (const key of this.#waiting) {
      const { value } = this.#recent.get(key)!
      if (value === undefined) batch.deleteRaw('state', key)
      else batch.putRaw('state', key, value)
    }
    this.#waiting.clear()
    return this.#changes
  }

  written(changes: number): void {
    if (changes <= this.#durable) return
    this.#durable = changes
    for (const [key, change] of this.#recent) if (change.number <= changes) this.#recent.delete(key)
  }

  /** The batch was not written: its changes wait for the next one. */
  failed(changes: number): void {
    if (changes === 0) return
    for (const [key, change] of this.#recent) if (change.number <= changes) this.#waiting.add(key)
  }
}
