/** What a calibration asks for finds what was promised, of queries that are not stored. */
import { describe, expect, test } from 'vitest'
import { Calibration } from '../../sql/vector/calibration.ts'
import { Graph } from '../../sql/vector/graph/graph.ts'
import { random } from '../bench/vector-data.ts'
import { openDatabaseOver } from './database.ts'

const QUERIES = 250
const STORED = 4000

type Metric = 'l2' | 'cosine' | 'inner-product'
type Draw = (chance: () => number, gauss: () => number, i: number) => Float32Array

/** 40 centres, vectors about half a unit from their own. */
function mixture(dimensions: number): Draw {
  const centres: Float32Array[] = []
  return (chance, gauss) => {
    while (centres.length < 40) centres.push(Float32Array.from({ length: dimensions }, gauss))
    return centres[Math.floor(chance() * 40)]!.map((x) => x + gauss() * 0.5)
  }
}

/** Vectors come two by two. */
function twice(dimensions: number): Draw {
  let last = new Float32Array(dimensions)
  return (_, gauss, i) => {
    if (i % 2 === 0) last = Float32Array.from({ length: dimensions }, gauss)
    return last.slice()
  }
}

const SETS: readonly (readonly [name: string, metric: Metric, draw: Draw])[] = [
  ['clusters', 'cosine', mixture(48)],
  ['uniform', 'l2', (chance) => Float32Array.from({ length: 24 }, chance)],
  ['Gaussian', 'inner-product', (_, gauss) => Float32Array.from({ length: 32 }, gauss)],
  ['many twice', 'l2', twice(16)],
]

const bytesOf = ({ buffer }: Float32Array): Uint8Array => new Uint8Array(buffer)

/** Linked in this thread: the same graph in every run. */
async function graphOf(metric: Metric, vectors: readonly Float32Array[]): Promise<Graph> {
  const spec = { element: 'f32', metric, dimensions: vectors[0]!.length, m: 8, efConstruction: 40, seed: 3 } as const
  const graph = Graph.create(spec, { bytesMax: 64 << 20 })
  for (const vector of vectors) graph.append(bytesOf(vector), 1)
  await graph.linkAll(0, graph.slots)
  return graph
}

async function recallOf(graph: Graph, queries: readonly Float32Array[], effort: number, limit: number) {
  let found = 0
  for (const vector of queries) {
    const query = bytesOf(vector)
    const bound = (await graph.exact(query, { limit })).distances.at(-1)!
    const search = graph.search(query, { effort })
    const hits = (await search.next())!
    search.close()
    found += Math.min(limit, hits.distances.filter((distance) => distance <= bound).length)
  }
  return found / queries.length / limit
}

describe('a calibration', () => {
  test.each(SETS)('keeps what it promises: %s', async (_, metric, draw) => {
    const chance = random(11)
    const gauss = () => Math.sqrt(-2 * Math.log(chance())) * Math.cos(2 * Math.PI * chance())
    const all = Array.from({ length: STORED + QUERIES }, (_, i) => draw(chance, gauss, i))
    // Of what comes twice, often one is stored.
    for (let i = all.length - 1; i > 0; i--) {
      const j = Math.floor(chance() * (i + 1))
      ;[all[i], all[j]] = [all[j]!, all[i]!]
    }
    const queries = all.slice(STORED)
    const graph = await graphOf(metric, all.slice(0, STORED))
    const calibration = new Calibration()
    await calibration.run(graph, STORED, () => false)
    for (const limit of [10, 40, 200])
      for (const promised of [0.9, 0.98]) {
        const effort = calibration.effortFor(promised, limit, 1, STORED)
        expect(effort).toBeLessThan(STORED / 3)
        expect(await recallOf(graph, queries, effort, limit)).toBeGreaterThan(promised - 0.005)
      }
    graph.close()
  })

  test('does not ask what is stored twice where there are others', async () => {
    const chance = random(21)
    const gauss = () => Math.sqrt(-2 * Math.log(chance())) * Math.cos(2 * Math.PI * chance())
    const once = Array.from({ length: 2500 }, () => Float32Array.from({ length: 24 }, gauss))
    const all = [...once.slice(0, 2000), ...once.slice(500, 1500)]
    const graph = await graphOf('l2', all)
    const calibration = new Calibration()
    await calibration.run(graph, all.length, () => false)
    const effort = calibration.effortFor(0.9, 10, 1, all.length)
    expect(await recallOf(graph, once.slice(2000), effort, 10)).toBeGreaterThan(0.895)
    graph.close()
  })

  test('knows where no effort is enough: clusters that no link joins', async () => {
    const chance = random(5)
    const gauss = () => Math.sqrt(-2 * Math.log(chance())) * Math.cos(2 * Math.PI * chance())
    const vectors: Float32Array[] = []
    for (let i = 0; i < 100; i++) {
      const centre = Float32Array.from({ length: 32 }, () => gauss() * 10)
      for (let j = 0; j < 60; j++) vectors.push(centre.map((x) => x + gauss() * 0.1))
    }
    const graph = await graphOf('l2', vectors)
    const calibration = new Calibration()
    await calibration.run(graph, graph.slots, () => false)
    // A walk would look at as much as there is.
    expect(calibration.effortFor(0.95, 10, 1, graph.slots) * 20).toBeGreaterThan(graph.slots)
    graph.close()
  })

  test.each(['bit', 'f16'])(
    'of smaller elements compares with the vectors themselves: %s',
    { timeout: 30_000 },
    async (quantization) => {
      const chance = random(31)
      const gauss = () => Math.sqrt(-2 * Math.log(chance())) * Math.cos(2 * Math.PI * chance())
      const text = () => `[${Array.from({ length: 32 }, () => gauss().toFixed(3)).join(',')}]`
      const db = await openDatabaseOver()
      try {
        await db.run('create table q (id int primary key, v vector(32))')
        const rows = Array.from({ length: 3000 }, (_, i) => `(${i}, '${text()}')`)
        await db.run(`insert into q values ${rows.join(',')}`)
        await db.run(`create index on q using hnsw (v vector_cosine_ops) with (quantization = ${quantization})`)
        const [index] = db.indexes()
        while (index!.status.calibration.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
        const least = index!.status.calibration.find(({ effort, depth }) => effort === 10 && depth === 10)!
        // Signs alone tell little.
        if (quantization === 'bit') expect(least.recall).toBeLessThan(0.5)
        else expect(least.recall).toBeGreaterThan(0.5)
        let found = 0
        for (let i = 0; i < 40; i++) {
          const near = `select id from q order by v <=> '${text()}' limit 10`
          await db.run('set enable_seqscan = off')
          const ids = (await db.rows(near)).flat()
          await db.run('set enable_seqscan = on; set enable_indexscan = off')
          const truth = new Set((await db.rows(near)).flat())
          await db.run('set enable_indexscan = on')
          found += ids.filter((id) => truth.has(id)).length / 400
        }
        expect(found).toBeGreaterThan(0.93)
      } finally {
        await db.close()
      }
    },
  )

  test('tells what it measured, with its error', async () => {
    const chance = random(8)
    const graph = await graphOf(
      'l2',
      Array.from({ length: 1000 }, () => Float32Array.from({ length: 8 }, chance)),
    )
    const calibration = new Calibration()
    await calibration.run(graph, graph.slots, () => false)
    const near = calibration.table.filter(({ depth }) => depth === 10)
    expect(near[0]).toMatchObject({ share: 1, effort: 10 })
    expect(near.at(-1)!.recall).toBeGreaterThanOrEqual(0.998)
    for (const { recall, error } of calibration.table) {
      expect(recall).toBeLessThanOrEqual(1)
      expect(error).toBeLessThan(0.05)
    }
    const restored = new Calibration()
    restored.restore(calibration.table)
    expect(restored.effortFor(0.97, 30, 1, 1000)).toBe(calibration.effortFor(0.97, 30, 1, 1000))
    graph.close()
  })
})
