/**
 * Searches of a graph, seen from the thread that owns it. This thread has one context in the memory; the search that was
 * last at work is its owner. When another one wants it, the owner's state is kept as an image (`save` in graph.c) and
 * put back later; the same image is what a worker goes on with when a search takes long.
 *
 *     next() -> enter the context -> run about INLINE_NS -> an answer
 *                                        `-> not yet: image -> a worker runs it to its next answer -> image
 */
import { invariant } from '../../../storage/keys/invariant.ts'
import type { ExactOptions, GraphHits, GraphSearch, GraphSearchOptions, GraphSpec, Slot } from './graph.ts'
import { CONTEXT, CONTEXT_BYTES, type ContextLayout, EFFORT_MAX, HEADER_AT, type Layout, LIST_MAX } from './layout.ts'
import type { GraphPool } from './pool.ts'

/** So long a search may hold this thread; one that is expected to take longer goes to a worker, whose message costs 50 µs. */
const INLINE_NS = 1_500_000
const ALL = 0x7fffffff
/** As in graph.c. */
const NO_SLOT = 0x7fffffff

/** What graph.c exports: `g` is the address of the graph's header, `c` of a context. */
export interface GraphKernel {
  readonly __stack_pointer: { value: number }
  readonly link: (g: number, c: number, slot: Slot) => void
  readonly link_some: (g: number, c: number, until: Slot, count: number) => number
  readonly choose_again: (g: number, c: number, node: Slot, layer: number, list: number, count: number) => void
  readonly stored: (g: number, c: number, slot: Slot) => void
  readonly stored_all: (g: number, c: number, from: number, list: number, count: number, bytes: number) => void
  readonly restored: (
    g: number,
    from: number,
    first: Slot,
    count: number,
    slots: number,
    upper: number,
    upperUsed: number,
  ) => number
  readonly floats_of: (g: number, c: number, slot: Slot) => number
  readonly asked: (g: number, c: number) => void
  readonly begin: (g: number, c: number, without: Slot) => void
  readonly begin_exact: (c: number) => void
  readonly begin_list: (c: number) => void
  readonly end_list: (c: number) => number
  readonly sweep: (g: number, c: number, list: number, until: number, budget: number) => number
  readonly run: (g: number, c: number, budget: number) => number
  readonly save: (c: number) => number
  readonly load: (c: number) => void
}

/** Answers of `run`. */
const MORE = 0
const NOTHING = 2

/** What searches know of their graph. */
export interface Inside {
  readonly spec: GraphSpec
  readonly layout: Layout
  readonly memory: WebAssembly.Memory
  readonly kernel: GraphKernel
  readonly context: ContextLayout
  readonly pool: GraphPool | undefined
  /** Its number in the pool. */
  graph: number
  /** Whose state lies in this thread's context. */
  owner: Resident | undefined
  /** Of the context, in the memory as it was last looked at. */
  words?: Uint32Array | undefined
}

export type Wanted = GraphSearchOptions & { readonly until: Slot; readonly from?: Slot }

/** A search whose state lies in this thread's context, or is kept beside it. */
class Resident {
  readonly inside: Inside
  #image: Uint8Array<ArrayBuffer> | undefined

  constructor(inside: Inside) {
    this.inside = inside
  }

  /** The context is the claimant's; who had it before keeps its state as an image. */
  static claim(inside: Inside, claimant: Resident | undefined): void {
    const { owner } = inside
    if (owner === claimant) return
    if (owner !== undefined) owner.#image = owner.image()
    inside.owner = claimant
  }

  /** The state lies in the context when this returns. */
  enter(): void {
    const image = this.#image
    Resident.claim(this.inside, this)
    if (image === undefined) return
    const { memory, kernel, context } = this.inside
    new Uint8Array(memory.buffer, this.word(CONTEXT.imageAt), image.length).set(image)
    kernel.load(context.at)
    this.#image = undefined
  }

  image(): Uint8Array<ArrayBuffer> {
    const { memory, kernel, context } = this.inside
    const bytes = kernel.save(context.at)
    return new Uint8Array(memory.buffer, this.word(CONTEXT.imageAt), bytes).slice() as Uint8Array<ArrayBuffer>
  }

  /** The state is elsewhere now: in `image`, or (undefined) nowhere. */
  leave(image: Uint8Array<ArrayBuffer> | undefined): void {
    if (this.inside.owner === this) this.inside.owner = undefined
    this.#image = image
  }

  /** The context's words. */
  get #words(): Uint32Array {
    const { inside } = this
    const { buffer } = inside.memory
    if (inside.words?.buffer !== buffer) inside.words = new Uint32Array(buffer, inside.context.at, CONTEXT_BYTES / 4)
    return inside.words
  }

  word(word: number): number {
    return this.#words[word]!
  }

  /** Writes the query and what is wanted into the context. */
  ask(query: Uint8Array, { effort, at = Number.MAX_VALUE, allow, from = 0, until }: Wanted): void {
    const { memory, kernel, context, spec, layout } = this.inside
    this.enter()
    const { buffer } = memory
    const bytes = new Uint8Array(buffer)
    const words = this.#words
    const queryAt = words[CONTEXT.queryAt]!
    const rawAt = spec.element === 'f16' ? words[CONTEXT.decodeAt]! : queryAt
    if (spec.element === 'sparse') {
      bytes.fill(0, rawAt, rawAt + 16)
      new DataView(buffer).setUint32(rawAt, query.length / 8, true)
      bytes.set(query, rawAt + 16)
      words[CONTEXT.queryBytes] = 16 + query.length
    } else {
      invariant(query.length <= layout.vectorBytes, 'a query of other dimensions')
      bytes.fill(0, rawAt + query.length, rawAt + layout.vectorBytes)
      bytes.set(query, rawAt)
      words[CONTEXT.queryBytes] = layout.groups * 16
    }
    const allowed = allow === undefined ? 0 : Math.min(allow.length * 8, until)
    const allowAt = words[CONTEXT.allowAt]!
    if (allow !== undefined) bytes.set(allow.subarray(0, (allowed + 7) >> 3), allowAt)
    words[CONTEXT.allow] = allow === undefined ? 0 : allowAt
    words[CONTEXT.allowed] = allowed
    words[CONTEXT.from] = from
    words[CONTEXT.until] = until
    words[CONTEXT.effort] = Math.max(1, Math.min(effort, EFFORT_MAX))
    new Float64Array(buffer, context.at, 1)[CONTEXT.at] = at
    kernel.asked(HEADER_AT, context.at)
  }

  /** What lies in NEAR of the context, or of an image. */
  hits(image?: Uint8Array<ArrayBuffer>): GraphHits {
    const { memory, spec } = this.inside
    const buffer = image?.buffer ?? memory.buffer
    const head = image === undefined ? this.#words : new Uint32Array(buffer, 0, CONTEXT_BYTES / 4)
    const count = head[CONTEXT.near]!
    const near = new Int32Array(buffer, image === undefined ? head[CONTEXT.nearAt]! : CONTEXT_BYTES, count * 2)
    const slots = new Uint32Array(count)
    const distances = new Float64Array(count)
    for (let i = 0; i < count; i++) {
      slots[i] = near[2 * i]!
      const ordered = near[2 * i + 1]!
      BITS[0] = ordered ^ ((ordered >> 31) & 0x7fffffff)
      distances[i] = spec.metric === 'l2' ? Math.sqrt(FLOATS[0]!) : FLOATS[0]!
    }
    return { slots, distances }
  }

  /** Distances that take about INLINE_NS: measured in walks at 100 dimensions, 60 ns by codes, 120 ns of float4; 300 ns at 768. */
  get budget(): number {
    return budgetOf(this.inside)
  }
}

export function budgetOf({ layout, spec }: Inside): number {
  const ns =
    spec.element === 'sparse' ? 500 : 40 + (layout.codeStride || layout.vectorBytes / (layout.isParted ? 2 : 1)) / 6
  return Math.ceil(INLINE_NS / ns)
}

const BITS = new Int32Array(1)
const FLOATS = new Float32Array(BITS.buffer)

export class OpenSearch implements GraphSearch {
  readonly #resident: Resident
  readonly #query: Uint8Array
  readonly #wanted: Wanted
  readonly #isExact: boolean
  #state: 'new' | 'open' | 'away' | 'over' = 'new'
  #visited = 0

  constructor(inside: Inside, query: Uint8Array, wanted: Wanted, isExact = false) {
    this.#resident = new Resident(inside)
    this.#query = query
    this.#wanted = wanted
    this.#isExact = isExact
  }

  static claim(inside: Inside, claimant: Resident | undefined): void {
    Resident.claim(inside, claimant)
  }

  get visited(): number {
    return this.#visited
  }

  next(): GraphHits | undefined | Promise<GraphHits | undefined> {
    const resident = this.#resident
    const { kernel, context } = resident.inside
    invariant(this.#state !== 'away', 'the search is still at work')
    if (this.#state === 'over') return undefined
    if (this.#state === 'new') {
      resident.ask(this.#query, this.#wanted)
      if (this.#isExact) kernel.begin_exact(context.at)
      else kernel.begin(HEADER_AT, context.at, this.#wanted.without ?? NO_SLOT)
      this.#state = 'open'
    } else resident.enter()
    const { budget } = resident
    if (this.#expected() <= budget) {
      const answer = kernel.run(HEADER_AT, context.at, budget)
      this.#visited = resident.word(CONTEXT.visited)
      if (answer === NOTHING) this.close()
      if (answer !== MORE) return answer === NOTHING ? undefined : resident.hits()
    }
    this.#state = 'away'
    return resident.inside.pool === undefined ? this.#inSlices() : this.#inWorker(resident.inside.pool)
  }

  close(): void {
    this.#state = 'over'
    this.#resident.leave(undefined)
  }

  /** Distances that the next answer is likely to take. A walk looks at 12 to 24 for each candidate it keeps. */
  #expected(): number {
    const { effort, from = 0, until } = this.#wanted
    return this.#isExact ? until - from : Math.min(effort * 18, until)
  }

  async #inWorker(pool: GraphPool): Promise<GraphHits | undefined> {
    const resident = this.#resident
    const image = resident.image()
    resident.leave(undefined)
    const result = await pool.run(resident.inside.graph, image)
    const head = new Uint32Array(result.buffer, 0, CONTEXT_BYTES / 4)
    this.#visited = head[CONTEXT.visited]!
    if (head[CONTEXT.near] === 0) {
      this.close()
      return undefined
    }
    // Closed meanwhile: nothing is kept.
    if (this.#state === 'away') {
      this.#state = 'open'
      resident.leave(result)
    }
    return resident.hits(result)
  }

  async #inSlices(): Promise<GraphHits | undefined> {
    const resident = this.#resident
    const { kernel, context } = resident.inside
    while (this.#state === 'away') {
      resident.enter()
      const answer = kernel.run(HEADER_AT, context.at, resident.budget)
      this.#visited = resident.word(CONTEXT.visited)
      if (answer === NOTHING) this.close()
      else if (answer !== MORE) {
        this.#state = 'open'
        return resident.hits()
      }
      await new Promise(setImmediate)
    }
    return undefined
  }
}

/** The nearest of slots that are named, or of all: every one is measured. */
export class ExactSearch {
  readonly #inside: Inside
  readonly #query: Uint8Array
  readonly #options: ExactOptions & { readonly until: Slot }

  constructor(inside: Inside, query: Uint8Array, options: ExactOptions & { readonly until: Slot }) {
    this.#inside = inside
    this.#query = query
    this.#options = options
  }

  all(): GraphHits | Promise<GraphHits> {
    const { slots } = this.#options
    return slots === undefined ? this.#range() : this.#list(slots)
  }

  #wanted(count: number): Wanted {
    const { limit = count, from = 0, until, at, allow } = this.#options
    return {
      effort: Math.min(limit, count),
      from,
      until,
      ...(at === undefined ? {} : { at }),
      ...(allow === undefined ? {} : { allow }),
    }
  }

  #range(): GraphHits | Promise<GraphHits> {
    const { from = 0, until, limit = until - from } = this.#options
    if (from >= until || limit <= 0) return NO_HITS
    const search = new OpenSearch(this.#inside, this.#query, this.#wanted(until - from), true)
    const parts: GraphHits[] = []
    let found = 0
    const take = (part: GraphHits | undefined): boolean => {
      if (part === undefined) return false
      parts.push(part)
      found += part.slots.length
      return found < limit && part.slots.length === EFFORT_MAX
    }
    const rest = async (first: Promise<GraphHits | undefined>): Promise<GraphHits> => {
      for (let part = await first; take(part); part = await search.next());
      search.close()
      return joined(parts, limit)
    }
    for (;;) {
      const part = search.next()
      if (part instanceof Promise) return rest(part)
      if (!take(part)) break
    }
    search.close()
    return joined(parts, limit)
  }

  #list(slots: Uint32Array): GraphHits | Promise<GraphHits> {
    const { limit = slots.length } = this.#options
    if (slots.length === 0 || limit <= 0) return NO_HITS
    const slices = this.#slices(slots, limit)
    const resident = new Resident(this.#inside)
    if (slots.length <= resident.budget && limit <= EFFORT_MAX) {
      for (;;) {
        const { done, value } = slices.next()
        if (done === true) return value
      }
    }
    return (async () => {
      for (;;) {
        const { done, value } = slices.next()
        if (done === true) return value
        await new Promise(setImmediate)
      }
    })()
  }

  /** Pauses after each slice; returns the answer. */
  *#slices(slots: Uint32Array, limit: number): Generator<undefined, GraphHits> {
    const inside = this.#inside
    const { kernel, context, memory } = inside
    const resident = new Resident(inside)
    const slice = Math.min(resident.budget, LIST_MAX)
    const parts: GraphHits[] = []
    resident.ask(this.#query, this.#wanted(slots.length))
    kernel.begin_exact(context.at)
    const listAt = resident.word(CONTEXT.listAt)
    for (let found = 0; ; ) {
      for (let i = 0; i < slots.length; i += slice) {
        if (i > 0) {
          yield
          resident.enter()
        }
        const part = slots.subarray(i, i + slice)
        new Uint32Array(memory.buffer, listAt, part.length).set(part)
        kernel.begin_list(context.at)
        kernel.sweep(HEADER_AT, context.at, listAt, part.length, ALL)
      }
      kernel.end_list(context.at)
      const part = resident.hits()
      parts.push(part)
      found += part.slots.length
      if (part.slots.length < EFFORT_MAX || found >= limit) break
      yield
      resident.enter()
      new Uint32Array(memory.buffer, context.at, CONTEXT_BYTES / 4)[CONTEXT.near] = 0
    }
    resident.leave(undefined)
    return joined(parts, limit)
  }
}

const NO_HITS: GraphHits = { slots: new Uint32Array(0), distances: new Float64Array(0) }

function joined(parts: readonly GraphHits[], limit: number): GraphHits {
  const [first = NO_HITS] = parts
  if (parts.length < 2) return first
  const length = Math.min(
    limit,
    parts.reduce((sum, { slots }) => sum + slots.length, 0),
  )
  const slots = new Uint32Array(length)
  const distances = new Float64Array(length)
  let at = 0
  for (const part of parts) {
    slots.set(part.slots.subarray(0, length - at), at)
    distances.set(part.distances.subarray(0, length - at), at)
    at = Math.min(length, at + part.slots.length)
  }
  return { slots, distances }
}
