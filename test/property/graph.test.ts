/** The kernel's graph does what its plain twin does, and every search returns each slot it may return, once. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SparseVector } from '../../sql/types/value.ts'
import { toHalves } from '../../sql/types/vector/half.ts'
import { packVector } from '../../sql/types/vector/packed.ts'
import { Graph, type GraphSearch, type GraphSpec, type Slot } from '../../sql/vector/graph/graph.ts'
import { plainDistance, plainSearch } from '../../sql/vector/graph/twin.ts'
import type { VectorElement, VectorMetric } from '../../sql/vector/vector-index.ts'

const LIMITS = { bytesMax: 64 << 20 }

/** Small whole numbers: sums of float4 are exact in any order. */
const PACK: Readonly<Record<VectorElement, (elements: readonly number[]) => Uint8Array>> = {
  f32: (e) => packVector(Float32Array.from(e), 'f32'),
  f16: (e) => packVector(toHalves(e), 'f16'),
  bit: (e) => {
    const bytes = new Uint8Array((e.length + 7) >> 3)
    e.forEach((n, i) => {
      if (n > 0) bytes[i >> 3]! |= 0x80 >> (i & 7)
    })
    return bytes
  },
  sparse: (e) => {
    const indices = Int32Array.from(e.keys()).filter((i) => e[i] !== 0)
    const values = Float32Array.from(indices, (i) => e[i]!)
    return packVector(new SparseVector(e.length, indices, values), 'sparse')
  },
}

const DENSE: readonly VectorMetric[] = ['l2', 'inner-product', 'l1', 'cosine']
const KINDS: readonly (readonly [VectorElement, VectorMetric])[] = [
  ...(['f32', 'f16', 'sparse'] as const).flatMap((element) => DENSE.map((metric) => [element, metric] as const)),
  ['bit', 'hamming'],
  ['bit', 'jaccard'],
]

/** Vectors from a seed: few dimensions are often equal, many reach over several groups of the kernel. */
function vectorsOf(element: VectorElement, seed: number, count: number, dimensions: number): Uint8Array[] {
  let x = seed >>> 0
  const next = () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return x >>> 16
  }
  const one = () => {
    // Some are too long for half a float4, few enough that sums stay exact.
    const long = dimensions > 100 ? 37 : 1
    const elements = Array.from({ length: dimensions }, (_, i) =>
      next() % 3 === 0 ? 0 : ((next() % 15) - 7) * (i % 8 === 3 ? long : 1),
    )
    elements[0] = 1 + (next() % 7)
    return PACK[element](elements)
  }
  return Array.from({ length: count }, one)
}

async function drain(search: GraphSearch): Promise<{ slots: Slot[]; distances: number[]; rounds: number }> {
  const slots: Slot[] = []
  const distances: number[] = []
  let rounds = 0
  for (let part = await search.next(); part !== undefined; part = await search.next()) {
    expect([...part.distances]).toEqual([...part.distances].sort((a, b) => a - b))
    slots.push(...part.slots)
    distances.push(...part.distances)
    rounds++
  }
  search.close()
  return { slots, distances, rounds }
}

const shape = fc.record({
  kind: fc.constantFrom(...KINDS),
  seed: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  count: fc.integer({ min: 1, max: 160 }),
  dimensions: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 21, max: 300 })),
  m: fc.integer({ min: 2, max: 6 }),
  effort: fc.integer({ min: 1, max: 50 }),
})

describe('the graph', () => {
  test('measures as its twin does, and walks the same way', () => {
    fc.assert(
      fc.property(shape, ({ kind: [element, metric], seed, count, dimensions, m, effort }) => {
        const spec: GraphSpec = { element, metric, dimensions, m, efConstruction: 12, seed }
        const graph = Graph.create(spec, LIMITS)
        const [query, ...vectors] = vectorsOf(element, seed, count + 1, dimensions)
        const slots = vectors.map((vector) => graph.append(vector, 1))
        for (const slot of slots) graph.link(slot)
        vectors.forEach((vector, i) => {
          expect(Buffer.compare(graph.vector(slots[i]!), vector)).toBe(0)
        })
        const raise = metric === 'l2' ? Math.sqrt : (d: number) => d
        const exact = graph.exact(query!)
        if (exact instanceof Promise) throw new Error('so few are measured at once')
        expect(exact.slots.length).toBe(count)
        exact.slots.forEach((slot, i) => {
          const plain = raise(plainDistance(spec, vectors[slots.indexOf(slot)]!, query!))
          expect(Math.abs(exact.distances[i]! - plain)).toBeLessThanOrEqual(
            metric === 'cosine' ? 1e-5 : 1e-6 * Math.abs(plain),
          )
        })
        if (metric === 'cosine') return
        const isWanted = (slot: Slot) => slot % 3 !== 0
        for (const slot of slots) if (!isWanted(slot)) graph.markDeleted(slot, 5)
        const walked = plainSearch(spec, graph.memory, (slot) => graph.vector(slot), query!, effort, isWanted)
        const search = graph.search(query!, { effort, at: 5 })
        const found = search.next()
        search.close()
        if (found instanceof Promise) throw new Error('so few are found at once')
        if (walked.length > 0) expect([...(found?.slots ?? [])]).toEqual(walked.map(({ slot }) => slot))
        // As if one were not there, asked for what it is.
        const without = slots[seed % count]!
        const asked = vectors[seed % count]!
        const others = plainSearch(spec, graph.memory, (slot) => graph.vector(slot), asked, effort, isWanted, without)
        const leaving = graph.search(asked, { effort, at: 5, without })
        const left = leaving.next()
        leaving.close()
        if (left instanceof Promise) throw new Error('so few are found at once')
        if (others.length > 0) expect([...(left?.slots ?? [])]).toEqual(others.map(({ slot }) => slot))
      }),
      { numRuns: 150 },
    )
  })

  test('a search that goes on returns what its time and its bitmap let through, each once', async () => {
    await fc.assert(
      fc.asyncProperty(shape, fc.boolean(), async (given, withBitmap) => {
        const { kind, seed, count, dimensions, m, effort } = given
        const [element, metric] = kind
        const graph = Graph.create({ element, metric, dimensions, m, efConstruction: 8, seed }, LIMITS)
        const [query, ...vectors] = vectorsOf(element, seed, count + 1, dimensions)
        const slots = vectors.map((vector, i) => graph.append(vector, i % 10))
        // The last ones stay a tail: no link leads to them.
        const linked = Math.ceil(slots.length * 0.8)
        await graph.linkAll(0, slots[linked - 1]! + 1)
        slots.forEach((slot, i) => {
          if (i % 4 === 1) graph.markDeleted(slot, (i % 10) + 3)
        })
        const allow = new Uint8Array((graph.slots >> 3) + 1)
        slots.forEach((slot, i) => {
          if ((i * 7 + seed) % 5 < 2) allow[slot >> 3]! |= 1 << (slot & 7)
        })
        const at = seed % 12
        const wanted = slots.filter(
          (slot) =>
            graph.created(slot) <= at &&
            at < graph.deleted(slot) &&
            (!withBitmap || ((allow[slot >> 3]! >> (slot & 7)) & 1) === 1),
        )
        const options = { at, ...(withBitmap ? { allow } : {}) }
        // Two at a time: each takes the context from the other.
        const first = graph.search(query!, { effort, ...options })
        const second = graph.search(vectors[0]!, { effort: 3, ...options })
        await second.next()
        const [one, two] = [await drain(first), second]
        expect(one.slots.toSorted((a, b) => a - b)).toEqual(wanted)
        two.close()
        const exact = await graph.exact(query!, { ...options, slots: Uint32Array.from(slots) })
        expect([...exact.slots].sort((a, b) => a - b)).toEqual(wanted)
        const all = await drain(graph.search(query!, { effort: 60_000, ...options }))
        const ranged = await graph.exact(query!, options)
        expect([...ranged.slots]).toEqual([...exact.slots])
        if (linked === slots.length) expect(all.slots).toEqual([...exact.slots])
        const tail = await graph.exact(query!, { ...options, from: slots[linked] ?? graph.slots, limit: 2 })
        const inTail = wanted.filter((slot) => slot >= (slots[linked] ?? graph.slots))
        expect(tail.slots.length).toBe(Math.min(2, inTail.length))
        const front = await drain(graph.search(query!, { effort, ...options, until: slots[linked] ?? graph.slots }))
        expect(front.slots.length).toBe(wanted.length - inTail.length)
        const without = slots[seed % count]!
        const others = await drain(graph.search(vectors[seed % count]!, { effort, ...options, without }))
        expect(others.slots.toSorted((a, b) => a - b)).toEqual(wanted.filter((slot) => slot !== without))
      }),
      { numRuns: 100 },
    )
  })
})
