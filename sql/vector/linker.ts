/**
 * The linker moves the tail of an index into its graph: a few slots in this thread, many in the threads of the graphs. It works
 * when enough wait, or when nothing has come for a while.
 *
 *     want() → few: after LINK_AFTER_MS ─┐
 *            → many: at once ────────────┴→ link until what is there is linked → want() … → nothing waits: rests()
 */
import type { BuildProgress } from './build-progress.ts'
import { Slices } from './slices.ts'
import type { Slots } from './slots.ts'

/** So many entries in the tail are linked at once; fewer when nothing has come for LINK_AFTER_MS. */
const LINK_AT = 256
const LINK_AFTER_MS = 50
/** So few slots are linked in this thread: to wake others takes longer. */
const LINKED_HERE = 64

export interface LinkerOptions {
  readonly progress: BuildProgress
  /** Those of now. */
  slots(): Slots
  /** Whether the tail may be linked now. */
  isReady(): boolean
  isOver(): boolean
  /** Slots were linked. */
  linked(): void
  /** Nothing waits to be linked. */
  rests(): void
  failed(error: unknown): void
}

export class Linker {
  readonly #options: LinkerOptions
  #linking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: LinkerOptions) {
    this.#options = options
  }

  /** While slots are being linked. */
  get work(): Promise<void> | undefined {
    return this.#linking?.catch(() => undefined)
  }

  /** Something may be waiting. */
  want(): void {
    if (!this.#options.isReady() || this.#linking !== undefined) return
    const waiting = this.#options.slots().tail
    if (waiting <= 0) this.#options.rests()
    else if (waiting >= LINK_AT) this.#soon()
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        this.#soon()
      }, LINK_AFTER_MS)
      this.#timer.unref()
    }
  }

  #soon(): void {
    this.all().catch((error: unknown) => this.#options.failed(error))
  }

  /** Links what is there now, unless that is being done. */
  async all(): Promise<void> {
    if (this.#linking !== undefined || this.#options.isOver()) return
    const { progress } = this.#options
    const slots = this.#options.slots()
    const began = performance.now()
    const many = slots.tail >= LINK_AT * 4
    if (many) progress.linking(slots.graph.slots)
    await this.until(slots.graph.slots)
    if (many) progress.built(began)
    this.#options.linked()
    this.want()
  }

  /** Links the tail up to a slot. */
  async until(until: number): Promise<void> {
    const { progress } = this.#options
    const slots = this.#options.slots()
    const { linked } = slots
    const done = (count: number) => {
      progress.blocksDone = linked + count
    }
    this.#linking = until - linked <= LINKED_HERE ? this.#here(slots, until) : slots.graph.linkAll(linked, until, done)
    try {
      await this.#linking
      slots.linked = until
    } finally {
      this.#linking = undefined
    }
  }

  async #here({ graph, keys, linked }: Slots, until: number): Promise<void> {
    const slices = new Slices()
    for (let slot = linked; slot < until; slot++) {
      if (keys.has(slot)) graph.link(slot)
      if (!slices.isOver) continue
      await slices.next()
      if (this.#options.isOver()) return
    }
  }

  close(): void {
    clearTimeout(this.#timer)
  }
}
