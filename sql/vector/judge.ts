/**
 * What is truly near a stored vector: what a calibration compares a graph's answers with. A graph that holds the column's own
 * elements says so itself. Where it holds smaller ones (quantization), the entries in the store are read and measured, as
 * searches do with what such a graph proposes.
 */
import type { Key } from '../../storage/keys/brand.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { type Kv, PAGE_HEADER_BYTES, type Txn } from '../../storage/kv/kv.ts'
import type { Metric } from '../types/vector/distance.ts'
import { fromHalves } from '../types/vector/half.ts'
import { kernelMemory, PAGE_BYTES, VectorKernel } from '../types/vector/kernel.ts'
import { TRAILER_BYTES } from './entry.ts'
import type { GraphHits, Slot } from './graph/graph.ts'
import type { IndexGraph } from './index-graph.ts'
import { pageRows, Slices, turn } from './slices.ts'
import type { Slots } from './slots.ts'
import type { VectorIndexSpec, VectorMetric } from './vector-index.ts'

export interface Judge {
  /**
   * For each of the slots the `limit` nearest linked ones, itself among them, of those whose bits are set in `allow`;
   * ascending. undefined: the calibration is over.
   */
  nearest(
    slots: readonly Slot[],
    limit: number,
    allow: Uint8Array | undefined,
  ): Promise<readonly GraphHits[] | undefined>
  /** Distances of what a walk has found for a slot's vector, measured likewise, ascending. */
  measured(slot: Slot, hits: GraphHits): ArrayLike<number> | Promise<ArrayLike<number>>
  close(): void
}

/** By the graph itself. */
export function graphJudge(graph: IndexGraph, linked: Slot, isOver: () => boolean): Judge {
  return {
    async nearest(slots, limit, allow) {
      const found: GraphHits[] = []
      for (const slot of slots) {
        found.push(await graph.exact(Uint8Array.from(graph.vector(slot)), { until: linked, limit, allow }))
        await turn()
        if (isOver()) return undefined
      }
      return found
    },
    measured: (_, { distances }) => distances,
    close() {},
  }
}

/** The kernel's metric and the sign that makes the nearest the least. */
const MEASURES: Readonly<Partial<Record<VectorMetric, readonly [Metric, 1 | -1]>>> = {
  l2: ['l2-squared', 1],
  'inner-product': ['inner-product', -1],
  cosine: ['cosine', 1],
  l1: ['l1', 1],
}
/** Candidates whose entries are read in one stretch. */
const READ_ROWS = 256

/** By the entries in the store, of columns of float4 or halves. */
export class EntriesJudge implements Judge {
  readonly #spec: VectorIndexSpec
  readonly #prefix: Key
  readonly #slots: Slots
  readonly #linked: Slot
  readonly #isOver: () => boolean
  readonly #txn: Txn
  readonly #kernel: VectorKernel
  readonly #rows: number
  /** In the kernel's memory: vectors one after the other, and their distances. */
  readonly #packed: Float32Array
  readonly #out: Float32Array

  constructor(kv: Kv, spec: VectorIndexSpec, prefix: Key, slots: Slots, isOver: () => boolean) {
    this.#spec = spec
    this.#prefix = prefix
    this.#slots = slots
    this.#linked = slots.linked
    this.#isOver = isOver
    this.#txn = kv.begin({ isolation: 'repeatable-read', readOnly: true, pid: 0, lockTimeoutMs: () => 0 })
    this.#txn.beginStatement()
    this.#rows = Math.max(READ_ROWS, pageRows(spec.dimensions))
    const bytes = this.#rows * spec.dimensions * 4
    const pages = 2 + Math.ceil((bytes + this.#rows * 4) / PAGE_BYTES)
    this.#kernel = new VectorKernel(kernelMemory(pages, pages))
    this.#packed = this.#kernel.floats(PAGE_BYTES, this.#rows * spec.dimensions)
    this.#out = this.#kernel.floats(PAGE_BYTES + bytes, this.#rows)
  }

  async nearest(
    asked: readonly Slot[],
    limit: number,
    allow: Uint8Array | undefined,
  ): Promise<readonly GraphHits[] | undefined> {
    const slices = new Slices()
    const queries = asked.map((slot) => this.#vectorOf(slot))
    const best = asked.map(() => new Best(limit))
    const scanner = this.#txn.scan(prefixSpan(this.#prefix))
    const named = new Uint32Array(this.#rows)
    const isWanted = (slot: Slot): boolean =>
      slot < this.#linked && (allow === undefined || ((allow[slot >> 3]! >> (slot & 7)) & 1) === 1)
    const { dimensions } = this.#spec
    try {
      const most = pageRows(dimensions)
      for (let page = scanner.next(most); page !== undefined; page = scanner.next(most)) {
        const { buffer, bytes } = page
        let count = 0
        for (let o = 0; o < bytes; ) {
          const start = o + PAGE_HEADER_BYTES
          const valueAt = start + buffer.readUInt32LE(o)
          o = valueAt + buffer.readUInt32LE(o + 4)
          const slot = this.#slots.keys.find(buffer.latin1Slice(start + this.#prefix.length, valueAt))
          if (slot === undefined || !isWanted(slot)) continue
          this.#packed.set(this.#floats(buffer.subarray(valueAt, o - TRAILER_BYTES)), count * dimensions)
          named[count++] = slot
        }
        for (const [i, query] of queries.entries()) {
          if (query === undefined) continue
          this.#measure(query, count)
          best[i]!.take(named, this.#out, count)
          if (slices.isOver) await slices.next()
          if (this.#isOver()) return undefined
        }
      }
    } finally {
      scanner.close()
    }
    return best.map((each) => each.hits())
  }

  async measured(slot: Slot, { slots }: GraphHits): Promise<ArrayLike<number>> {
    const slices = new Slices()
    const query = this.#vectorOf(slot)
    const found: number[] = []
    if (query === undefined) return found
    for (let from = 0; from < slots.length; from += READ_ROWS) {
      const names = Array.from(slots.subarray(from, from + READ_ROWS), (each) => this.#slots.keys.key(each))
      const count = this.#read(names)
      this.#measure(query, count)
      for (let i = 0; i < count; i++) found.push(this.#out[i]!)
      if (slices.isOver) await slices.next()
    }
    return found.sort((a, b) => a - b)
  }

  close(): void {
    this.#txn.rollback()
  }

  /** Distances of the first `count` packed vectors to `#out`. */
  #measure(query: Float32Array, count: number): void {
    const [metric, sign] = MEASURES[this.#spec.metric]!
    const { dimensions } = this.#spec
    const out = this.#out
    // Views of now: when any shared memory of the process grows, all have new buffers over the same bytes.
    const packed = this.#kernel.floats(this.#packed.byteOffset, count * dimensions)
    const distances = this.#kernel.floats(out.byteOffset, count)
    this.#kernel.distanceMany(metric, query, packed, count, dimensions, distances)
    if (sign < 0) for (let i = 0; i < count; i++) out[i] = -out[i]!
  }

  /** Entries that there are, packed one after the other. */
  #read(names: readonly string[]): number {
    const { buffer, bytes } = this.#txn.getMany(names.map((name) => (this.#prefix + name) as Key))
    let count = 0
    for (let o = 0; o < bytes; ) {
      const valueAt = o + PAGE_HEADER_BYTES + buffer.readUInt32LE(o)
      o = valueAt + buffer.readUInt32LE(o + 4)
      this.#packed.set(this.#floats(buffer.subarray(valueAt, o - TRAILER_BYTES)), count++ * this.#spec.dimensions)
    }
    return count
  }

  #vectorOf(slot: Slot): Float32Array | undefined {
    return this.#read([this.#slots.keys.key(slot)]) === 0 ? undefined : this.#packed.slice(0, this.#spec.dimensions)
  }

  #floats(bytes: Uint8Array): Float32Array {
    const { buffer } = new Uint8Array(bytes)
    return this.#spec.element === 'f16' ? fromHalves(new Uint16Array(buffer)) : new Float32Array(buffer)
  }
}

/** The least distances so far, ascending, and whose they are. */
class Best {
  readonly #limit: number
  readonly #slots: Slot[] = []
  readonly #distances: number[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  take(slots: Uint32Array, distances: Float32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      const distance = distances[i]!
      if (Number.isNaN(distance)) continue
      if (this.#distances.length === this.#limit && distance >= this.#distances[this.#limit - 1]!) continue
      let at = this.#distances.length
      while (at > 0 && this.#distances[at - 1]! > distance) at--
      this.#distances.splice(at, 0, distance)
      this.#slots.splice(at, 0, slots[i]!)
      if (this.#distances.length > this.#limit) {
        this.#distances.pop()
        this.#slots.pop()
      }
    }
  }

  hits(): GraphHits {
    return { slots: Uint32Array.from(this.#slots), distances: Float64Array.from(this.#distances) }
  }
}
