/** The graph with real threads, at its limits, and through a checkpoint. */
import { crc32 } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CheckpointError } from '../../sql/vector/graph/checkpoint.ts'
import { Graph, type GraphHits, type GraphSpec } from '../../sql/vector/graph/graph.ts'
import { GRAPH, HEADER_AT } from '../../sql/vector/graph/layout.ts'
import { GraphPool } from '../../sql/vector/graph/pool.ts'

const SPEC: GraphSpec = { element: 'f32', metric: 'l2', dimensions: 24, m: 8, efConstruction: 40, seed: 3 }
const LIMITS = { bytesMax: 256 << 20 }

function vectors(count: number, dimensions: number, seed = 1): Uint8Array[] {
  let x = seed
  const next = () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return x / 2 ** 32
  }
  const centre = Array.from({ length: 20 }, () => Float32Array.from({ length: dimensions }, () => next() * 4))
  return Array.from({ length: count }, () => {
    const from = centre[Math.floor(next() * 20)]!
    return new Uint8Array(from.map((n) => n + next() + next()).buffer)
  })
}

/** Share of the ten nearest that a search of this effort finds. */
async function recall(graph: Graph, queries: readonly Uint8Array[], effort: number): Promise<number> {
  let found = 0
  for (const query of queries) {
    const exact = await graph.exact(query, { limit: 10 })
    const search = graph.search(query, { effort })
    const hits = (await search.next()) as GraphHits
    search.close()
    const nearest = new Set(exact.slots)
    for (const slot of hits.slots.subarray(0, 10)) if (nearest.has(slot)) found++
  }
  return found / queries.length / 10
}

describe('the graph', () => {
  let pool: GraphPool
  beforeAll(() => {
    pool = new GraphPool(2)
  })
  afterAll(() => pool.close())

  test('threads link while this one appends, marks and searches; nothing is lost', async () => {
    const graph = Graph.create(SPEC, LIMITS, pool)
    const generated = vectors(8050, SPEC.dimensions)
    const all = generated.slice(0, 8000)
    for (const vector of all.slice(0, 5000)) graph.append(vector, 1)
    const heard: number[] = []
    let over = false
    const linked = graph
      .linkAll(0, 5000, (n) => heard.push(n))
      .finally(() => {
        over = true
      })
    let searches = 0
    for (let i = 0; !over || searches < 20; i++) {
      if (5000 + i < all.length) graph.append(all[5000 + i]!, 1)
      const search = graph.search(all[i % all.length]!, { effort: 20, until: 5000 })
      const seen = new Set<number>()
      for (let round = 0; round < 3; round++) {
        const hits = await search.next()
        for (const slot of hits?.slots ?? []) {
          expect(slot < 5000 && !seen.has(slot)).toBe(true)
          seen.add(slot)
        }
      }
      search.close()
      searches++
      await new Promise(setImmediate)
    }
    await linked
    expect(heard.at(-1)).toBe(5000)
    while (graph.slots < all.length) graph.append(all[graph.slots]!, 1)
    await Promise.all([graph.linkAll(5000, 7000), graph.linkAll(7000, 8000)])
    const queries = generated.slice(8000)
    expect(await recall(graph, queries, 100)).toBeGreaterThan(0.95)
    // Every slot is found by its own vector.
    let own = 0
    for (let slot = 0; slot < all.length; slot += 7) {
      const search = graph.search(all[slot]!, { effort: 30 })
      const hits = await search.next()
      search.close()
      if (hits?.distances[0] === 0) own++
    }
    expect(own / Math.ceil(all.length / 7)).toBeGreaterThan(0.99)
    graph.close()
  })

  test('a long search goes on in a worker and returns the same', async () => {
    const here = Graph.create(SPEC, LIMITS)
    const there = Graph.create(SPEC, LIMITS, pool)
    for (const vector of vectors(6000, SPEC.dimensions)) {
      const slot = here.append(vector, 1)
      there.append(vector, 1)
      here.link(slot)
      there.link(slot)
    }
    const [query] = vectors(1, SPEC.dimensions, 5)
    const allow = new Uint8Array(6000 / 8).fill(0x11)
    for (const effort of [10, 5900]) {
      const one = here.search(query!, { effort, allow })
      const other = there.search(query!, { effort, allow })
      for (let round = 0; round < 200; round++) {
        const [a, b] = await Promise.all([one.next(), other.next()])
        expect(b).toEqual(a)
        if (a === undefined) break
      }
      expect(other.visited).toBe(one.visited)
      one.close()
      other.close()
    }
    there.close()
  })

  test('what does not fit is refused, and what fitted is still there', () => {
    const graph = Graph.create(SPEC, { bytesMax: 100_000 })
    const all = vectors(1000, SPEC.dimensions)
    let slots = 0
    const fill = () => {
      for (const vector of all) {
        graph.append(vector, 1)
        slots++
      }
    }
    expect(fill).toThrowError(expect.objectContaining({ code: '53200' }))
    expect(slots).toBeGreaterThan(300)
    expect(graph.slots).toBe(slots)
    expect(graph.bytes).toBeLessThanOrEqual(100_000)
    for (let slot = 0; slot < slots; slot++) graph.link(slot)
    const hits = graph.search(all[5]!, { effort: 10 }).next() as GraphHits
    expect(hits.slots[0]).toBe(5)
  })

  test('16,000 dimensions', () => {
    const graph = Graph.create({ ...SPEC, dimensions: 16_000, metric: 'cosine' }, LIMITS)
    const all = vectors(60, 16_000)
    for (const vector of all) graph.link(graph.append(vector, 1))
    const hits = graph.search(all[30]!, { effort: 10 }).next() as GraphHits
    expect(hits.slots[0]).toBe(30)
  })

  test('a checkpoint restores the graph; slots whose vectors are gone are led round', async () => {
    const graph = Graph.create(SPEC, LIMITS)
    const generated = vectors(3030, SPEC.dimensions)
    const all = generated.slice(0, 3000)
    for (const vector of all) graph.link(graph.append(vector, 4))
    for (let slot = 0; slot < 3000; slot += 11) graph.markDeleted(slot, 6)
    const blocks = [...graph.checkpoint(3000)]
    const whole = await Graph.restore(SPEC, LIMITS, blocks)
    all.forEach((vector, slot) => {
      whole.setVector(slot, vector)
    })
    await whole.dropAbsent()
    const queries = generated.slice(3000)
    for (const query of queries)
      for (const at of [3, 5, 7])
        expect(whole.search(query, { effort: 20, at }).next()).toEqual(graph.search(query, { effort: 20, at }).next())
    const part = await Graph.restore(SPEC, LIMITS, blocks)
    all.forEach((vector, slot) => {
      if (slot % 5 !== 0) part.setVector(slot, vector)
    })
    await part.dropAbsent()
    expect(part.append(all[0]!, 8)).toBe(3000)
    part.link(3000)
    expect(await recall(part, queries, 60)).toBeGreaterThan(0.95)
    const found = part.search(all[1]!, { effort: 3000 })
    const slots: number[] = []
    for (let hits = await found.next(); hits !== undefined; hits = await found.next()) slots.push(...hits.slots)
    const alive = Array.from({ length: 3001 }, (_, slot) => slot)
    expect(slots.sort((a, b) => a - b)).toEqual(
      alive.filter((slot) => slot === 3000 || (slot % 5 !== 0 && slot % 11 !== 0)),
    )
  })

  test.each([0, 4 << 20])('vectors are brought in together as one by one (%i bytes behind them)', async (behind) => {
    const graph = Graph.create(SPEC, LIMITS)
    const generated = vectors(620, SPEC.dimensions)
    const all = generated.slice(0, 600)
    for (const vector of all) graph.link(graph.append(vector, 4))
    graph.markDeleted(7, 6)
    const together = await Graph.restore(SPEC, LIMITS, graph.checkpoint(600))
    const bytes = SPEC.dimensions * 4
    // As in a page of the store: with something else between, at odd places.
    const page = new Uint8Array(all.length * (bytes + 9) + behind)
    const slots = Uint32Array.from(all, (_, i) => (i * 7) % all.length)
    const places = slots.map((_, i) => i * (bytes + 9) + 5)
    slots.forEach((slot, i) => {
      page.set(all[slot]!, places[i])
    })
    together.setVectors(slots, places, 300, bytes, page)
    together.setVectors(slots.subarray(300), places.subarray(300), 300, bytes, page)
    await together.dropAbsent()
    expect([graph.dead, together.dead]).toEqual([1, 1])
    for (const [slot, vector] of all.entries()) expect(together.vector(slot)).toEqual(vector)
    for (const query of generated.slice(600))
      expect(together.search(query, { effort: 20, at: 7 }).next()).toEqual(
        graph.search(query, { effort: 20, at: 7 }).next(),
      )
  })

  test('a checkpoint that is written while slots are linked has those that were before', async () => {
    const graph = Graph.create(SPEC, LIMITS)
    const generated = vectors(3030, SPEC.dimensions)
    const all = generated.slice(0, 3000)
    for (const vector of all) graph.append(vector, 4)
    for (let slot = 0; slot < 2000; slot++) graph.link(slot)
    const making = graph.checkpoint(2000)
    const blocks = [making.next().value as Uint8Array]
    for (let slot = 2000; slot < 2500; slot++) graph.link(slot)
    blocks.push(...making)
    const restored = await Graph.restore(SPEC, LIMITS, blocks)
    all.forEach((vector, slot) => {
      restored.setVector(slot, vector)
    })
    await restored.dropAbsent()
    const queries = generated.slice(3000)
    for (const query of queries) {
      const hits = (await restored.search(query, { effort: 1000, until: 2000 }).next())!
      expect(hits.slots).toHaveLength(1000)
    }
    for (let slot = 2000; slot < 3000; slot++) restored.link(slot)
    expect(await recall(restored, queries, 60)).toBeGreaterThan(0.95)
  })

  test.each([
    ['spread about the origin', 0, 1, true],
    ['far from the origin', 1000, 1, false],
    ['in narrow clusters', 0, 0.001, false],
  ] as const)('walks measure codes while these tell vectors apart: vectors %s', async (_, offset, width, isCoded) => {
    const spec: GraphSpec = { ...SPEC, dimensions: 40, m: 16, efConstruction: 64 }
    const graph = Graph.create(spec, LIMITS)
    let x = 7
    const next = () => {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0
      return x / 2 ** 32
    }
    const centres = Array.from({ length: 20 }, () =>
      Float32Array.from({ length: 40 }, () => (width < 1 ? next() * 4 - 2 : 0)),
    )
    const all = Array.from({ length: 3000 }, (__, i) => {
      const vector = centres[i % 20]!.map((n) => offset + n + (next() - 0.5) * width)
      return new Uint8Array(vector.buffer)
    })
    for (const vector of all) graph.link(graph.append(vector, 1))
    expect(new Uint32Array(graph.memory.buffer)[HEADER_AT / 4 + GRAPH.coded] === 1).toBe(isCoded)
    expect(await recall(graph, all.slice(0, 60), 150)).toBeGreaterThan(0.9)
    const restored = await Graph.restore(spec, LIMITS, graph.checkpoint(3000))
    all.forEach((vector, slot) => {
      restored.setVector(slot, vector)
    })
    await restored.dropAbsent()
    for (const query of all.slice(0, 20))
      expect(restored.search(query, { effort: 20 }).next()).toEqual(graph.search(query, { effort: 20 }).next())
  })

  test('a damaged checkpoint is refused', async () => {
    const graph = Graph.create(SPEC, LIMITS)
    for (const vector of vectors(200, SPEC.dimensions)) graph.link(graph.append(vector, 1))
    const blocks = [...graph.checkpoint(200)]
    const damaged: (readonly Uint8Array[])[] = [[], blocks.slice(0, -1), [...blocks, blocks[1]!], blocks.toReversed()]
    blocks.forEach((block, i) => {
      for (const at of [0, 4, block.length >> 1, block.length - 1]) {
        const other = block.slice()
        other[at]! ^= 0x10
        damaged.push(blocks.with(i, other))
      }
      damaged.push(blocks.with(i, block.subarray(0, block.length - 3)))
    })
    for (const given of damaged) await expect(Graph.restore(SPEC, LIMITS, given)).rejects.toThrow(CheckpointError)
    for (const spec of [
      { ...SPEC, m: 9 },
      { ...SPEC, dimensions: 25 },
      { ...SPEC, metric: 'l1' as const },
    ])
      await expect(Graph.restore(spec, LIMITS, blocks)).rejects.toThrow(CheckpointError)
    await expect(Graph.restore(SPEC, { bytesMax: 10_000 }, blocks)).rejects.toThrow(CheckpointError)
    const before = Buffer.from(Buffer.from(blocks[0]!.subarray(4)).toString().replace('"version":5', '"version":4'))
    const older = Buffer.alloc(4 + before.length)
    older.writeUInt32LE(crc32(before))
    older.set(before, 4)
    await expect(Graph.restore(SPEC, LIMITS, blocks.with(0, older))).rejects.toThrow('version 4 is not 5')
  })
})
