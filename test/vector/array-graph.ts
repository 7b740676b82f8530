/** A graph without links: plain arrays, every search exact. What the index's runtime is tested over, apart from the real graph. */

import { unpackVector } from '../../sql/types/vector/packed.ts'
import type {
  ExactOptions,
  GraphHits,
  GraphSearch,
  GraphSearchOptions,
  GraphSpec,
} from '../../sql/vector/graph/graph.ts'
import type { Graphs, IndexGraph } from '../../sql/vector/index-graph.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

class ArrayGraph implements IndexGraph {
  readonly spec: GraphSpec
  readonly #vectors: (Uint8Array | undefined)[] = []
  readonly #created: number[] = []
  readonly #deleted: number[] = []

  constructor(spec: GraphSpec) {
    this.spec = spec
  }
  get slots() {
    return this.#vectors.length
  }
  get bytes() {
    return this.#vectors.length * 100
  }
  append(packed: Uint8Array, created: number) {
    this.#created.push(created)
    this.#deleted.push(Number.POSITIVE_INFINITY)
    return this.#vectors.push(Uint8Array.from(packed)) - 1
  }
  setCreated(slot: number, created: number) {
    this.#created[slot] = created
  }
  markDeleted(slot: number, at: number) {
    this.#deleted[slot] = Math.min(at, this.#deleted[slot]!)
  }
  created(slot: number) {
    return this.#created[slot]!
  }
  deleted(slot: number) {
    return this.#deleted[slot]!
  }
  vector(slot: number) {
    return this.#vectors[slot]!
  }
  setVector(slot: number, packed: Uint8Array) {
    this.#vectors[slot] = Uint8Array.from(packed)
  }
  setVectors(slots: Uint32Array, places: Uint32Array, count: number, bytes: number, from: Uint8Array) {
    for (let i = 0; i < count; i++) this.setVector(slots[i]!, from.subarray(places[i], places[i]! + bytes))
  }
  get dead() {
    return this.#deleted.filter((at) => at < Infinity).length
  }
  async dropAbsent() {
    for (let slot = 0; slot < this.slots; slot++) if (this.#vectors[slot] === undefined) this.markDeleted(slot, 0)
  }
  link() {}
  async linkAll(from: number, until: number, onProgress?: (linked: number) => void) {
    for (let slot = from; slot < until; slot += 64) {
      await turn()
      onProgress?.(Math.min(until, slot + 64))
    }
  }
  readonly atOnce = 3
  exact(query: Uint8Array, { limit, at, allow, slots, from = 0, until = this.slots }: ExactOptions): GraphHits {
    if (slots !== undefined && slots.length > this.atOnce) throw new Error('not so many at once')
    const wanted = slots ?? Uint32Array.from({ length: Math.max(0, until - from) }, (_, i) => from + i)
    const { element, dimensions, metric } = this.spec
    const q = unpackVector(query, element, dimensions) as Float32Array
    const found: [number, number][] = []
    for (const slot of wanted) {
      const isSeen =
        at === undefined ? this.#deleted[slot] === Infinity : this.#created[slot]! <= at && at < this.#deleted[slot]!
      if (!isSeen || (allow !== undefined && ((allow[slot >> 3] ?? 0) & (1 << (slot & 7))) === 0)) continue
      const v = unpackVector(this.#vectors[slot]!, element, dimensions) as Float32Array
      let sum = 0
      for (let i = 0; i < dimensions; i++) sum += metric === 'l2' ? (v[i]! - q[i]!) ** 2 : -v[i]! * q[i]!
      found.push([slot, metric === 'l2' ? Math.sqrt(sum) : sum])
    }
    found.sort((a, b) => a[1] - b[1])
    const best = limit === undefined ? found : found.slice(0, limit)
    return { slots: Uint32Array.from(best, (each) => each[0]), distances: Float64Array.from(best, (each) => each[1]) }
  }
  search(query: Uint8Array, { effort, without, ...options }: GraphSearchOptions): GraphSearch {
    const all = this.exact(query, options)
    const others = [...all.slots.keys()].filter((i) => all.slots[i] !== without)
    const slots = Uint32Array.from(others, (i) => all.slots[i]!)
    const distances = Float64Array.from(others, (i) => all.distances[i]!)
    let given = 0
    return {
      visited: slots.length,
      next: () => {
        if (given >= slots.length) return undefined
        const from = given
        given += effort
        const hits = { slots: slots.slice(from, given), distances: distances.slice(from, given) }
        return from % 2 === 0 ? hits : Promise.resolve(hits)
      },
      close() {},
    }
  }
  sweep(query: Uint8Array, options: GraphSearchOptions & { readonly from: number }) {
    return this.search(query, options)
  }
  *checkpoint() {
    yield Buffer.from(JSON.stringify([this.#created, this.#deleted.map((at) => (at === Infinity ? -1 : at))]))
  }
  static async restore(spec: GraphSpec, blocks: AsyncIterable<Uint8Array>) {
    const graph = new ArrayGraph(spec)
    for await (const block of blocks) {
      const [created, deleted] = JSON.parse(Buffer.from(block).toString()) as [number[], number[]]
      graph.#created.push(...created)
      graph.#deleted.push(...deleted.map((at) => (at < 0 ? Infinity : at)))
      graph.#vectors.length = created.length
    }
    return graph
  }
  close() {}
}

export const arrayGraphs: Graphs = {
  create: (spec) => new ArrayGraph(spec),
  restore: (spec, _, blocks) => ArrayGraph.restore(spec, blocks),
  close: async () => {},
}
